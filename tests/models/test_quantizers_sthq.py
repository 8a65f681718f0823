"""STHQ and its relatives: values and gradients of every row of METHOD 3, written out here in float64."""

from __future__ import annotations

import dataclasses
import functools
import math
from dataclasses import dataclass

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from fsar_lab.config.compose import compose
from fsar_lab.config.schema import STHQConfig
from fsar_lab.models.quantizers import sthq
from fsar_lab.models.quantizers.sthq import STHQ

N, K, D, SIDE = 2, 7, 3, 4
STEP, STEPS = 400, 1000  # exp200: the factor is a quarter
FACTOR = 0.25


@dataclass
class Row:
    """What METHOD 3 says of one variant at FACTOR, as tensors with gradients.

    Attributes:
        vectors: [N, G, h, w, D]. loss: scalar, nats. weights: [N, G, h, w, K], rate = -sum weights log p.
    """

    vectors: Tensor
    loss: Tensor
    weights: Tensor


@functools.cache
def option(name: str) -> STHQConfig:
    config: STHQConfig = compose([f"quantizer={name}"]).quantizer
    return config


def make(name: str, groups: int = 2) -> STHQ:
    config = dataclasses.replace(option(name), groups=groups, codebook_size=K, dim=D)
    torch.manual_seed(3)
    quantizer = STHQ(config).double()
    if config.init_range is None:
        quantizer.codebooks.data.mul_(K)  # U(-1, 1): several codes are in use
    quantizer.on_step(STEP, STEPS)
    return quantizer


def make_y(groups: int = 2) -> Tensor:
    torch.manual_seed(5)
    return (0.7 * torch.randn(N, groups * D, SIDE, SIDE, dtype=torch.float64)).requires_grad_()


def split(y: Tensor) -> Tensor:
    """[N, G*D, h, w] -> [N, G, h, w, D]: channels are split group-major."""
    return y.unflatten(1, (-1, D)).movedim(2, -1)


def fixed_noise(monkeypatch: pytest.MonkeyPatch, groups: int = 2) -> Tensor:
    """Fixed Gumbel variates [N, G, h, w, K] in place of the quantizer's."""
    torch.manual_seed(11)
    noise = -torch.log(-torch.log(torch.rand(N, groups, SIDE, SIDE, K, dtype=torch.float64)))

    def patched(like: Tensor, temperature: float) -> Tensor:
        rows = noise.transpose(0, 1).reshape(groups, N * SIDE * SIDE, K)
        assert rows.shape == like.shape
        return rows / temperature

    monkeypatch.setattr(sthq, "gumbel_noise", patched)
    return noise


def method(name: str, y: Tensor, book: Tensor, variance: Tensor, noise: Tensor) -> Row:
    """The row of METHOD 3; `variance` is sigma^2 where it is trained."""
    rows = split(y)
    d = (rows.unsqueeze(-2) - book.view(1, -1, 1, 1, K, D)).square().sum(-1)
    base_b = name in ("softvq", "soft_to_hard", "softvq_gapcontrol")  # logits -d; else -d / (2 sigma^2)
    log_q = torch.log_softmax(-d if base_b else -d / (2 * variance), -1)
    q = log_q.exp()
    temperature = {"sqvae": FACTOR, "soft_to_hard": FACTOR}.get(name, 0.5)
    g = torch.softmax((log_q + (0 if name == "soft_to_hard" else noise)) / temperature, -1)
    onehot = functional.one_hot(d.argmin(-1), K).double()
    s = onehot + g - g.detach()

    def mixed(weights: Tensor) -> Tensor:
        return torch.einsum("nghwk,gkd->nghwd", weights, book)

    def copied(z: Tensor) -> Tensor:
        return rows + (z - rows).detach()

    def commitment(z: Tensor) -> Tensor:
        return (rows - z).square().sum() / (2 * variance)

    zero = rows.sum() * 0
    sampled_entropy, entropy = (s * log_q).sum(), (q * log_q).sum()
    hard, soft = copied(mixed(onehot)), mixed(g)
    return {
        "v2dvq": lambda: Row(hard, commitment(mixed(s)), s),
        "v2dvq_nosth": lambda: Row(copied(soft), commitment(soft), q),
        "v2dvq_noreg": lambda: Row(hard, zero, s),
        "v2dvq_noanneal": lambda: Row(hard, commitment(mixed(s)) + sampled_entropy, s),
        "v2dvq_entropy_anneal": lambda: Row(hard, commitment(mixed(s)) + FACTOR * sampled_entropy, s),
        "v2dvq_noent": lambda: Row(hard, commitment(mixed(s)), q),
        "v2dvq_nost": lambda: Row(mixed(s), commitment(mixed(s)), s),
        "v2dvq_em": lambda: Row(hard, commitment(mixed(onehot)), onehot),
        "sqvae": lambda: Row(soft, commitment(soft) + entropy, q),
        "softvq": lambda: Row(soft, entropy, q),
        "softvq_gapcontrol": lambda: Row(soft, entropy, q),
        "soft_to_hard": lambda: Row(soft, zero, g),
    }[name]()


