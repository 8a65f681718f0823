"""The finite-state prior against a naive loop over positions, in values and in gradients."""

from __future__ import annotations

import itertools
import math

import pytest
import torch
from torch import Tensor

from fsar_lab.config.schema import FSARConfig, UniformConfig
from fsar_lab.models.priors.fsar import FSAR
from fsar_lab.models.priors.uniform import Uniform
from fsar_lab.models.quantizers.base import Quantized

N, GROUPS, K, D, H, W = 2, 3, 5, 2, 3, 4
OFFSETS: list[list[list[int]]] = [
    [[0, -1, 0]],
    [[0, 0, -1]],
    [[0, -1, 0], [0, 0, -1]],
    [[0, -2, 0], [0, -1, -1]],
    [[0, -1, 1], [0, 0, -2]],
    [[-1, 0, 0], [0, -1, 1]],
    [[-1, 0, 0], [-2, 0, 0]],
    [[-1, 1, 1], [-2, -1, 3]],
    [[-1, 0, 0], [0, -1, 0], [0, 0, -1]],
    [[0, -7, 0], [0, 0, -9]],  # always outside
]


def make_prior(offsets: list[list[int]], detach_context: bool = True, detach_posterior: bool = True) -> FSAR:
    torch.manual_seed(1)
    config = FSARConfig(offsets=offsets, detach_context=detach_context, detach_posterior=detach_posterior)
    return FSAR(config, GROUPS, K, D).double()


def make_parts(with_selection: bool = True) -> tuple[Tensor, Tensor, Tensor | None]:
    """Codebooks [G, K, D]; symbols [N, G, H, W]; relaxed selection [G, N*H*W, K]."""
    torch.manual_seed(2)
    codebooks = torch.randn(GROUPS, K, D, dtype=torch.float64, requires_grad=True)
    indices = torch.randint(0, K, (N, GROUPS, H, W))
    selection = None
    if with_selection:
        noise = torch.randn(GROUPS, N * H * W, K, dtype=torch.float64)
        selection = torch.softmax(noise, -1).requires_grad_()
    return codebooks, indices, selection


def quantized(codebooks: Tensor, indices: Tensor, selection: Tensor | None) -> Quantized:
    samples = straight_through(codebooks, indices, selection)
    samples = torch.einsum("nghwk,gkd->ngdhw", samples, codebooks)
    empty = torch.zeros((), dtype=torch.float64)
    return Quantized(indices, samples.flatten(1, 2), samples, selection, empty, empty)


def straight_through(codebooks: Tensor, indices: Tensor, selection: Tensor | None) -> Tensor:
    """s [N, G, H, W, K]: one-hot in value, the selection's gradient."""
    hard = torch.nn.functional.one_hot(indices, K).to(codebooks)
    if selection is None:
        return hard
    relaxed = selection.view(GROUPS, N, H, W, K).transpose(0, 1)
    return hard + relaxed - relaxed.detach()


def neighbour(position: tuple[int, int, int], offset: tuple[int, ...]) -> tuple[int, int, int] | None:
    g, i, j = (p + o for p, o in zip(position, offset, strict=True))
    return (g, i, j) if 0 <= g < GROUPS and 0 <= i < H and 0 <= j < W else None


def naive_nats(prior: FSAR, codebooks: Tensor, indices: Tensor, selection: Tensor | None) -> Tensor:
    """-sum_k s_k log p_k, position by position, with the gradients that METHOD 3 and 4 leave."""
    s = straight_through(codebooks, indices, selection)
    costs = torch.zeros(N, GROUPS, H, W, dtype=torch.float64)
    for n, g, i, j in itertools.product(range(N), range(GROUPS), range(H), range(W)):
        inputs = []
        for offset in prior.offsets:
            place = neighbour((g, i, j), offset)
            if place is None:
                inputs.append(codebooks.new_zeros(D))
            else:  # the neighbour's vector lies in its own group's codebook
                vector = s[(n, *place)] @ codebooks[place[0]]
                inputs.append(vector.detach() if prior.detach_context else vector)
        log_p = torch.log_softmax(prior.networks[g](torch.cat(inputs)[None])[0], -1)
        weight = s[n, g, i, j]
        costs[n, g, i, j] = -((weight.detach() if prior.detach_posterior else weight) * log_p).sum()
    return costs


@pytest.mark.parametrize("offsets", OFFSETS, ids=str)
def test_context_states(offsets: list[list[int]]) -> None:
    prior = make_prior(offsets)
    indices = make_parts()[1]
    states = prior.context_states(indices)
    assert states.shape == (N, GROUPS, len(offsets), H, W)
    for n, g, o, i, j in itertools.product(range(N), range(GROUPS), range(len(offsets)), range(H), range(W)):
        place = neighbour((g, i, j), tuple(offsets[o]))
        expected = 0 if place is None else int(indices[(n, *place)]) + 1
        assert int(states[n, g, o, i, j]) == expected


@pytest.mark.parametrize("detach_context", [True, False])
@pytest.mark.parametrize("detach_posterior", [True, False])
@pytest.mark.parametrize("offsets", [OFFSETS[2], OFFSETS[5], OFFSETS[8]], ids=str)
def test_gathered_contexts_give_the_naive_values_and_gradients(
    offsets: list[list[int]], detach_context: bool, detach_posterior: bool
) -> None:
    prior = make_prior(offsets, detach_context, detach_posterior)
    codebooks, indices, selection = make_parts()
    assert selection is not None
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
    if detach_context and detach_posterior:
        assert to_selection is None and to_codebooks is None, "the rate must not move encoder or codebook"
    else:
        assert to_selection is not None and to_selection.abs().max() > 0
    if detach_context:
        assert to_codebooks is None
    assert all(g is not None and g.abs().max() > 0 for g in gradients[2:]), "the prior's network learns"


