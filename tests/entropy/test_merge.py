"""Contexts merged into few tables: the stated loss holds, and equal contexts find each other."""

from __future__ import annotations

import numpy as np
import pytest

from fsar_lab import entropy
from fsar_lab.errors import TableError


def family(rng: np.random.Generator, kinds: int, contexts: int, symbols: int, noise: float) -> np.ndarray:
    """Probabilities [contexts, symbols] that scatter around `kinds` distributions."""
    centres = rng.normal(0, 2, (kinds, symbols))
    logits = centres[rng.integers(0, kinds, contexts)] + rng.normal(0, noise, (contexts, symbols))
    p = np.exp(logits)
    return p / p.sum(1, keepdims=True)


def counts_of(p: np.ndarray, bits: int) -> np.ndarray:
    return entropy.counts_from_weights(np.rint(p * 2**40).astype(np.uint64), bits)


def loss_of(counts: np.ndarray, occurrences: np.ndarray, merged: entropy.Merged, bits: int) -> float:
    """Mean divergence relative to the mean entropy."""
    p = counts / 2**bits
    table = merged.counts[merged.context_map] / 2**bits
    weights = occurrences / occurrences.sum()
    divergence = (p * np.log2(np.where(p > 0, p, 1) / np.where(p > 0, table, 1))).sum(1)
    own = -(p * np.log2(np.where(p > 0, p, 1))).sum(1)
    return float((weights * divergence).sum() / (weights * own).sum())


@pytest.mark.parametrize("bits", [10, 14, 16])
@pytest.mark.parametrize("loss_ppm", [2000, 20000])
def test_stated_loss(bits, loss_ppm):
    rng = np.random.default_rng(bits)
    counts = counts_of(family(rng, 12, 600, 40, 0.15), bits)
    occurrences = rng.integers(0, 1000, 600).astype(np.uint64)
    merged = entropy.merge_contexts(counts, occurrences, loss_ppm)
    assert (merged.counts.sum(1) == 1 << bits).all()
    assert merged.counts.min() > 0
    assert merged.context_map.max() == len(merged.counts) - 1
    assert len(merged.counts) < 600
    assert merged.loss_ppm <= loss_ppm
    assert loss_of(counts, occurrences, merged, bits) * 1e6 == pytest.approx(
        merged.loss_ppm, rel=0.05, abs=20
    )
    again = entropy.merge_contexts(counts, occurrences, loss_ppm)
    assert np.array_equal(again.context_map, merged.context_map)


def test_equal_distributions_share_a_table():
    rng = np.random.default_rng(1)
    counts = counts_of(family(rng, 5, 5, 20, 0), 12)[rng.integers(0, 5, 200)]
    merged = entropy.merge_contexts(counts, np.ones(200, np.uint64), 1)
    assert np.array_equal(merged.counts[merged.context_map], counts)
    assert len(merged.counts) == len(np.unique(counts, axis=0))


def test_number_of_tables():
    rng = np.random.default_rng(2)
    counts = counts_of(family(rng, 30, 300, 16, 0.5), 12)
    occurrences = np.ones(300, np.uint64)
    assert len(entropy.merge_contexts(counts, occurrences, 0, max_tables=17).counts) == 17
    assert len(entropy.merge_contexts(counts, occurrences, 10, max_tables=9).counts) == 9


def test_a_merged_model_codes():
    rng = np.random.default_rng(3)
    symbols = 6
    counts = counts_of(family(rng, 4, 2 * 49, symbols, 0.1), 12)
    merged = entropy.merge_contexts(counts, np.ones(len(counts), np.uint64), 5000)
    model = entropy.FSARModel(
        entropy.Tables(merged.counts, 12),
        [(0, -1, 0), (0, 0, -1)],
        2,
        symbols,
        context_map=merged.context_map.reshape(2, 49),
    )
    indices = rng.integers(0, symbols, (40, 2, 5, 7)).astype(np.uint16)
    encoder = entropy.Encoder(40)
    encoder.push_fsar(model, indices)
    decoder = entropy.Decoder(encoder.finish(), 40)
    assert np.array_equal(decoder.pop_fsar(model, indices.shape), indices)
    decoder.finish()


def test_refusals():
    good = counts_of(np.full((4, 8), 1 / 8), 10)
    ones = np.ones(4, np.uint64)
    with pytest.raises(ValueError, match="max_tables"):
        entropy.merge_contexts(good, ones, 0, max_tables=0)
    with pytest.raises(ValueError, match="shape"):
        entropy.merge_contexts(good, ones[:3], 100)
    with pytest.raises(ValueError, match="documents"):
        entropy.merge_contexts(good, ones * 0, 100)
    bad = good.copy()
    bad[2, 0] += 1
    with pytest.raises(TableError):
        entropy.merge_contexts(bad, ones, 100)