VARIANTS = [
    *("v2dvq", "v2dvq_nosth", "v2dvq_noreg", "v2dvq_noanneal", "v2dvq_entropy_anneal", "v2dvq_noent"),
    *("v2dvq_nost", "v2dvq_em", "sqvae", "softvq", "softvq_gapcontrol", "soft_to_hard"),
]


def gradients(of: Tensor, leaves: list[Tensor]) -> list[Tensor]:
    found = torch.autograd.grad(of, leaves, retain_graph=True, allow_unused=True)
    return [torch.zeros_like(x) if g is None else g for x, g in zip(leaves, found, strict=True)]


@pytest.mark.parametrize("name", VARIANTS)
def test_every_row_has_the_values_and_gradients_of_the_method(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    noise = fixed_noise(monkeypatch)
    quantizer, y = make(name), make_y()
    book, log_variance = quantizer.codebooks, torch.zeros((), dtype=torch.float64, requires_grad=True)
    leaves, own = [y, book], [y, book]
    if name == "sqvae":
        assert quantizer.log_variance is not None
        quantizer.log_variance.data.fill_(math.log(0.6))
        log_variance = quantizer.log_variance
        leaves = own = [y, book, log_variance]
    row, found = method(name, y, book, log_variance.exp(), noise), quantizer(y)

    same = {"rtol": 1e-9, "atol": 1e-11}
    torch.testing.assert_close(split(found.vectors), row.vectors, **same)
    torch.testing.assert_close(found.loss, row.loss, **same)
    assert found.loss_per_element.item() == 0 and found.nats is None
    incoming, log_p = torch.randn_like(row.vectors), torch.randn_like(row.weights)
    expected = [(row.vectors * incoming).sum(), row.loss]
    computed = [(split(found.vectors) * incoming).sum(), found.loss]
    if name == "v2dvq_em":
        assert found.selection is None  # R is constant
    else:
        by_place = found.selection.unflatten(1, (N, SIDE, SIDE)).transpose(0, 1)
        expected.append((row.weights * log_p).sum())
        computed.append((by_place * log_p).sum())
    for one, other in zip(computed, expected, strict=True):
        for mine, formula in zip(gradients(one, own), gradients(other, leaves), strict=True):
            torch.testing.assert_close(mine, formula, **same)
    assert (found.hard is not None) == (quantizer.soft_share < 1)


def total_gradients(name: str) -> dict[str, bool]:
    """Whether the distortion and the quantizer's own loss move encoder output and codebook."""
    quantizer, y = make(name), make_y()
    found = quantizer(y)
    leaves = [y, quantizer.codebooks]
    moved = gradients(found.vectors.sin().sum() + found.loss, leaves)
    return {part: bool((g != 0).any()) for part, g in zip(("y", "codebook"), moved, strict=True)}


@pytest.mark.parametrize("name", VARIANTS)
def test_every_codebook_learns_but_that_of_noreg(name: str) -> None:
    """METHOD 9.1-9: noreg's codebook stays frozen; soft_to_hard's learns, unlike the reference's."""
    assert total_gradients(name) == {"y": True, "codebook": name != "v2dvq_noreg"}


def test_the_codebook_of_noreg_does_not_move_in_training() -> None:
    moved = {}
    for name in ("v2dvq", "v2dvq_noreg"):
        quantizer, y = make(name), make_y()
        before = quantizer.codebooks.detach().clone()
        optimizer = torch.optim.Adam([y, quantizer.codebooks], lr=0.05)
        for _ in range(5):
            found = quantizer(y)
            optimizer.zero_grad()
            (found.vectors.square().sum() + found.loss).backward()
            optimizer.step()
        moved[name] = float((quantizer.codebooks.detach() - before).abs().max())
        assert option(name).restart.until == (0.25 if name == "v2dvq" else 0)
    assert moved["v2dvq_noreg"] == 0.0 < 0.1 < moved["v2dvq"]


@pytest.mark.parametrize("name", VARIANTS)
def test_evaluation_takes_the_nearest_codeword_and_draws_nothing(name: str) -> None:
    quantizer, y = make(name).eval(), make_y()
    found = quantizer(y)
    d = (split(y).unsqueeze(-2) - quantizer.codebooks.view(1, -1, 1, 1, K, D)).square().sum(-1)
    assert torch.equal(found.indices, d.argmin(-1))
    torch.testing.assert_close(found.vectors, quantizer.lookup(found.indices), rtol=0, atol=1e-12)
    assert torch.equal(found.vectors, quantizer(y).vectors)
    assert found.selection is None and found.hard is None and not found.rate_is_fixed


def test_em_alternates() -> None:
    """METHOD 3, V2DVQ-EM: E steps leave the prior out, M steps the encoder."""
    quantizer, y = make("v2dvq_em"), make_y()
    for step in range(4):
        quantizer.on_step(step, 10)
        found = quantizer(y)
        to_y, to_book = gradients(found.vectors.sin().sum() + found.loss, [y, quantizer.codebooks])
        expects = step % 2 == 0
        assert found.rate_is_fixed == expects
        assert bool((to_y != 0).any()) == expects
        assert (to_book != 0).any()
        assert found.vectors.requires_grad  # zeros, not none: DDP waits for every parameter


def test_gap_control_hands_over_hard_codes_with_gradient_to_the_codebook_alone() -> None:
    quantizer, y = make("softvq_gapcontrol"), make_y()
    assert quantizer(y).hard is None
    quantizer.on_step(700, 1000)  # exp200, begun at 500
    found = quantizer(y)
    assert found.hard is not None and found.soft_share == pytest.approx(0.5)
    torch.testing.assert_close(found.hard, quantizer.lookup(found.indices), rtol=0, atol=0)
    to_y, to_book = gradients(found.hard.sin().sum(), [y, quantizer.codebooks])
    assert not to_y.any() and to_book.any()


@pytest.mark.parametrize("groups", [1, 2, 4, 8, 16])
@pytest.mark.parametrize("name", ["v2dvq", "sqvae", "v2dvq_em"])
def test_any_number_of_groups(name: str, groups: int) -> None:
    quantizer, y = make(name, groups), make_y(groups)
    found = quantizer(y)
    assert found.indices.shape == (N, groups, SIDE, SIDE)
    assert found.vectors.shape == y.shape
    assert found.samples.shape == (N, groups, D, SIDE, SIDE)
    if found.selection is not None:
        assert found.selection.shape == (groups, N * SIDE * SIDE, K)
        torch.testing.assert_close(found.selection.sum(-1), torch.ones_like(found.selection[..., 0]))
    found.loss.backward()
    assert y.grad is not None and torch.isfinite(y.grad).all()


def test_the_divergence_is_never_negative_and_zero_for_a_uniform_posterior() -> None:
    quantizer, y = make("softvq"), make_y()
    rate = math.log(K) * N * 2 * SIDE * SIDE
    assert 0 < (quantizer(y).loss + rate).item() < rate
    quantizer.codebooks.data.zero_()
    assert (quantizer(y).loss + rate).item() == pytest.approx(0, abs=1e-9)
