"""The prior's tables: rules, the counts that follow from the factors, and coding with a map."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from fsar_lab import entropy
from fsar_lab.codec.integer_network import NetworkError
from fsar_lab.codec.prior import PriorTables, TableCoder, uniform_tables

K, TABLES, RANK, GROUPS = 6, 5, 3, 2
OFFSETS = ((0, -1, 0), (0, 0, -1))


def make() -> PriorTables:
    rng = np.random.default_rng(0)
    return PriorTables(
        features=rng.integers(-40, 40, (TABLES, RANK)).astype(np.int16),
        basis=rng.integers(-900, 900, (RANK, K)).astype(np.int16),
        bias=rng.integers(-9000, 9000, K).astype(np.int32),
        context_map=rng.integers(0, TABLES, (GROUPS, (K + 1) ** 2)).astype(np.uint16),
        bits=12,
        offsets=OFFSETS,
    )


def test_counts_follow_the_factors() -> None:
    prior = make()
    prior.check()
    assert prior.counts.shape == (TABLES, K) and (prior.counts.sum(1) == 1 << 12).all()
    logits = (prior.features.astype(float) @ prior.basis + prior.bias) / (1 << 14)
    p = np.exp2(logits) / np.exp2(logits).sum(1, keepdims=True)
    assert np.abs(prior.counts / (1 << 12) - p).max() < (K + 1) / (1 << 12)
    assert len(np.unique(prior.counts, axis=0)) == TABLES


def test_codes_with_the_tables_of_the_map() -> None:
    prior = make()
    indices = np.random.default_rng(1).integers(0, K, (35, GROUPS, 4, 5)).astype(np.uint16)
    coder, encoder = TableCoder(prior), entropy.Encoder(35)
    start = encoder.information()
    coder.push(encoder, indices)
    states = np.zeros((2, *indices.shape), np.int64)
    states[0, :, :, 1:] = indices[:, :, :-1].astype(np.int64) + 1
    states[1, :, :, :, 1:] = indices[:, :, :, :-1].astype(np.int64) + 1
    table = prior.context_map[np.arange(GROUPS)[:, None, None], states[0] * (K + 1) + states[1]]
    expected = 12 * indices.size - np.log2(prior.counts[table, indices]).sum()
    assert encoder.information() - start == pytest.approx(expected, rel=1e-3)
    decoder = entropy.Decoder(encoder.finish(), 35)
    assert np.array_equal(coder.pop(decoder, indices.shape), indices)
    decoder.finish()


def test_uniform() -> None:
    prior = uniform_tables(2, 256, 14)
    prior.check()
    assert (prior.counts == 64).all() and prior.groups == 2 and prior.codebook_size == 256
    assert uniform_tables(1, 3, 8).counts.max() - uniform_tables(1, 3, 8).counts.min() <= 1


@pytest.mark.parametrize(
    "change",
    [
        {"features": np.zeros((TABLES, RANK + 1), np.int16)},
        {"features": np.zeros((0, RANK), np.int16)},
        {"features": np.zeros((TABLES, RANK), np.int32)},
        {"features": np.full((TABLES, RANK), 32767, np.int16), "basis": np.full((RANK, K), 32767, np.int16)},
        {"bias": np.zeros(K - 1, np.int32)},
        {"bias": np.full(K, (1 << 24) + 1, np.int32)},
        {"bias": np.full(K, -(1 << 31), np.int32)},
        {"bits": 7},
        {"bits": 17},
        {"offsets": OFFSETS[:1]},
        {"offsets": OFFSETS * 3},
        {"context_map": np.zeros((GROUPS, K), np.uint16)},
        {"context_map": np.full((GROUPS, (K + 1) ** 2), TABLES, np.uint16)},
        {"context_map": np.zeros((GROUPS, (K + 1) ** 2), np.uint32)},
    ],
    ids=lambda change: "+".join(change),
)
def test_refused(change: dict[str, Any]) -> None:
    with pytest.raises(NetworkError, match="prior"):
        replace(make(), **change).check()
