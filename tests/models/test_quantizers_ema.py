"""VQ-VAE with moving averages: the averages, the only loss, restarts, several processes."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import torch.distributed as dist
from torch import Tensor

from fsar_lab.config.schema import RestartConfig, VQVAEEMAConfig
from fsar_lab.models.quantizers.vqvae_ema import VQVAEEMA

N, GROUPS, K, D, SIDE = 2, 2, 5, 3, 4


def make(**settings: float) -> VQVAEEMA:
    torch.manual_seed(3)
    config = VQVAEEMAConfig(groups=GROUPS, codebook_size=K, dim=D, restart=RestartConfig(min_share=0.5))
    for key, value in settings.items():
        setattr(config, key, value)
    quantizer = VQVAEEMA(config).double()
    quantizer.codebooks.data.mul_(K)
    quantizer.sums.copy_(quantizer.codebooks)
    return quantizer


def make_y(seed: int = 5) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    y = torch.randn(N, GROUPS * D, SIDE, SIDE, dtype=torch.float64, generator=generator)
    return y.requires_grad_()


def test_codebooks_are_the_smoothed_moving_averages() -> None:
    decay, epsilon = 0.9, 0.01
    quantizer = make(decay=decay, epsilon=epsilon)
    book = quantizer.codebooks.detach().clone()
    counts, sums = torch.ones(GROUPS, K).double(), book.clone()
    for seed in range(3):
        y = make_y(seed)
        found = quantizer(y)
        rows = y.detach().unflatten(1, (GROUPS, D)).movedim(2, -1)  # [N, G, h, w, D]
        for g in range(GROUPS):
            vectors = rows[:, g].reshape(-1, D)
            nearest = torch.cdist(vectors, book[g]).argmin(1)
            assert torch.equal(found.indices[:, g].flatten(), nearest)
            for k in range(K):
                counts[g, k] = decay * counts[g, k] + (1 - decay) * (nearest == k).sum().double()
                sums[g, k] = decay * sums[g, k] + (1 - decay) * vectors[nearest == k].sum(0)
            total = counts[g].sum()
            book[g] = sums[g] / ((counts[g] + epsilon) / (total + K * epsilon) * total).unsqueeze(-1)
        torch.testing.assert_close(quantizer.codebooks.detach(), book, rtol=1e-10, atol=1e-12)
    quantizer.eval()(make_y(9))
    torch.testing.assert_close(quantizer.codebooks.detach(), book, rtol=1e-10, atol=1e-12)  # training only


def test_the_only_loss_is_the_commitment_and_nothing_reaches_the_codebook() -> None:
    quantizer, y = make(), make_y()
    book = quantizer.codebooks.detach().clone()
    found = quantizer(y)
    rows = y.unflatten(1, (GROUPS, D)).movedim(2, -1)
    hard = torch.stack([book[g][found.indices[:, g]] for g in range(GROUPS)], 1)
    commitment = 0.25 * (rows - hard).square().mean()
    assert found.loss.item() == 0 and found.selection is None
    torch.testing.assert_close(found.loss_per_element, commitment, rtol=1e-12, atol=0)
    incoming = torch.randn_like(y)
    assert torch.equal(torch.autograd.grad(found.vectors, y, incoming, retain_graph=True)[0], incoming)
    (to_y,) = torch.autograd.grad(found.loss_per_element, y)
    torch.testing.assert_close(to_y, torch.autograd.grad(commitment, y)[0], rtol=1e-10, atol=1e-14)
    assert not quantizer.codebooks.requires_grad


def test_a_restarted_code_stays_where_it_was_put() -> None:
    quantizer, y = make(decay=0.999), make_y()
    quantizer(y)
    quantizer.usage[:] = 100.0
    quantizer.usage[:, 0] = 0.0
    quantizer.restart_dead(100 * y.detach())
    moved = quantizer.codebooks.detach().clone()
    assert moved[:, 0].abs().max() > 10
    quantizer(y)  # far from the restarted code
    assert (quantizer.codebooks[:, 0] - moved[:, 0]).abs().max() < 0.01 * moved[:, 0].abs().max()


def _one_process(rank: int, meeting: str, folder: str) -> None:
    dist.init_process_group("gloo", init_method=f"file://{meeting}", rank=rank, world_size=2)
    quantizer = make(decay=0.9)
    quantizer(make_y(5)[rank : rank + 1])
    torch.save(quantizer.codebooks.detach(), f"{folder}/{rank}.pt")
    dist.destroy_process_group()


def test_two_processes_average_over_the_rows_of_both(tmp_path: Path) -> None:
    context = torch.multiprocessing.get_context("fork")
    processes = [
        context.Process(target=_one_process, args=(rank, str(tmp_path / "meeting"), str(tmp_path)))
        for rank in range(2)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
        assert process.exitcode == 0
    alone = make(decay=0.9)
    alone(make_y(5))
    for rank in range(2):
        book = torch.load(tmp_path / f"{rank}.pt")
        torch.testing.assert_close(book, alone.codebooks.detach(), rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("groups", [1, 2, 4, 8, 16])
def test_any_number_of_groups(groups: int) -> None:
    quantizer = VQVAEEMA(VQVAEEMAConfig(groups=groups, codebook_size=K, dim=D))
    y = torch.randn(N, groups * D, SIDE, SIDE)
    found = quantizer(y)
    assert found.indices.shape == (N, groups, SIDE, SIDE) and found.vectors.shape == y.shape
