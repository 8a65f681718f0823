"""Static tables from counts: as many as there are alphabets that share nothing but their size."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fsar_lab.codec.prior import PRODUCT_BITS, PriorTables

BITS = 16  # of a table: the floor of one count in 2^16 costs little even with thousands of symbols
FEATURE = 16  # a table's own feature: its logits are kept in steps of 2^-10 bit, within +-32 bits of the mean


def counted_tables(counts: NDArray[np.integer], groups: int) -> PriorTables:
    """A table for each row of counts, for `groups` groups: consecutive ones share a row.

    A symbol's probability is (count + 1/2) / (total + K/2), the Krichevsky-Trofimov estimate.

    Args:
        counts: int [T, K], how often each symbol was seen.
        groups: a multiple of T.
    """
    smooth = counts.astype(np.float64) + 0.5
    logits = np.log2(smooth / smooth.sum(1, keepdims=True))
    mean = logits.mean(0)
    basis = np.rint((logits - mean) * (1 << PRODUCT_BITS) / FEATURE)
    return PriorTables(
        features=np.eye(len(counts), dtype=np.int16) * np.int16(FEATURE),
        basis=np.clip(basis, -32767, 32767).astype(np.int16),
        bias=np.rint(mean * (1 << PRODUCT_BITS)).astype(np.int32),
        context_map=np.repeat(np.arange(len(counts), dtype=np.uint16), groups // len(counts))[:, None],
        bits=BITS,
        offsets=(),
    )
