"""Distributions as rows of integers on a stack: one for every mean and scale, from one fine cdf a scale."""

from __future__ import annotations

import numpy as np
from numpy.lib.stride_tricks import as_strided
from numpy.typing import NDArray

from fsar_lab import entropy
from fsar_lab.tables.pixels import FINE

BLOCK = 4096  # rows made at a time: all that is in between stays in the cache


class Rows:
    """Distributions over 256 symbols out of fine cdfs: what is pushed to and popped from a stack.

    Args:
        cdf: uint16 [S, 2045].
        bits: logarithm of the total.
        floor: counts that every symbol has beyond the cdf's.
    """

    def __init__(self, cdf: NDArray[np.uint16], bits: int, floor: int) -> None:
        self.cdf, self.bits, self.floor = np.ascontiguousarray(cdf), bits, floor
        # F_s[4 j - 2 - m] is [s, phase, first, j] for FINE - m = 4 first + phase: a row lies in one piece.
        phases = np.zeros((len(cdf), 4, 512), np.uint16)
        for phase in range(4):
            part = self.cdf[:, phase::4]
            phases[:, phase, : part.shape[1]] = part
        self.nbytes = self.cdf.nbytes + phases.nbytes
        self.windows = as_strided(
            phases, (len(cdf), 4, 256, 256), (*phases.strides, phases.itemsize), writeable=False
        )
        self.floors = (floor * np.arange(256)).astype(np.uint16)

    def starts(self, mean: NDArray[np.uint16], scale: NDArray[np.uint16]) -> NDArray[np.uint16]:
        """Whole rows, uint16 [n, 256]."""
        place = FINE - mean.astype(np.int64)
        rows: NDArray[np.uint16] = self.windows[scale, place & 3, place >> 2]
        rows[:, 0] = 0
        rows += self.floors
        return rows

    def pop(
        self, stack: entropy.Stack, mean: NDArray[np.uint16], scale: NDArray[np.uint16]
    ) -> NDArray[np.uint16]:
        """Decode or sample a symbol for each mean and scale, uint16 [n]."""
        parts = [
            stack.pop_rows(self.starts(mean[i : i + BLOCK], scale[i : i + BLOCK]), self.bits)
            for i in range(0, len(mean), BLOCK)
        ]
        return np.concatenate(parts)

    def push(
        self,
        stack: entropy.Stack,
        mean: NDArray[np.uint16],
        scale: NDArray[np.uint16],
        symbols: NDArray[np.uint16],
    ) -> None:
        """Code symbols. Only where each begins and ends has to be known: it is the middle of three."""
        j, first = symbols.astype(np.int64), FINE - mean.astype(np.int64)
        total = 1 << self.bits
        low = np.where(j == 0, 0, self.cdf[scale, 4 * j + first].astype(np.int64) + self.floor * j)
        after = np.minimum(j + 1, 255)
        high = self.cdf[scale, 4 * after + first].astype(np.int64) + self.floor * after
        high[j == 255] = total
        last = high == total  # 2^16 is no uint16: then the symbol is the last of its row
        rows = np.zeros((len(j), 3), np.uint16)
        rows[:, 1], rows[:, 2] = np.where(last, 0, low), np.where(last, low, high)
        stack.push_rows(rows, self.bits, np.where(last, 2, 1).astype(np.uint16))
