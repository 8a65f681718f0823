"""Probabilities to integer counts that sum to a power of two."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fsar_lab.errors import TableError

WEIGHT_BITS = 40  # probabilities become integers of this many bits; all that follows is integer arithmetic
CHUNK_ENTRIES = 1 << 21  # entries handled at once: bounds the memory (about 10 arrays of 8 bytes each)


def normalise(probabilities: NDArray[np.floating], bits: int) -> NDArray[np.uint32]:
    """Counts with exact sum 2^bits and at least one count for every symbol.

    Symbols whose share is below one count get one; the others divide the rest in proportion by the
    largest-remainder rule, equal remainders going to the lower symbol. After the first rounding to
    40-bit weights everything is integer arithmetic. Counts are made once, at export, and stored: nothing
    that codes depends on how a machine divides floats.

    Args:
        probabilities: [M, K], non-negative and finite; rows need not sum to one exactly.
        bits: logarithm of the total, 1..16, with K <= 2^bits.

    Returns:
        uint32 [M, K].

    Raises:
        TableError: probabilities that are not finite, negative or all zero, or too many symbols.
    """
    if probabilities.ndim != 2 or not 1 <= bits <= 16 or not 1 <= probabilities.shape[1] <= 1 << bits:
        raise TableError(f"cannot spread 2^{bits} counts over a table of shape {probabilities.shape}")
    counts = np.empty(probabilities.shape, np.uint32)
    rows = max(1, CHUNK_ENTRIES // probabilities.shape[1])
    for start in range(0, len(probabilities), rows):
        counts[start : start + rows] = _normalise_rows(_weights(probabilities[start : start + rows]), bits)
    return counts


def _weights(probabilities: NDArray[np.floating]) -> NDArray[np.int64]:
    """Probabilities [m, K] as integers of about WEIGHT_BITS bits in all."""
    p = np.asarray(probabilities, np.float64)
    total = p.sum(1, keepdims=True)
    if not np.isfinite(total).all() or (p < 0).any() or (total <= 0).any():
        raise TableError("probabilities must be finite, not negative and not all zero")
    weights: NDArray[np.int64] = np.rint(p / total * (1 << WEIGHT_BITS)).astype(np.int64)
    return weights


def _normalise_rows(weights: NDArray[np.int64], bits: int) -> NDArray[np.int64]:
    """Integer weights [m, K] (sum about 2^40) to counts with sum 2^bits; products stay below 2^57."""
    rest = np.ones(weights.shape, np.bool_)  # symbols that get more than the minimum
    while True:
        shares = np.where(rest, weights, 0)
        total = np.maximum(shares.sum(1, keepdims=True), 1)
        counts_left = (1 << bits) - (~rest).sum(1, keepdims=True)
        quota = shares * counts_left
        small = rest & (quota < total)  # below one count: give it one and divide what is left again
        if not small.any():
            break
        rest &= ~small
    counts, remainder = np.divmod(quota, total)
    missing = counts_left - counts.sum(1, keepdims=True)
    # Stable order by falling remainder; symbols at the minimum come last and are never reached.
    order = np.argsort(np.where(rest, -remainder, 1), axis=1, kind="stable")
    extra = np.empty_like(counts)
    np.put_along_axis(extra, order, (np.arange(weights.shape[1]) < missing).astype(np.int64), 1)
    return np.where(rest, counts + extra, 1)
