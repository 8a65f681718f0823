"""Counts sum exactly, are repeatable and lose next to nothing."""

from __future__ import annotations

import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from fsar_lab.errors import TableError
from fsar_lab.tables import normalise as module
from fsar_lab.tables.normalise import normalise


@given(
    arrays(np.float64, st.tuples(st.integers(1, 5), st.integers(1, 40)), elements=st.floats(1e-12, 1.0)),
    st.integers(8, 16),
)
@settings(max_examples=100, deadline=None)
def test_sums_exactly_with_one_count_at_least(probabilities: np.ndarray, bits: int) -> None:
    if probabilities.shape[1] == 1 and bits == 16:  # 65536 counts are more than one symbol can hold
        with pytest.raises(TableError):
            normalise(probabilities, bits)
        return
    counts = normalise(probabilities, bits)
    assert counts.dtype == np.uint32 and counts.min() >= 1
    assert (counts.sum(1) == 1 << bits).all()
    assert np.array_equal(counts, normalise(probabilities.copy(), bits))


@pytest.mark.parametrize(
    "row", [[1.0, 0, 0, 0], [1e-300, 1, 1e-300, 1e-9], [0.25] * 4, [0.5, 0.5 - 2**-20, 2**-20, 0]]
)
def test_extreme_rows(row: list[float]) -> None:
    counts = normalise(np.array([row]), 8)
    assert counts.sum() == 256 and counts.min() >= 1


def test_equal_remainders_go_to_the_lower_symbol() -> None:
    assert normalise(np.ones((1, 3)), 8).tolist() == [[86, 85, 85]]
    assert normalise(np.ones((2, 256)), 8).tolist() == [[1] * 256] * 2


def test_counts_are_within_one_of_the_share_when_nothing_is_rare() -> None:
    p = np.random.default_rng(0).dirichlet(np.full(16, 5.0), 500)
    counts = normalise(p, 14)
    assert np.abs(counts - p * (1 << 14)).max() <= 1.0


def test_order_of_symbols_is_kept() -> None:
    p = np.random.default_rng(1).dirichlet(np.full(64, 0.2), 200)
    counts = normalise(p, 12).astype(np.int64)
    order = np.argsort(p, axis=1)
    assert (np.diff(np.take_along_axis(counts, order, 1)) >= 0).all()


def test_loss_at_14_bits_is_small() -> None:
    p = np.exp(np.random.default_rng(2).normal(size=(500, 256)) * 2.5)
    p /= p.sum(1, keepdims=True)
    excess = (p * np.log2(p / (normalise(p, 14) / (1 << 14)))).sum(1).mean()
    assert 0 <= excess < 0.006  # bits per symbol, of about 4.5


def test_chunks_do_not_change_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    p = np.random.default_rng(3).random((100, 7))
    whole = normalise(p, 10)
    monkeypatch.setattr(module, "CHUNK_ENTRIES", 20)
    assert np.array_equal(whole, normalise(p, 10))


def test_order_two_tables_take_seconds() -> None:
    p = np.random.default_rng(4).random((66_049, 16)) ** 4
    started = time.process_time()
    normalise(p, 14)
    assert time.process_time() - started < 10


@pytest.mark.parametrize(
    ("bad", "bits"),
    [
        ([[np.nan, 1]], 8),
        ([[-0.1, 1]], 8),
        ([[0.0, 0.0]], 8),
        ([[np.inf, 1]], 8),
        ([[1.0] * 257], 8),
        ([[1.0]], 17),
    ],
)
def test_refuses(bad: list[list[float]], bits: int) -> None:
    with pytest.raises(TableError):
        normalise(np.array(bad), bits)
