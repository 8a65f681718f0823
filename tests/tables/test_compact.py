"""Few tables for many contexts: the promise about what that costs, on a made source."""

from __future__ import annotations

import numpy as np
import pytest

from fsar_lab.codec.prior import PRODUCT_BITS, PriorTables
from fsar_lab.tables import compact
from fsar_lab.tables.latents import BITS, code_length, contexts_of
from fsar_lab.tables.normalise import normalise

K, OFFSETS = 12, ((0, -1, 0), (0, 0, -1))


def source(seed: int, images: int) -> tuple[np.ndarray, np.ndarray]:
    """Counts of all contexts [(K+1)^2, K] of a smooth source, and indices [images, 1, 8, 8] drawn from it."""
    rng = np.random.default_rng(7)
    states = np.vstack([np.zeros(2), rng.normal(0, 1, (K, 2))])
    guess = (states[:, None] + states[None]).reshape(-1, 2) * 0.6
    logits = -((guess[:, None] - states[None, 1:]) ** 2).sum(2) * 1.5
    p = np.exp(logits)
    p /= p.sum(1, keepdims=True)
    draw = np.random.default_rng(seed)
    indices = np.zeros((images, 1, 8, 8), np.uint16)
    for y in range(8):
        for x in range(8):
            above = indices[:, 0, y - 1, x].astype(int) + 1 if y else np.zeros(images, int)
            left = indices[:, 0, y, x - 1].astype(int) + 1 if x else np.zeros(images, int)
            cumulative = p[above * (K + 1) + left].cumsum(1)
            chosen = (draw.random((images, 1)) > cumulative).sum(1)
            indices[:, 0, y, x] = np.minimum(chosen, K - 1)
    return normalise(p, BITS), indices


def make(loss_ppm: int, images: int = 2000) -> tuple[compact.Compact, PriorTables]:
    counts, indices = source(1, images)
    contexts = contexts_of(indices, OFFSETS, K)
    made = compact.compact_tables(counts, contexts, indices, loss_ppm, PRODUCT_BITS)
    tables = PriorTables(made.features, made.basis, made.bias, made.context_map.reshape(1, -1), BITS, OFFSETS)
    tables.check()
    return made, tables


@pytest.mark.parametrize("loss_ppm", [2000, 10000, 50000])
def test_loss_on_other_images_is_within_the_promise(loss_ppm: int) -> None:
    made, tables = make(loss_ppm)
    counts, indices = source(2, 1000)
    contexts = contexts_of(indices, OFFSETS, K)
    own = code_length(tables.counts, tables.context_map[0][contexts], indices)
    loss = own / code_length(counts, contexts, indices) - 1
    assert made.merge_loss_ppm <= loss_ppm
    assert len(tables.counts) < len(counts)
    # The source is known exactly, so learning from 128,000 symbols of it can only add noise.
    assert loss < loss_ppm / 1e6 + 0.002


def test_looser_promises_take_fewer_tables(monkeypatch: pytest.MonkeyPatch) -> None:
    unmerged = len(make(50000)[0].features)
    monkeypatch.setattr(compact, "UNMERGED", 0)
    assert len(make(50000)[0].features) < len(make(2000)[0].features) <= unmerged


def test_deterministic() -> None:
    first, second = make(5000)[0], make(5000)[0]
    for name in ("features", "basis", "bias", "context_map"):
        assert np.array_equal(getattr(first, name), getattr(second, name))


def test_contexts_never_seen_have_the_networks_distribution() -> None:
    counts, indices = source(1, 1)  # 64 symbols: most of the 169 contexts do not occur
    contexts = contexts_of(indices, OFFSETS, K)
    made = compact.compact_tables(counts, contexts, indices, 1000, PRODUCT_BITS)
    tables = PriorTables(made.features, made.basis, made.bias, made.context_map.reshape(1, -1), BITS, OFFSETS)
    p, q = counts / (1 << BITS), tables.counts[tables.context_map[0]] / (1 << BITS)
    divergence = (p * np.log2(p / q)).sum(1)
    far = (p * np.log2(p * K)).sum(1)  # from the uniform distribution
    assert np.median(divergence) < 0.1 * np.median(far)
    assert np.isfinite(divergence).all()
