"""Probabilities to integer counts that sum to a power of two."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fsar_lab.entropy.build import counts_from_weights
from fsar_lab.errors import TableError

WEIGHT_BITS = 40  # probabilities become integers of this many bits; all that follows is integer arithmetic
CHUNK_ENTRIES = 1 << 21  # entries handled at once: bounds the memory


def normalise(probabilities: NDArray[np.floating], bits: int) -> NDArray[np.uint32]:
    """Counts with exact sum 2^bits and at least one count for every symbol.

    After the first rounding to 40-bit weights everything is integer arithmetic (`counts_from_weights`).
    Counts are made once, at export, and stored: nothing that codes depends on how a machine divides floats.

    Args:
        probabilities: [M, K], non-negative and finite; rows need not sum to one exactly.
        bits: logarithm of the total, 8..16, with K <= 2^bits; at 16 bits there must be two symbols.

    Returns:
        uint32 [M, K].

    Raises:
        TableError: probabilities that are not finite, negative or all zero, or too many symbols.
    """
    least = 1 if bits < 16 else 2  # a count fits 16 bits
    if probabilities.ndim != 2 or not 8 <= bits <= 16 or not least <= probabilities.shape[1] <= 1 << bits:
        raise TableError(f"cannot spread 2^{bits} counts over a table of shape {probabilities.shape}")
    counts = np.empty(probabilities.shape, np.uint32)
    rows = max(1, CHUNK_ENTRIES // probabilities.shape[1])
    for start in range(0, len(probabilities), rows):
        weights = _weights(probabilities[start : start + rows])
        counts[start : start + rows] = counts_from_weights(weights, bits)
    return counts


def _weights(probabilities: NDArray[np.floating]) -> NDArray[np.uint64]:
    """Probabilities [m, K] as integers of about WEIGHT_BITS bits in all."""
    p = np.asarray(probabilities, np.float64)
    total = p.sum(1, keepdims=True)
    if not np.isfinite(total).all() or (p < 0).any() or (total <= 0).any():
        raise TableError("probabilities must be finite, not negative and not all zero")
    weights: NDArray[np.uint64] = np.rint(p / total * (1 << WEIGHT_BITS)).astype(np.uint64)
    return weights
