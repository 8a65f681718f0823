"""Masked and checkerboard convolutions against a naive loop over positions, in values and in gradients."""

from __future__ import annotations

import itertools

import pytest
import torch
from torch import Tensor

from fsar_lab.config.schema import ConvolutionConfig
from fsar_lab.models.priors.convolution import Convolution
from fsar_lab.models.quantizers.base import Quantized
from fsar_lab.tables.masks import mask_taps

N, GROUPS, K, D, H, W = 2, 3, 5, 2, 4, 5
KINDS = list(itertools.product(("raster", "checkerboard"), (3, 5)))


def make_prior(
    mask: str, kernel: int, detach_context: bool = True, detach_posterior: bool = True
) -> Convolution:
    torch.manual_seed(1)
    prior = Convolution(ConvolutionConfig(
        mask=mask, kernel=kernel, detach_context=detach_context, detach_posterior=detach_posterior
    ), GROUPS, K, D).double()  # fmt: skip
    if prior.static is not None:
        torch.nn.init.normal_(prior.static)
    return prior


def make_parts() -> tuple[Tensor, Tensor, Tensor]:
    """Codebooks [G, K, D]; symbols [N, G, H, W]; relaxed selection [G, N*H*W, K]."""
    torch.manual_seed(2)
    codebooks = torch.randn(GROUPS, K, D, dtype=torch.float64, requires_grad=True)
    indices = torch.randint(0, K, (N, GROUPS, H, W))
    noise = torch.randn(GROUPS, N * H * W, K, dtype=torch.float64)
    return codebooks, indices, torch.softmax(noise, -1).requires_grad_()


def straight_through(indices: Tensor, selection: Tensor | None) -> Tensor:
    """s [N, G, H, W, K]: one-hot in value, the selection's gradient."""
    hard = torch.nn.functional.one_hot(indices, K).double()
    if selection is None:
        return hard
    relaxed = selection.view(GROUPS, N, H, W, K).transpose(0, 1)
    return hard + relaxed - relaxed.detach()


def quantized(codebooks: Tensor, indices: Tensor, selection: Tensor | None) -> Quantized:
    samples = torch.einsum("nghwk,gkd->ngdhw", straight_through(indices, selection), codebooks)
    empty = torch.zeros((), dtype=torch.float64)
    return Quantized(indices, samples.flatten(1, 2), samples, selection, empty, empty)


def sees(mask: str, kernel: int, dy: int, dx: int) -> bool:
    """Whether a coded position may depend on the one dy rows and dx columns away."""
    inside = max(abs(dy), abs(dx)) <= kernel // 2
    return inside and ((dy < 0 or (dy == 0 and dx < 0)) if mask == "raster" else (dy + dx) % 2 == 1)


def naive_nats(prior: Convolution, codebooks: Tensor, indices: Tensor, selection: Tensor | None) -> Tensor:
    """-sum_k s_k log p_k, position by position, with the gradients that METHOD 3 and 4 leave."""
    s, half = straight_through(indices, selection), prior.kernel // 2
    weight = prior.convolution.weight.view(GROUPS, K, GROUPS, D, prior.kernel, prior.kernel)
    assert prior.convolution.bias is not None
    costs = torch.zeros(N, GROUPS, H, W, dtype=torch.float64)
    for n, g, i, j in itertools.product(range(N), range(GROUPS), range(H), range(W)):
        logits = prior.convolution.bias.view(GROUPS, K)[g]
        if prior.mask == "checkerboard" and (i + j) % 2:
            assert prior.static is not None
            logits = prior.static[g]
        else:
            for y, x, other in itertools.product(range(H), range(W), range(GROUPS)):
                if sees(prior.mask, prior.kernel, y - i, x - j):
                    vector = s[n, other, y, x] @ codebooks[other]
                    vector = vector.detach() if prior.detach_context else vector
                    logits = logits + weight[g, :, other, :, half + y - i, half + x - j] @ vector
        chosen = s[n, g, i, j].detach() if prior.detach_posterior else s[n, g, i, j]
        costs[n, g, i, j] = -(chosen * torch.log_softmax(logits, -1)).sum()
    return costs


@pytest.mark.parametrize("detach_context", [True, False])
@pytest.mark.parametrize("detach_posterior", [True, False])
@pytest.mark.parametrize(("mask", "kernel"), KINDS)
def test_values_and_gradients_are_the_naive_ones(
    mask: str, kernel: int, detach_context: bool, detach_posterior: bool
) -> None:
    prior = make_prior(mask, kernel, detach_context, detach_posterior)
    codebooks, indices, selection = make_parts()
    found = prior.nats(quantized(codebooks, indices, selection), codebooks)
    expected = naive_nats(prior, codebooks, indices, selection)
    torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-12)

    weights = torch.rand_like(found)  # not all alike, or errors could cancel
    leaves = [selection, codebooks, *prior.parameters()]
    gradients = torch.autograd.grad((found * weights).sum(), leaves, allow_unused=True)
    formula = torch.autograd.grad((expected * weights).sum(), leaves, allow_unused=True)
    for one, other in zip(gradients, formula, strict=True):
        zero = torch.zeros((), dtype=torch.float64)
        one, other = (zero if g is None else g for g in (one, other))
        torch.testing.assert_close(one.broadcast_to(other.shape), other, rtol=1e-9, atol=1e-12)

    to_selection, to_codebooks = gradients[:2]
    assert (to_selection is None) == (detach_context and detach_posterior)
    assert (to_codebooks is None) == detach_context
    assert all(g is not None and g.abs().max() > 0 for g in gradients[2:])


