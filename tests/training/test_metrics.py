from __future__ import annotations

import math
import os
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp

from fsar_lab.metrics import BitsPerDimension, CodebookUsage

GROUPS, SIZE = 2, 8
BATCHES = (3, 5, 2, 7)  # unequal, so that a mean of means would be wrong


def batches() -> list[tuple[torch.Tensor, torch.Tensor]]:
    generator = torch.Generator().manual_seed(1)
    result = []
    for n in BATCHES:
        nats = torch.rand(n, 3, 4, 4, generator=generator) * 5
        indices = torch.randint(0, SIZE - 2, (n, GROUPS, 2, 2), generator=generator)
        result.append((nats, indices))
    return result


def measure(share: slice) -> dict[str, torch.Tensor]:
    bits, usage = BitsPerDimension(), CodebookUsage(GROUPS, SIZE)
    for nats, indices in batches()[share]:
        bits.update(nats, nats.numel())
        usage.update(indices)
    return {"bits": bits.compute(), **usage.compute()}


def worker(rank: int, folder: str) -> None:
    dist.init_process_group("gloo", init_method=f"file://{folder}/init", rank=rank, world_size=2)
    try:
        values = measure(slice(0, 1) if rank == 0 else slice(1, None))
        torch.save(values, os.path.join(folder, f"rank{rank}.pt"))
    finally:
        dist.destroy_process_group()


def test_two_processes_give_the_values_of_one(tmp_path: Path) -> None:
    mp.spawn(worker, args=(str(tmp_path),), nprocs=2)
    expected = measure(slice(None))
    for rank in range(2):
        found = torch.load(tmp_path / f"rank{rank}.pt", weights_only=True)
        assert found.keys() == expected.keys()
        for name, value in expected.items():
            torch.testing.assert_close(found[name], value, rtol=1e-13, atol=0)


def test_bits_are_those_of_all_costs_together() -> None:
    nats = torch.cat([nats for nats, _ in batches()]).double()
    expected = nats.sum() / nats.numel() / math.log(2)
    torch.testing.assert_close(measure(slice(None))["bits"], expected, rtol=1e-13, atol=0)


def test_bits_do_not_drift_in_long_sums() -> None:
    metric = BitsPerDimension()
    for _ in range(1000):
        metric.update(torch.full((100,), 1e-3 * math.log(2.0), dtype=torch.float64), 100)
    metric.nats += 1e9 * math.log(2.0)  # float32 would lose everything that was added before
    metric.sub_pixels += 10**9
    assert float(metric.compute()) == pytest.approx((1e9 + 100.0) / (1e9 + 1e5), rel=1e-12)


def test_usage_of_equally_likely_codes_counts_them() -> None:
    metric = CodebookUsage(GROUPS, SIZE)
    indices = torch.stack([torch.arange(4), torch.full((4,), 7)]).view(1, GROUPS, 2, 2)
    metric.update(indices)
    found = metric.compute()
    torch.testing.assert_close(found["perplexity_per_group"], torch.tensor([4.0, 1.0], dtype=torch.float64))
    assert float(found["perplexity"]) == pytest.approx(2.5)
    assert int(found["dead_codes"]) == 4 + 7
    metric.reset()
    assert int(metric.histogram.sum()) == 0


def test_metrics_keep_no_gradient() -> None:
    metric = BitsPerDimension()
    nats = torch.ones(4, requires_grad=True)
    metric.update(nats, 4)
    assert not metric.nats.requires_grad
