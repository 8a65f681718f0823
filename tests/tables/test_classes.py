"""States reduced to classes: which belong together, how many, and the distributions of class contexts."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from fsar_lab.config.schema import FSARConfig
from fsar_lab.models.priors.fsar import FSAR
from fsar_lab.tables import latents, prior_tables
from fsar_lab.tables.classes import reduce_states, ward
from fsar_lab.tables.prior_tables import class_rows, fsar_tables, static_tables

GROUPS, K, D = 2, 6, 3
OFFSETS = [[0, -1, 0], [0, 0, -1], [0, -1, -1]]


def make(offsets: list[list[int]] = OFFSETS, gain: float = 3) -> tuple[FSAR, torch.Tensor]:
    """A prior, and codebooks in which codes 0 and 3, and codes 1 and 5, are twins."""
    torch.manual_seed(0)
    prior = FSAR(FSARConfig(offsets=offsets), GROUPS, K, D).eval()
    for parameter in prior.parameters():
        parameter.data.mul_(gain)
    codebooks = torch.randn(GROUPS, K, D)
    codebooks[:, 3], codebooks[:, 5] = codebooks[:, 0], codebooks[:, 1]
    return prior, codebooks


def draw(n: int = 40, side: int = 6) -> NDArray[np.int64]:
    return np.random.default_rng(1).integers(0, K, (n, GROUPS, side, side))


def sample(prior: FSAR, indices: NDArray[np.int64]) -> list[NDArray[np.int64]]:
    return [
        np.stack([latents.states_of(indices, o)[:, g].reshape(-1) for o in prior.offsets], 1)
        for g in range(GROUPS)
    ]


def test_ward_is_the_greedy_choice_among_all_pairs() -> None:
    rng = np.random.default_rng(0)
    points, weights = rng.normal(size=(9, 4)).astype(np.float32), rng.uniform(0.1, 2, 9)
    merges, costs = ward(points, weights)
    clusters = {i: [i] for i in range(9)}

    def scatter(members: list[int]) -> float:
        w, x = weights[members, None], points[members].astype(float)
        return float((w * (x - (w * x).sum(0) / w.sum()) ** 2).sum())

    for (kept, gone), cost in zip(merges, costs, strict=True):
        options = {
            (a, b): scatter(clusters[a] + clusters[b]) - scatter(clusters[a]) - scatter(clusters[b])
            for a, b in itertools.combinations(sorted(clusters), 2)
        }
        assert (kept, gone) == min(options, key=options.__getitem__)
        assert cost == pytest.approx(options[kept, gone], rel=1e-4)
        clusters[kept] += clusters.pop(gone)


def test_states_that_say_the_same_are_one_class() -> None:
    prior, codebooks = make()
    samples = sample(prior, draw())
    (classes,) = reduce_states(prior, codebooks, samples, [GROUPS * 5**3])
    assert classes.counts == (5, 5, 5), "both pairs of twins, and outside alone"
    assert (classes.of[:, :, 0] == 0).all() and (classes.of[:, :, 1:] > 0).all()
    inside = classes.of[:, :, 1:]
    assert np.array_equal(inside[..., 0], inside[..., 3]) and np.array_equal(inside[..., 1], inside[..., 5])
    assert all(len(np.unique(row)) == 4 for row in inside.reshape(-1, K))


def test_lower_limits_join_classes_of_higher_ones() -> None:
    prior, codebooks = make()
    fine, coarse = reduce_states(prior, codebooks, sample(prior, draw()), [GROUPS * 100, GROUPS * 20])
    assert coarse.contexts < fine.contexts
    for group, tap in itertools.product(range(GROUPS), range(3)):
        pairs = {(int(f), int(c)) for f, c in zip(fine.of[group, tap], coarse.of[group, tap], strict=True)}
        assert len(pairs) == fine.counts[tap], "a fine class lies in one coarse class"


@pytest.mark.parametrize("most", [GROUPS * 8, GROUPS * 30, GROUPS * 100, GROUPS * 7**3])
def test_as_many_contexts_as_are_allowed(most: int) -> None:
    prior, codebooks = make()
    (classes,) = reduce_states(prior, codebooks, sample(prior, draw()), [most])
    assert most * 0.5 <= GROUPS * classes.contexts <= most
    for group in range(GROUPS):
        for tap, count in enumerate(classes.counts):
            assert np.array_equal(np.unique(classes.of[group, tap]), np.arange(count))
        contexts = np.arange(classes.contexts)
        states = classes.representative(group, contexts)
        assert np.array_equal(classes.context(group, states), contexts)
    if most == GROUPS * 7**3:
        assert classes.counts == (7, 7, 7)


def test_the_less_a_neighbour_says_the_fewer_classes_it_gets() -> None:
    prior, codebooks = make()
    for network in prior.networks:
        network[0].weight.data[:, D : 2 * D] *= 0.02  # type: ignore[index]
    (classes,) = reduce_states(prior, codebooks, sample(prior, draw()), [GROUPS * 60])
    assert classes.counts[1] < min(classes.counts[0], classes.counts[2])


def test_rows_are_means_over_the_contexts_that_occur() -> None:
    prior, codebooks = make()
    indices = draw(3)
    samples = sample(prior, indices)
    (classes,) = reduce_states(prior, codebooks, samples, [GROUPS * 60])
    numbers = latents.contexts_of(indices, prior.offsets, K, classes.of, classes.counts)
    for group in range(GROUPS):
        rows = class_rows(prior, codebooks, group, classes, samples[group])
        p = latents.probabilities(prior, codebooks, group, samples[group])
        place = numbers[:, group].reshape(-1) - group * classes.contexts
        assert np.array_equal(place, classes.context(group, samples[group]))
        for context in range(classes.contexts):
            if (place == context).any():
                expected = p[place == context].mean(0)
            else:
                states = classes.representative(group, np.array([context]))
                expected = latents.probabilities(prior, codebooks, group, states)[0]
            np.testing.assert_allclose(rows[context], expected, rtol=1e-4, atol=1e-6)


def test_tables_by_classes_cost_little_more_than_enumerated_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    """Symbols drawn from the prior itself, coded with tables of either kind."""
    prior, codebooks = make(OFFSETS[:2], gain=2.5)
    rng = np.random.default_rng(0)
    indices = np.zeros((300, GROUPS, 6, 6), np.int64)
    for y, x in itertools.product(range(6), range(6)):
        for group in range(GROUPS):
            states = np.stack([latents.states_of(indices, o)[:, group, y, x] for o in prior.offsets], 1)
            p = latents.probabilities(prior, codebooks, group, states)
            indices[:, group, y, x] = (p.cumsum(1) < rng.random((300, 1))).sum(1).clip(0, K - 1)
    train, test = indices[:200], indices[200:]

    def bits(most: int | None) -> float:
        if most is not None:
            monkeypatch.setattr(prior_tables, "MAX_ENUMERATED", 1)
            monkeypatch.setattr(prior_tables, "COARSE_COUNTS", most * K)
            monkeypatch.setattr(latents, "MAX_CONTEXTS", most)
        tables = fsar_tables(prior, codebooks, train)
        tables.check()
        assert (tables.classes is None) == (most is None)
        contexts = latents.contexts_of(test, prior.offsets, K, tables.classes, tables.class_counts)
        return latents.code_length(tables.counts, tables.context_map.reshape(-1)[contexts], test)

    enumerated, twins, few = bits(None), bits(GROUPS * 25), bits(GROUPS * 4)
    assert twins == pytest.approx(enumerated, rel=2e-3)
    assert twins < few
    static = static_tables(np.full((GROUPS, K), 1 / K), train, 14)
    contexts = latents.contexts_of(test, (), K)
    none = latents.code_length(static.counts, static.context_map.reshape(-1)[contexts], test)
    assert few < none


def test_static_tables_are_the_frequencies() -> None:
    rng = np.random.default_rng(0)
    p = rng.dirichlet(np.ones(K), GROUPS)
    indices = np.stack([rng.choice(K, (400, 20, 20), p=row) for row in p], 1)
    tables = static_tables(np.full((GROUPS, K), 1 / K), indices, 14)
    tables.check()
    got = tables.counts[tables.context_map[:, 0]] / 2**14
    assert np.abs(got - p).max() < 0.02