def test_contexts_alone_carry_gradient_when_the_posterior_is_detached() -> None:
    """A selection matters only where it is a neighbour of something: the last position of all is none's."""
    prior = make_prior(OFFSETS[2], detach_context=False, detach_posterior=True)
    codebooks, indices, selection = make_parts()
    assert selection is not None
    nats = prior.nats(quantized(codebooks, indices, selection), codebooks)
    (gradient,) = torch.autograd.grad(nats.sum(), selection)
    used = gradient.abs().sum(-1).view(GROUPS, N, H, W) > 0
    expected = torch.ones_like(used)
    expected[..., H - 1, W - 1] = False  # neither above nor left of any latent
    assert torch.equal(used, expected)


def test_evaluation_needs_no_selection() -> None:
    for detach_context, detach_posterior in itertools.product((True, False), repeat=2):
        prior = make_prior(OFFSETS[5], detach_context, detach_posterior).eval()
        codebooks, indices, _ = make_parts()
        found = prior.nats(quantized(codebooks, indices, None), codebooks)
        torch.testing.assert_close(found, naive_nats(prior, codebooks, indices, None), rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("offsets", [OFFSETS[5], OFFSETS[7]], ids=str)
def test_a_neighbour_in_another_group_uses_that_groups_codebook(offsets: list[list[int]]) -> None:
    """METHOD 9.1.3: the reference looks it up in the coded symbol's own codebook."""
    prior = make_prior(offsets)
    codebooks, indices, _ = make_parts()
    before = prior.nats(quantized(codebooks, indices, None), codebooks)
    changed = codebooks.detach().clone()
    changed[0] += 1.0
    after = prior.nats(quantized(changed, indices, None), changed)
    assert torch.equal(before[:, 2], after[:, 2]) == all(o[0] != -2 for o in offsets)
    assert not torch.equal(before[:, 1], after[:, 1])  # its neighbour lies in group 0


def test_logits_of_states_are_those_of_the_positions() -> None:
    """What the tables are made from (`logits`) is what training evaluates."""
    prior = make_prior(OFFSETS[5])
    codebooks, indices, _ = make_parts()
    nats = prior.nats(quantized(codebooks, indices, None), codebooks)
    states = prior.context_states(indices)
    for group in range(GROUPS):
        rows = states[:, group].movedim(1, -1).reshape(-1, len(prior.offsets))
        log_p = torch.log_softmax(prior.logits(rows, group, codebooks), -1)
        cost = -log_p.gather(1, indices[:, group].reshape(-1, 1)).view(N, H, W)
        torch.testing.assert_close(nats[:, group], cost, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("offsets", OFFSETS, ids=str)
def test_changing_a_symbol_leaves_every_earlier_distribution(offsets: list[list[int]]) -> None:
    prior = make_prior(offsets)
    indices = make_parts()[1][:1]
    before = prior.context_states(indices)[0].movedim(1, -1).reshape(GROUPS * H * W, -1)
    touched = 0
    for flat in range(GROUPS * H * W):  # raster order: group, row, column
        changed = indices.clone()
        changed.view(-1)[flat] = (changed.view(-1)[flat] + 1) % K
        after = prior.context_states(changed)[0].movedim(1, -1).reshape(GROUPS * H * W, -1)
        assert torch.equal(after[: flat + 1], before[: flat + 1])
        touched += int((after != before).sum())
    assert (touched > 0) == (offsets != OFFSETS[-1])


@pytest.mark.parametrize("detach_context", [True, False])
@pytest.mark.parametrize("detach_posterior", [True, False])
def test_a_drawn_share_of_the_positions_is_an_unbiased_estimate(
    detach_context: bool, detach_posterior: bool
) -> None:
    prior = make_prior(OFFSETS[5], detach_context, detach_posterior)
    codebooks, indices, selection = make_parts()
    assert selection is not None
    parts = quantized(codebooks, indices, selection)
    whole = prior.nats(parts, codebooks)
    positions = N * H * W
    prior.train_share = 0.25
    drawn = positions // 4
    torch.manual_seed(0)
    total = torch.zeros_like(whole)
    rounds = 400
    for _ in range(rounds):
        estimate = prior.nats(parts, codebooks)
        there = estimate != 0
        assert (there.sum((0, 2, 3)) <= drawn).all()
        times = estimate[there] / whole[there] / (positions / drawn)  # a position may be drawn twice
        torch.testing.assert_close(times, times.round(), rtol=0, atol=1e-9)
        total += estimate.detach()
    error = (total / rounds - whole).sum((0, 2, 3)) / whole.sum((0, 2, 3))
    assert error.abs().max() < 0.04  # about four standard deviations
    assert (total > 0).all(), "every position has its turn"

    leaves = [selection, codebooks, *prior.parameters()]
    gradients = torch.autograd.grad(estimate.sum(), leaves, allow_unused=True)
    reached = [g is not None for g in gradients]
    assert reached == [
        not (detach_context and detach_posterior),
        not detach_context,
        *[True] * (len(leaves) - 2),
    ]
    assert torch.equal(prior.eval().nats(parts, codebooks), whole)  # validation and coding see all positions


def test_uniform() -> None:
    codebooks, indices, selection = make_parts()
    prior = Uniform(UniformConfig(), GROUPS, K, D)
    nats = prior.nats(quantized(codebooks, indices, selection), codebooks)
    torch.testing.assert_close(nats, torch.full((N, GROUPS, H, W), math.log(K), dtype=torch.float64))
    assert not nats.requires_grad
