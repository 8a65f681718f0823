"""Colours that an image has had, and which samples are one of them: docs/FORMAT-entropy.md, section 12.

The reading of that section for the engine that is there to be compared with; the entropy coder has its own.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

TOTAL = 1 << 16
WINDOW = 32  # values that are looked up, around the mean
MOST = 8  # of them that count: else only the middle ones are looked at
CONTEXTS = 36 * MOST
LIMIT = 1023  # of a pair of counters
LEAST = 64  # slots of either answer
Interval = tuple[int, int]  # begin and end of slots


@dataclass(frozen=True)
class Known:
    """What is known of one sample.

    Attributes:
        values: the known values near the mean, ascending; at least one.
        counts: slots of all 256 values under the distribution.
        context: number of the pair of counters.
    """

    values: list[int]
    counts: NDArray[np.int64]
    context: int

    def starts(self, known: bool) -> tuple[list[int], list[int]]:
        """The values that are known, or those that are not, and where their slots begin among 2^16."""
        chosen = np.zeros(256, np.bool_)
        chosen[self.values] = True
        which = np.flatnonzero(chosen == known)
        ends = np.cumsum(self.counts[which])
        begins = (ends - self.counts[which]) * TOTAL // ends[-1]
        return which.tolist(), begins.tolist()

    def interval(self, sample: int) -> Interval:
        """Slots of a sample among those that are known, or not, as it is."""
        which, begins = self.starts(sample in self.values)
        place = which.index(sample)
        return begins[place], [*begins, TOTAL][place + 1]


class Recall:
    """What one image has had."""

    def __init__(self) -> None:
        self.greens = np.zeros((256, 256), np.bool_)  # [red, green]
        self.blues = np.zeros((256, 256, 256), np.bool_)  # [red, green, blue]
        self.counters = np.ones((2, CONTEXTS, 2), np.int64)

    def look(self, before: Sequence[int], row: NDArray[np.uint16], mean: int) -> Known | None:
        """What is known of a sample after those of the same pixel before it; None if that is nothing.

        Args:
            before: red, or red and green.
            row: C(0) ... C(255), uint16 [256].
            mean: of the distribution, in grey levels.
        """
        had = self.greens[before[0]] if len(before) == 1 else self.blues[before[0], before[1]]
        first = min(max(mean - WINDOW // 2, 0), 256 - WINDOW)
        values: list[int] = []
        for cut in (0, WINDOW // 4, 3 * WINDOW // 8):
            values = (first + cut + np.flatnonzero(had[first + cut : first + WINDOW - cut])).tolist()
            if len(values) <= MOST:
                break
        if not values:
            return None
        edges = np.append(row.astype(np.int64), TOTAL)
        counts = edges[1:] - edges[:-1]
        rest = TOTAL - int(counts[values].sum())
        length = rest.bit_length() - 1
        bucket = (15 - length) * 4 + 3 - (rest >> (length - 2) & 3)
        return Known(values, counts, bucket * MOST + len(values) - 1)

    def split(self, colour: int, known: Known) -> int:
        """Slots of the answer that a sample is known: the first ones of 2^16."""
        no, yes = self.counters[colour - 1, known.context].tolist()
        return int(min(max(TOTAL * yes // (no + yes), LEAST), TOTAL - LEAST))

    def learn(self, colour: int, answers: Iterable[tuple[Known, bool]]) -> None:
        """The answers of one step, in the order of the lanes."""
        for known, answer in answers:
            pair = self.counters[colour - 1, known.context]
            pair[int(answer)] += 1
            if pair.sum() > LIMIT:
                pair[:] = (pair + 1) // 2

    def add(self, pixels: NDArray[np.uint8]) -> None:
        """The pixels of one step, [places, 3]."""
        red, green, blue = pixels.T
        self.greens[red, green] = True
        self.blues[red, green, blue] = True
