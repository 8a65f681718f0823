"""What METHOD 3 says about values and gradients, against formulas written out here in float64."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from fsar_lab.config.schema import RestartConfig, STHQConfig, VQVAEConfig
from fsar_lab.models.quantizers import sthq
from fsar_lab.models.quantizers.base import VectorQuantizer
from fsar_lab.models.quantizers.sthq import STHQ
from fsar_lab.models.quantizers.vqvae import VQVAE

N, GROUPS, K, D, SIDE = 2, 2, 7, 3, 4
Noise = Callable[[Tensor, float], Tensor]


def make_y(scale: float = 1.0) -> Tensor:
    torch.manual_seed(5)
    return (scale * torch.randn(N, GROUPS * D, SIDE, SIDE, dtype=torch.float64)).requires_grad_()


def make_sthq(variance: float = 1.0, temperature: float = 0.5, weight: float = 1.0) -> STHQ:
    torch.manual_seed(3)
    config = STHQConfig(groups=GROUPS, codebook_size=K, dim=D, variance=variance)
    config.gumbel_temperature, config.commitment_weight = temperature, weight
    return STHQ(config).double()


def make_vqvae() -> VQVAE:
    torch.manual_seed(3)
    quantizer = VQVAE(VQVAEConfig(groups=GROUPS, codebook_size=K, dim=D)).double()
    quantizer.codebooks.data.mul_(K)  # U(-1, 1): several codes are in use
    return quantizer


def vectors_of(y: Tensor) -> Tensor:
    """[N, G*D, h, w] -> [N, G, h, w, D]: channels are split group-major."""
    return torch.stack([y[:, g * D : (g + 1) * D].movedim(1, -1) for g in range(GROUPS)], 1)


def distances(y: Tensor, codebooks: Tensor) -> Tensor:
    """Squared distances [N, G, h, w, K]."""
    rows = vectors_of(y).unsqueeze(-2)
    return (rows - codebooks.view(1, GROUPS, 1, 1, K, D)).square().sum(-1)


def straight_through_selection(
    y: Tensor, codebooks: Tensor, noise: Tensor, variance: float, temperature: float
) -> Tensor:
    """s = onehot(argmax l) + g - sg(g), [N, G, h, w, K], exactly as METHOD 3 writes it."""
    logits = torch.log_softmax(-distances(y, codebooks) / (2 * variance), -1)
    relaxed = torch.softmax((logits + noise) / temperature, -1)
    return torch.nn.functional.one_hot(logits.argmax(-1), K) + relaxed - relaxed.detach()


def fixed_noise(monkeypatch: pytest.MonkeyPatch) -> Tensor:
    """Patch the quantizer's Gumbel noise with fixed numbers; returns them as [N, G, h, w, K]."""
    torch.manual_seed(11)
    uniform = torch.rand(N, GROUPS, SIDE, SIDE, K, dtype=torch.float64)
    noise = -torch.log(-torch.log(uniform))

    def patched(like: Tensor, temperature: float) -> Tensor:
        rows = noise.transpose(0, 1).reshape(GROUPS, N * SIDE * SIDE, K)
        assert rows.shape == like.shape
        return rows / temperature

    monkeypatch.setattr(sthq, "gumbel_noise", patched)
    return noise


@pytest.mark.parametrize("make", [make_sthq, make_vqvae])
def test_symbols_are_the_nearest_codewords(make: Callable[[], VectorQuantizer]) -> None:
    quantizer, y = make(), make_y()
    for training in (True, False):
        quantizer.train(training)
        found = quantizer(y)
        expected = distances(y, quantizer.codebooks).argmin(-1)
        assert torch.equal(found.indices, expected)
        assert len(expected.unique()) > 2
        book = quantizer.codebooks.detach()
        hard = torch.stack([book[g][expected[:, g]] for g in range(GROUPS)], 1)  # [N, G, h, w, D]
        torch.testing.assert_close(vectors_of(found.vectors), hard, rtol=0, atol=1e-12)
        torch.testing.assert_close(found.samples.movedim(2, -1), hard, rtol=0, atol=1e-12)
        torch.testing.assert_close(vectors_of(quantizer.lookup(expected)), hard, rtol=0, atol=0)


@pytest.mark.parametrize("make", [make_sthq, make_vqvae])
def test_the_decoders_gradient_is_copied_to_y_and_nothing_reaches_the_codebook(
    make: Callable[[], VectorQuantizer],
) -> None:
    quantizer, y = make(), make_y()
    vectors = quantizer(y).vectors
    incoming = torch.randn_like(vectors)
    to_y, to_codebooks = torch.autograd.grad(vectors, [y, quantizer.codebooks], incoming, allow_unused=True)
    assert torch.equal(to_y, incoming)
    assert to_codebooks is None


