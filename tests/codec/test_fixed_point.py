"""Softmax in integers: exact sums, golden rows, and close to floats."""

from __future__ import annotations

import numpy as np
import pytest

from fsar_lab.codec.fixed_point import FRACTIONS, exp2_weights, softmax_counts


def float_softmax(logits: np.ndarray) -> np.ndarray:
    p = np.exp2((logits - logits.max(1, keepdims=True)) / 256.0)
    return p / p.sum(1, keepdims=True)


def test_fractions_are_the_floor_of_the_power() -> None:
    assert len(FRACTIONS) == 256 and FRACTIONS.dtype == np.int64
    for f, value in enumerate(FRACTIONS.tolist()):
        assert value**256 <= 1 << (30 * 256 - f) < (value + 1) ** 256
    assert FRACTIONS[[0, 1, 128, 255]].tolist() == [1073741824, 1070838486, 759250124, 538326516]


@pytest.mark.parametrize("bits", [8, 10, 14, 16])
@pytest.mark.parametrize("size", [1, 2, 3, 16, 255, 256])
def test_rows_sum_and_no_count_is_zero(bits: int, size: int) -> None:
    rng = np.random.default_rng(size)
    for spread in (0, 300, 3000, 1 << 23):
        logits = np.clip(np.rint(rng.normal(0, spread, (50, size))), -(1 << 24), 1 << 24).astype(np.int32)
        counts = softmax_counts(logits, bits)
        assert counts.dtype == np.uint32 and counts.shape == logits.shape
        assert (counts.sum(1) == 1 << bits).all() and counts.min() >= 1


@pytest.mark.parametrize("bits", [12, 14, 16])
def test_close_to_floats(bits: int) -> None:
    """The stated bound on every probability, and next to nothing in cost."""
    logits = np.rint(np.random.default_rng(bits).normal(0, 512, (400, 256))).astype(np.int32)
    counts, p = softmax_counts(logits, bits) / (1 << bits), float_softmax(logits)
    assert np.abs(counts - p).max() <= 257 / (1 << bits)
    entropy = -(p * np.log2(p)).sum(1).mean()
    cost = -(p * np.log2(counts)).sum(1).mean()
    assert entropy <= cost <= entropy * (1 + {12: 4e-3, 14: 1e-3, 16: 2e-4}[bits])


def test_weights_are_within_one_unit() -> None:
    logits = np.arange(-256 * 40, 1, 8)[None]
    exact = np.exp2(30 + logits / 256.0)
    error = exact - exp2_weights(logits)
    assert (error >= -1e-6).all() and (error < 2).all()


def test_golden_rows() -> None:
    """The very numbers, which no change may alter: bundles depend on them."""
    logits = np.asarray([[0, -256, -512, -100000], [5, 5, 5, 5], [-1, 0, 1, 2]], np.int32)
    assert softmax_counts(logits, 8).tolist() == [
        [145, 73, 37, 1],
        [64, 64, 64, 64],
        [63, 64, 64, 65],
    ]
    ramp = (np.arange(8, dtype=np.int32)[None] * 97 - 1234) % 1000
    assert softmax_counts(ramp, 14).tolist() == [[3080, 4006, 5209, 452, 587, 764, 994, 1292]]


def test_the_specification_word_by_word() -> None:
    """docs/FORMAT-bundle.md, section 5, in plain Python numbers."""
    rows = np.random.default_rng(4).integers(-4000, 4000, (20, 7))
    for bits, row in ((8, rows[0]), *((14, row) for row in rows)):
        largest = int(row.max())
        w = [int(FRACTIONS[largest - v & 255]) >> min(largest - v >> 8, 63) for v in row.tolist()]
        one, cumulative, counts, before = sum(w) >> bits, 0, [], 0
        excess = sum(max(v - one, 0) for v in w)
        for value in w:
            cumulative += max(value - one, 0)
            given = cumulative * ((1 << bits) - len(w)) // max(excess, 1)
            counts.append(1 + given - before)
            before = given
        assert softmax_counts(row[None], bits).tolist() == [counts]


def test_shift_of_all_logits_changes_nothing() -> None:
    logits = np.random.default_rng(0).integers(-3000, 3000, (20, 31))
    assert np.array_equal(softmax_counts(logits, 14), softmax_counts(logits + 12345, 14))


def test_as_many_symbols_as_counts() -> None:
    logits = np.random.default_rng(0).integers(-3000, 3000, (3, 256))
    assert (softmax_counts(logits, 8) == 1).all()


def test_refusals() -> None:
    good = np.zeros((2, 4), np.int32)
    for logits, bits in (
        (good[0], 10),
        (good, 7),
        (good, 17),
        (np.zeros((1, 257), int), 8),
        (good[:, :0], 8),
    ):
        with pytest.raises(ValueError, match="spread"):
            softmax_counts(logits, bits)
    with pytest.raises(ValueError, match="exceed"):
        softmax_counts(good + (1 << 24) + 1, 10)
