"""Coders without networks through the whole road: fit or train, export, code, report."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from fsar_lab import run_files
from fsar_lab.codec.model import CodecModel
from fsar_lab.config.compose import compose
from fsar_lab.train import main

ALONE = ["backbone=none", "quantizer=none", "prior=none"]


def run(tiny: list[str], overrides: list[str], run_dir: Path) -> dict[str, object]:
    """One experiment, checked; its result.json."""
    dropped = ("backbone.", "quantizer.", "coder.")
    kept = [override for override in tiny if not override.startswith(dropped)]
    run_dir.mkdir(exist_ok=True)
    bpd = main(compose([*kept, *ALONE, *overrides]), run_dir)
    result: dict[str, object] = json.loads((run_dir / run_files.RESULT).read_text())
    assert (result["status"], result["lossless"], result["images"]) == ("ok", True, 64)
    assert result["bpd"] == bpd == pytest.approx(result["bpd_pixels"] + result["bpd_overhead"])  # type: ignore[operator]
    assert result["bpd_latents"] == result["bpd_latents_estimated"] == 0
    return result


def test_context_is_fitted_not_trained(tiny: list[str], tmp_path: Path) -> None:
    speed = ["callbacks.coding_speed.enabled=true", "callbacks.coding_speed.max_seconds=1"]
    fitted = ["coder=context", "coder.fit_images=64", *speed, "callbacks.coding_speed.max_images=8"]
    result = run(tiny, fitted, tmp_path / "run")
    assert result["encode_MBps"] == pytest.approx(result["encode_coder_MBps"])
    assert result["train_images"] == 64
    assert result["parameters"] == {"coder": 0}
    assert result["bpd_pixels"] == pytest.approx(result["bpd_float_estimated"], rel=0.01)
    assert not (tmp_path / "run" / run_files.CHECKPOINT).exists()
    assert CodecModel.load(tmp_path / "run" / run_files.CODEC).facts["architecture"]["coder"] == "Context"
    again = run(tiny, fitted, tmp_path / "run")
    assert (
        again["bytes"] == result["bytes"] and again["train_seconds"] == result["train_seconds"]
    )  # coded again, not fitted again


SLOW = ("fsar_pixels_checkerboard3x3", "fsar_pixels_maskconv3x3x3")


@pytest.mark.parametrize(
    "coder",
    ["fsar_pixels_o1s", "fsar_pixels_maskconv3x3", *(pytest.param(n, marks=pytest.mark.slow) for n in SLOW)],
)
def test_priors_on_pixels(tiny: list[str], tmp_path: Path, coder: str) -> None:
    small = ["coder.dim=4", "trainer.train_images=80", "dataset.test_images=64", "optimizer.lr=1e-3"]
    result = run(tiny, [f"coder={coder}", *small], tmp_path / "run")
    assert result["parameters"]["coder"] > 3 * 256 * 4  # type: ignore[index]
    # what is counted for the tables is more than what was trained
    assert result["bpd_pixels"] < 1.01 * result["bpd_float_estimated"]  # type: ignore[operator]


@pytest.mark.parametrize("pair", [False, True])
def test_a_causal_network_is_coded_as_it_was_trained(pair: bool, tiny: list[str], tmp_path: Path) -> None:
    small = ["coder.radius=2", "coder.width=8", "coder.blocks=1", "coder.inner=8", "coder.hidden=8"]
    training = ["coder.round_from=0.5", "trainer.train_images=320", "optimizer.lr=3e-3"]
    result = run(tiny, ["coder=causal_net", f"coder.pair={pair}", *small, *training], tmp_path / "run")
    # What is estimated are the rounded numbers that it has learned with.
    assert result["bpd_pixels"] == pytest.approx(result["bpd_float_estimated"], rel=0.005)
    assert result["bpd_pixels"] < 7  # type: ignore[operator]