@pytest.mark.parametrize(
    ("variance", "temperature", "weight"), [(1.0, 0.5, 1.0), (0.3, 0.9, 1.0), (2.0, 0.5, 0.25)]
)
def test_commitment_has_the_value_and_gradients_of_the_formula(
    monkeypatch: pytest.MonkeyPatch, variance: float, temperature: float, weight: float
) -> None:
    noise = fixed_noise(monkeypatch)
    quantizer, y = make_sthq(variance, temperature, weight), make_y(0.7)
    book = quantizer.codebooks
    found = quantizer(y)
    selected = straight_through_selection(y, book, noise, variance, temperature)
    samples = torch.einsum("nghwk,gkd->nghwd", selected, book)
    expected = weight * (vectors_of(y) - samples).square().sum() / (2 * variance)  # no stop-gradient anywhere

    torch.testing.assert_close(found.loss, expected, rtol=1e-12, atol=0)
    assert found.loss_per_element.item() == 0
    gradients = torch.autograd.grad(found.loss, [y, book], retain_graph=True)
    formula = torch.autograd.grad(expected, [y, book])
    for one, other in zip(gradients, formula, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-10, atol=1e-12)

    # The path through the selection is a real part of it: a plain |y - E_k|^2 has other gradients.
    plain = weight * (vectors_of(y) - samples.detach()).square().sum() / (2 * variance)
    assert not torch.allclose(torch.autograd.grad(plain, y)[0], gradients[0], rtol=1e-3)


def test_no_noise_and_no_selection_outside_training() -> None:
    quantizer, y = make_sthq().eval(), make_y()
    first, second = quantizer(y), quantizer(y)
    assert first.selection is None
    assert first.loss.item() == second.loss.item()
    plain = distances(y, quantizer.codebooks).amin(-1).sum() / 2
    torch.testing.assert_close(first.loss, plain, rtol=1e-10, atol=0)


def test_gumbel_noise_is_gumbel_distributed() -> None:
    torch.manual_seed(0)
    noise = sthq.gumbel_noise(torch.empty(200_000), temperature=0.5) * 0.5
    assert torch.isfinite(noise).all()
    sorted_noise = noise.double().sort().values
    cdf = torch.exp(-torch.exp(-sorted_noise))
    empirical = torch.arange(1, len(noise) + 1, dtype=torch.float64) / len(noise)
    assert (cdf - empirical).abs().max() < 0.005  # Kolmogorov-Smirnov at 1e-4 would be 0.005


def test_vqvae_has_the_two_losses_of_the_paper() -> None:
    quantizer, y = make_vqvae(), make_y()
    book = quantizer.codebooks
    found = quantizer(y)
    nearest = distances(y, book).argmin(-1)
    hard = torch.stack([book[g][nearest[:, g]] for g in range(GROUPS)], 1)
    rows = vectors_of(y)
    codebook = (rows.detach() - hard).square().mean()  # means over every element, dimensions included
    commitment = (rows - hard.detach()).square().mean()
    assert found.loss.item() == 0  # nothing that would be divided by the sub-pixels
    torch.testing.assert_close(found.loss_per_element, codebook + 0.25 * commitment, rtol=1e-12, atol=0)

    to_y, to_book = torch.autograd.grad(found.loss_per_element, [y, book])
    torch.testing.assert_close(to_y, torch.autograd.grad(0.25 * commitment, y)[0], rtol=1e-10, atol=1e-14)
    torch.testing.assert_close(to_book, torch.autograd.grad(codebook, book)[0], rtol=1e-10, atol=1e-14)


def test_codebooks_start_in_the_ranges_of_the_method() -> None:
    torch.manual_seed(0)
    wide = STHQ(STHQConfig(groups=2, codebook_size=64, dim=8)).codebooks
    narrow = VQVAE(VQVAEConfig(groups=2, codebook_size=64, dim=8)).codebooks
    assert 0.98 < wide.abs().max() <= 1.0
    assert 0.98 / 64 < narrow.abs().max() <= 1.0 / 64
    assert abs(wide.mean()) < 0.1


def test_restart_moves_dead_codes_only() -> None:
    torch.manual_seed(0)
    config = STHQConfig(groups=GROUPS, codebook_size=K, dim=D, restart=RestartConfig(min_share=0.5))
    quantizer = STHQ(config).double()
    y = make_y(50.0)  # far from every codeword
    before = quantizer.codebooks.detach().clone()
    # group 0: codes 0 and 1 share everything; group 1: all alike except code 3, just below the threshold
    quantizer.usage[0, :2] = 500.0
    quantizer.usage[1] = 100.0
    quantizer.usage[1, 3] = 100.0 * 0.5 * 0.9
    dead = torch.zeros(GROUPS, K, dtype=torch.bool)
    dead[0, 2:] = dead[1, 3] = True

    quantizer.restart_dead(y)
    after = quantizer.codebooks.detach()
    assert torch.equal(after[~dead], before[~dead])
    rows = vectors_of(y.detach())
    for group, code in dead.nonzero().tolist():
        group_rows = rows[:, group].reshape(-1, D)
        assert (group_rows == after[group, code]).all(1).any(), (
            "a restarted code is an encoder output of its group"
        )
    assert torch.equal(quantizer.usage, torch.zeros_like(quantizer.usage))


def test_usage_counts_symbols() -> None:
    quantizer = make_sthq()
    indices = quantizer(make_y()).indices
    quantizer.count_usage(indices)
    quantizer.count_usage(indices[:1])
    expected = torch.stack(
        [
            torch.bincount(torch.cat([indices[:, g].flatten(), indices[0, g].flatten()]), minlength=K)
            for g in range(GROUPS)
        ]
    )
    assert torch.equal(quantizer.usage, expected.double())
