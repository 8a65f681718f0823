"""A training that begins with parts of a finished run: a prior on the latents of a trained model."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from fsar_lab import run_files
from fsar_lab.config.build import build, config_hash
from fsar_lab.config.compose import compose
from fsar_lab.errors import FsarError
from fsar_lab.fitting import fit
from fsar_lab.models.compressor import Compressor


def trained(tiny: list[str], run_dir: Path, *overrides: str) -> Compressor:
    config = compose([*tiny, "callbacks.progress=false", *overrides])
    run_dir.mkdir()
    run_files.begin(run_dir, config)
    return fit(config, run_dir, build(config.dataset), []).compressor


@pytest.mark.parametrize("ema_decay", [0, 0.9])
def test_frozen_parts_stay_to_the_bit(tiny: list[str], tmp_path: Path, ema_decay: float) -> None:
    first = trained(tiny, tmp_path / "first", "prior=uniform")
    start = [f"start.run={tmp_path}/first", "prior=fsar_o1s", f"trainer.ema_decay={ema_decay}"]
    second = trained(tiny, tmp_path / "second", *start, "quantizer.restart.every_steps=2")
    for part in ("backbone", "quantizer", "coder"):
        states = getattr(first, part).state_dict(), getattr(second, part).state_dict()
        assert states[0].keys() == states[1].keys()
        assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])
    torch.manual_seed(0)
    config = compose([*tiny, *start])
    x = build(config.dataset).test.batch(torch.arange(32))
    with torch.no_grad():
        was, now = first(x), second(x)
    assert torch.equal(was.pixel_nats, now.pixel_nats) and torch.equal(was.indices, now.indices)
    assert now.latent_nats.sum() < 0.98 * was.latent_nats.sum(), "the prior has learned"
    for part in ("backbone", "prior"):  # training mode reaches what is not frozen only
        assert getattr(second.train(), part).training == (part == "prior")
    restored = run_files.load_compressor(tmp_path / "second")
    assert torch.equal(restored(x).latent_nats, now.latent_nats)


def test_loaded_parts_may_be_trained_further(tiny: list[str], tmp_path: Path) -> None:
    first = trained(tiny, tmp_path / "first", "prior=uniform")
    start = [f"start.run={tmp_path}/first", "start.freeze=[coder]", "trainer.train_images=8"]
    second = trained(tiny, tmp_path / "second", *start, "trainer.ema_decay=0", "optimizer.lr=1e-6")
    for part in ("backbone", "quantizer", "coder"):
        pairs = zip(getattr(first, part).parameters(), getattr(second, part).parameters(), strict=True)
        change = [float((a - b).abs().max().detach()) for a, b in pairs]
        assert max(change) < 1e-4 and (max(change) == 0) == (part == "coder")


def test_other_parts_are_refused(tiny: list[str], tmp_path: Path) -> None:
    trained(tiny, tmp_path / "first", "prior=uniform")
    start = f"start.run={tmp_path}/first"
    with pytest.raises(FsarError, match="its backbone is not that of this configuration -> give the same"):
        trained(tiny, tmp_path / "second", start, "backbone.residual_blocks=0")
    (tmp_path / "first" / run_files.WEIGHTS).unlink()
    with pytest.raises(FsarError, match="not trained to its end"):
        trained(tiny, tmp_path / "third", start)


def test_the_hash_of_a_run_without_a_start_is_as_before(tiny: list[str], tmp_path: Path) -> None:
    config = compose(tiny)
    before = config_hash(config)
    config.start.freeze = []
    assert config_hash(config) == before
    config.start.run = str(tmp_path)
    assert config_hash(config) != before
