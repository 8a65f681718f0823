"""Two processes (gloo, on the CPU) train one model."""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed as dist
from torch import Tensor
from torch.nn.parallel import DistributedDataParallel

from fsar_lab import run_files
from fsar_lab.config.compose import compose
from fsar_lab.data.fake import Fake
from fsar_lab.data.source import TensorSource
from fsar_lab.data.stream import batches
from fsar_lab.lit import Figures, Lit
from fsar_lab.models.build import build_compressor


@pytest.fixture
def one_process_group(tmp_path: Path) -> Iterator[None]:
    """A process group of this process alone."""
    dist.init_process_group("gloo", init_method=f"file://{tmp_path}/group", rank=0, world_size=1)
    yield
    dist.destroy_process_group()


@pytest.mark.skipif((os.cpu_count() or 1) < 2, reason="one core: two processes are refused")
def test_two_processes_train_and_the_first_codes(
    tiny: list[str], train_command: Callable[[list[str]], Any], tmp_path: Path
) -> None:
    overrides = [*tiny, "trainer.devices=2", "trainer.validate_every=0.5"]
    done = train_command(overrides)
    assert done.wait() == 0, done.stderr
    assert done.stderr == ""
    assert done.stdout.count("run directory") == 1  # the second process keeps quiet
    (run_dir,) = (tmp_path / "outputs").iterdir()
    result = json.loads((run_dir / run_files.RESULT).read_text())
    assert (result["status"], result["lossless"], result["train_images"]) == ("ok", True, 320)

    # The last validation saw the weights of the last checkpoint; one process gets the same figures.
    (path,) = run_dir.glob("logs/version_*/metrics.csv")
    with path.open() as file:
        logged = [row for row in csv.DictReader(file) if row["val/bpd_estimated"]]
    assert len(logged) == 2
    config = compose(overrides)
    compressor = build_compressor(config)
    state = torch.load(run_dir / run_files.CHECKPOINT, weights_only=True)["state_dict"]
    prefix = "model."
    compressor.load_state_dict({k.removeprefix(prefix): v for k, v in state.items() if k.startswith(prefix)})
    figures = Figures(compressor)
    validation = Fake(config.dataset).validation
    assert len(validation) % 2 == 1  # the two shares differ
    with torch.no_grad():
        for batch in batches(validation, 4):
            figures.update(compressor.eval()(batch), batch.numel())
    for name, value in figures.take().items():
        assert float(logged[-1][f"val/{name}"]) == pytest.approx(float(value), rel=1e-6)


@pytest.mark.parametrize("world_size", [1, 2, 3, 5])
@pytest.mark.parametrize("count", [0, 1, 2, 8, 9, 10, 14, 15, 50])
def test_every_rank_has_as_many_evaluation_batches(count: int, world_size: int) -> None:
    """The ranks talk to each other at every batch; one that had none left would leave the others waiting."""
    source = TensorSource(torch.arange(count, dtype=torch.uint8).view(-1, 1, 1, 1).expand(-1, 3, 2, 2))
    shares = [list(batches(source, 3, rank, world_size)) for rank in range(world_size)]
    assert len({len(share) for share in shares}) == 1
    assert len(batches(source, 3, world_size - 1, world_size)) == len(shares[0])
    assert all(len(batch) <= 3 for share in shares for batch in share)
    seen = [int(v) for share in shares for batch in share for v in batch[:, 0, 0, 0]]
    assert sorted(seen) == list(range(count))


@pytest.mark.parametrize("quantizer", ["v2dvq", "vqvae"])
def test_a_rank_without_images_counts_nothing(quantizer: str, tiny: list[str]) -> None:
    config = compose([*tiny, f"quantizer={quantizer}"])
    torch.manual_seed(0)
    compressor = build_compressor(config).eval()
    images = Fake(config.dataset).validation.batch(torch.arange(3))
    alone, joined = Figures(compressor), Figures(compressor)
    for figures, parts in ((alone, [images]), (joined, [images[:0], images])):
        for part in parts:
            figures.update(compressor(part), part.numel())
    expected = alone.take()
    for name, value in joined.take().items():
        torch.testing.assert_close(value, expected[name], rtol=0, atol=0)


def test_ddp_leaves_each_process_its_own_counts_and_losses(tiny: list[str], one_process_group: None) -> None:
    """Otherwise those of rank 0 would be written over the others' before each forward pass."""
    lit = Lit(compose(tiny), steps=4)
    synchronised = [buffer.data_ptr() for buffer in DistributedDataParallel(lit).modules_buffers]
    names = {name for name, buffer in lit.named_buffers() if buffer.data_ptr() in synchronised}
    assert not names & {"model.quantizer.usage", "first_bad_step"}
    assert any("running_mean" in name for name in names)


def test_restart_adds_up_the_counts_of_all_processes(
    tiny: list[str], monkeypatch: pytest.MonkeyPatch, one_process_group: None
) -> None:
    """Codes that only another process uses are alive."""
    quantizer = build_compressor(compose(tiny)).quantizer
    elsewhere = torch.zeros_like(quantizer.usage)
    elsewhere[:, 8:] = 100.0

    def add(tensor: Tensor) -> None:
        tensor += elsewhere

    monkeypatch.setattr(dist, "all_reduce", add)
    quantizer.usage[:, :4] = 100.0
    before = quantizer.codebooks.detach().clone()
    quantizer.restart_dead(torch.randn(2, 8, 4, 4))
    moved = (quantizer.codebooks.detach() != before).any(-1)[0]
    assert moved.tolist() == [False] * 4 + [True] * 4 + [False] * 8