@pytest.mark.parametrize(("mask", "kernel"), KINDS)
def test_without_selection_and_with_soft_samples(mask: str, kernel: int) -> None:
    """Contexts without gradient are the symbols' own vectors, whatever the quantizer's samples are."""
    prior = make_prior(mask, kernel).eval()
    codebooks, indices, _ = make_parts()
    parts = quantized(codebooks, indices, None)
    parts.samples = torch.randn_like(parts.samples)
    expected = naive_nats(prior, codebooks, indices, None)
    torch.testing.assert_close(prior.nats(parts, codebooks), expected, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize(("mask", "kernel"), KINDS)
def test_a_symbol_moves_only_what_may_see_it(mask: str, kernel: int) -> None:
    prior = make_prior(mask, kernel, detach_context=False)
    samples = torch.randn(1, GROUPS, D, H, W, dtype=torch.float64, requires_grad=True)
    logits = prior.logits(samples)
    moved = 0
    for i, j in itertools.product(range(H), range(W)):
        (gradient,) = torch.autograd.grad(
            logits[0, :, :, i, j].sum(), samples, retain_graph=True, allow_unused=True
        )
        seen = gradient[0].abs().sum((0, 1)) > 0
        for y, x in itertools.product(range(H), range(W)):
            anchor = mask == "checkerboard" and (i + j) % 2
            assert bool(seen[y, x]) == (not anchor and sees(mask, kernel, y - i, x - j))
        moved += int(seen.sum())
    assert moved > 0


def test_masks_and_sizes() -> None:
    assert mask_taps("raster", 3) == ((0, -1, -1), (0, -1, 0), (0, -1, 1), (0, 0, -1))
    assert mask_taps("checkerboard", 3) == ((0, -1, 0), (0, 0, -1), (0, 0, 1), (0, 1, 0))
    assert [len(mask_taps(mask, 5)) for mask in ("raster", "checkerboard", "raster3d")] == [12, 12, 62]
    before = tuple((-1, dy, dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1))
    assert mask_taps("raster3d", 3) == before + mask_taps("raster", 3)
    prior = Convolution(ConvolutionConfig(), 2, 256, 32)
    assert sum(p.numel() for p in prior.parameters()) == 295_424  # METHOD 1.2


@pytest.mark.parametrize(("mask", "kernel"), KINDS)
def test_weights_outside_the_mask_neither_act_nor_move(mask: str, kernel: int) -> None:
    prior = make_prior(mask, kernel, detach_context=False)
    codebooks, indices, _ = make_parts()
    before = prior.nats(quantized(codebooks, indices, None), codebooks)
    before.sum().backward()
    gradient = prior.convolution.weight.grad
    assert gradient is not None
    assert torch.equal(gradient.abs().sum((0, 1)) > 0, prior.used > 0)
    with torch.no_grad():
        prior.convolution.weight += 1.0 - prior.used
    assert torch.equal(prior.nats(quantized(codebooks, indices, None), codebooks), before)


@pytest.mark.parametrize("kernel", [3, 5])
def test_three_dimensions(kernel: int) -> None:
    """Values against a loop; what is behind a vector in (plane, row, column) is moved by it."""
    prior, half = make_prior("raster3d", kernel, detach_context=False), kernel // 2
    samples = torch.randn(1, GROUPS, D, H, W, dtype=torch.float64, requires_grad=True)
    logits, bias = prior.logits(samples), prior.convolution.bias
    assert bias is not None and bias.shape == (K,)
    weight = prior.convolution.weight  # [K, D, 1 + half, kernel, kernel]
    for place in itertools.product(range(GROUPS), range(H), range(W)):
        expected, seen = bias.clone(), torch.zeros(GROUPS, H, W, dtype=torch.bool)
        for other in itertools.product(range(GROUPS), range(H), range(W)):
            step = [a - b for a, b in zip(other, place, strict=True)]
            if other < place and max(map(abs, step)) <= half:
                c, i, j = (half + each for each in step)
                expected = expected + weight[:, :, c, i, j] @ samples[0, other[0], :, other[1], other[2]]
                seen[other] = True
        torch.testing.assert_close(logits[0, place[0], :, place[1], place[2]], expected)
        (gradient,) = torch.autograd.grad(
            logits[0, place[0], :, place[1], place[2]].sum(), samples, retain_graph=True
        )
        assert torch.equal(gradient[0].abs().sum(1) > 0, seen)
    assert sum(p.numel() for p in prior.parameters()) == K + K * D * (half + 1) * kernel**2


def test_learns_what_a_neighbour_says() -> None:
    """Columns are constant: given the latent above, a symbol costs almost nothing."""
    torch.manual_seed(0)
    codebooks = torch.nn.functional.one_hot(torch.arange(4)).float().expand(2, 4, 4).contiguous()
    indices = torch.randint(0, 4, (64, 2, 1, 6)).expand(64, 2, 6, 6)
    zero = torch.zeros(())
    prior = Convolution(ConvolutionConfig(), 2, 4, 4)
    optimizer = torch.optim.Adam(prior.parameters(), 0.1)
    samples = torch.stack([codebooks[g][indices[:, g]] for g in range(2)], 1).movedim(-1, 2)
    parts = Quantized(indices, samples.flatten(1, 2), samples, None, zero, zero)
    for _ in range(60):
        optimizer.zero_grad()
        nats = prior.nats(parts, codebooks)
        nats.mean().backward()
        optimizer.step()
    assert nats[:, :, 0].mean() > 1.2  # log 4 = 1.386: the first row has no neighbour above
    assert nats[:, :, 1:].mean() < 0.05
