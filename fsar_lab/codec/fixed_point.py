"""Logits to counts in integers: a softmax that gives the same bits on every machine.

Logits are logarithms to base 2 in units of 2^-8 bit. docs/FORMAT-bundle.md, section 5, specifies every step;
no float decides anything here, and no intermediate value exceeds 63 bits.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

LOGIT_BITS = 8  # fractional bits of a logit
WEIGHT_BITS = 30  # the most likely symbol has weight 2^30; what is less likely than 2^-31 of it has none
MAX_LOGIT = 1 << 24  # logits are within +-2^24, i.e. 65536 bits: far beyond what can matter


def _fractions() -> NDArray[np.int64]:
    """floor(2^(30 - f/256)) for f = 0..255: the largest v with v^256 <= 2^(30 * 256 - f)."""
    values = []
    for f in range(1 << LOGIT_BITS):
        power = 1 << (WEIGHT_BITS << LOGIT_BITS) - f
        value = int(2.0 ** (WEIGHT_BITS - f / (1 << LOGIT_BITS)))  # a guess, which integers put right
        while value ** (1 << LOGIT_BITS) > power:
            value -= 1
        while (value + 1) ** (1 << LOGIT_BITS) <= power:
            value += 1
        values.append(value)
    return np.asarray(values, np.int64)


FRACTIONS = _fractions()


def exp2_weights(logits: NDArray[np.integer]) -> NDArray[np.int64]:
    """2^30 * 2^(logit - the row's largest), rounded down twice: int64 [M, K].

    The error is below one unit in the last place of the fraction and one of the shifted weight.

    Args:
        logits: int [M, K], units of 2^-8 bit, within +-2^24.
    """
    wide = logits.astype(np.int64)
    below = wide.max(1, keepdims=True) - wide
    shift = np.minimum(below >> LOGIT_BITS, 63)
    weights: NDArray[np.int64] = FRACTIONS[below & (1 << LOGIT_BITS) - 1] >> shift
    return weights


def softmax_counts(logits: NDArray[np.integer], bits: int) -> NDArray[np.uint32]:
    """Counts of sum 2^bits, every one at least 1, in proportion to 2^logit.

    A symbol's share of the total is a = w * 2^bits / S. Every symbol gets one count; what a symbol's share
    exceeds one by decides how the other 2^bits - K counts are given out. So only symbols that would have
    less than one count gain, and the others pay for them in proportion. Rounding is that of a cumulative
    sum: no count is off by more than one.

    Args:
        logits: int [M, K], units of 2^-8 bit, within +-2^24.
        bits: 8..16, with K <= 2^bits.

    Returns:
        uint32 [M, K].

    Raises:
        ValueError: a shape, number of bits or logit outside these ranges.
    """
    if logits.ndim != 2 or not 8 <= bits <= 16 or not 1 <= logits.shape[1] <= 1 << bits:
        raise ValueError(f"cannot spread 2^{bits} counts over logits of shape {logits.shape}")
    if logits.size and max(int(logits.max()), -int(logits.min())) > MAX_LOGIT:
        raise ValueError("logits exceed 2^24")
    size, total = logits.shape[1], 1 << bits
    weights = exp2_weights(logits)
    one_count = weights.sum(1, keepdims=True) >> bits
    cumulative = np.cumsum(np.maximum(weights - one_count, 0), 1)  # below 2^46
    divisor = np.maximum(cumulative[:, -1:], 1)  # 0 only if K = 2^bits, where nothing is left to give
    given: NDArray[np.int64] = cumulative * (total - size) // divisor  # below 2^62
    given[:, 1:] -= given[:, :-1].copy()
    return (given + 1).astype(np.uint32)
