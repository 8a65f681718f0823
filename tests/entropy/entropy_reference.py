"""The format of docs/FORMAT-entropy.md in plain Python, written from the document and not from the C code."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

LOW = 1 << 16
Pair = tuple[int, int]  # start, count
Event = tuple[int, int, int, int]  # lane, start, count, bits


def random_counts(rng: np.random.Generator, tables: int, symbols: int, bits: int, power: float = 2) -> Any:
    """Tables with at least one count everywhere, uint32 [tables, symbols]; greater powers are more peaked."""
    weights = rng.random((tables, symbols)) ** power
    room = (1 << bits) - symbols
    counts = 1 + np.floor(weights / weights.sum(1, keepdims=True) * room).astype(np.int64)
    counts[np.arange(tables), counts.argmax(1)] += (1 << bits) - counts.sum(1)
    full = counts.max(1) >= 1 << 16
    counts[full, 0] -= 1
    counts[full, -1] += 1
    return counts.astype(np.uint32)


class Encoder:
    """One group: push in reverse order of decoding."""

    def __init__(self, lanes: int) -> None:
        self.states = [LOW] * lanes
        self.words: list[int] = []

    def push(self, pairs: Sequence[Sequence[Pair]], bits: int) -> None:
        """`pairs[position][lane]` of one call, in decoding order."""
        self.push_events([(lane, *pair, bits) for position in pairs for lane, pair in enumerate(position)])

    def push_events(self, events: Sequence[Event]) -> None:
        """Symbols of one call in decoding order, each of any lane."""
        for lane, start, count, bits in reversed(events):
            state = self.states[lane]
            if state >= count << (32 - bits):
                self.words.insert(0, state & 0xFFFF)
                state >>= 16
            self.states[lane] = (state // count << bits) + state % count + start

    def finish(self) -> bytes:
        return b"".join(s.to_bytes(4, "little") for s in self.states) + b"".join(
            w.to_bytes(2, "little") for w in self.words
        )


class Decoder:
    """One group."""

    def __init__(self, stream: bytes, lanes: int) -> None:
        self.states = [int.from_bytes(stream[4 * i : 4 * i + 4], "little") for i in range(lanes)]
        rest = stream[4 * lanes :]
        self.words = [int.from_bytes(rest[i : i + 2], "little") for i in range(0, len(rest), 2)]

    def pop(self, lane: int, bits: int, cumulative: Sequence[int]) -> int:
        """The next symbol of a lane; `cumulative` has one entry more than there are symbols."""
        state = self.states[lane]
        slot = state & ((1 << bits) - 1)
        symbol = next(k for k in range(len(cumulative) - 1) if cumulative[k] <= slot < cumulative[k + 1])
        start, count = cumulative[symbol], cumulative[symbol + 1] - cumulative[symbol]
        state = count * (state >> bits) + slot - start
        if state < LOW:
            state = state << 16 | self.words.pop(0)
        self.states[lane] = state
        return symbol

    def pop_raw(self, lane: int, bits: int) -> int:
        """The next raw bits of a lane."""
        value = self.states[lane] & ((1 << bits) - 1)
        state = self.states[lane] >> bits
        self.states[lane] = state << 16 | self.words.pop(0) if state < LOW else state
        return value

    def finish(self) -> None:
        assert self.states == [LOW] * len(self.states)
        assert self.words == []


def cumulate(counts: Sequence[int]) -> list[int]:
    return [0, *np.cumsum(counts).tolist()]


def step_events(rows: Sequence[tuple[int, Sequence[int], int]], bits: int, escape: bool) -> list[Event]:
    """One step of symbols from tables.

    Args:
        rows: lane, counts of its table (the escape's last) and symbol.
        bits: precision of the tables.
        escape: whether there is one.
    """
    symbols, raw = [], []
    for lane, counts, symbol in rows:
        coded = symbol
        if counts[symbol] == 0:
            assert escape
            coded, raw_bits = len(counts) - 1, (len(counts) - 2).bit_length()
            if raw_bits > 0:
                raw.append((lane, symbol, 1, raw_bits))
        symbols.append((lane, int(sum(counts[:coded])), int(counts[coded]), bits))
    return symbols + raw


def wave_steps(
    lanes: int, height: int, width: int, offsets: Sequence[tuple[int, int]], all_count: bool = False
) -> list[list[tuple[int, int, int]]]:
    """The steps of one plane: (lane, row, column) of the symbols of each. Offsets are (row, column)."""
    near = [(r, c) for r, c in offsets if all_count or (abs(r) < height and abs(c) < width)]
    assert all(r <= 0 for r, _ in near)
    gap = max((abs(c) for _, c in near), default=0)
    lag = max([1, *(c // -r + 1 for r, c in near if r < 0)])
    turn = max(width + gap, lanes * lag)
    found: dict[int, list[tuple[int, int, int]]] = {}
    for row in range(height):
        for column in range(width):
            step = row // lanes * turn + row % lanes * lag + column
            found.setdefault(step, []).append((row % lanes, row, column))
    return [sorted(found[step]) for step in sorted(found)]


def fsar_table(
    image: Any, offsets: Sequence[Sequence[int]], symbols: int, group: int, row: int, column: int
) -> int:
    """Table of one symbol; `image` [G, h, w] needs to hold the earlier symbols only."""
    groups, height, width = image.shape
    table = group
    for dg, dr, dc in offsets:
        g, r, c = group + dg, row + dr, column + dc
        inside = 0 <= g < groups and 0 <= r < height and 0 <= c < width
        table = table * (symbols + 1) + (int(image[g, r, c]) + 1 if inside else 0)
    return table


def mean_index(arguments: dict[str, Any], image: Any, logit: int, row: int, column: int, colour: int) -> int:
    """Mean index of one sample; `image` [H, W, C] needs to hold the earlier samples only."""
    height, width, colours = image.shape
    total = int(arguments["mean_lut"][min(max(logit, -2048), 2047) + 2048]) * 4096
    for (dk, dr, dc), weight in zip(arguments["taps"][colour], arguments["weights"][colour], strict=True):
        k, r, c = colour + dk, row + dr, column + dc
        if 0 <= k < colours and 0 <= r < height and 0 <= c < width:
            total += weight * int(image[r, c, k])
    total += arguments["bias"][colour] + (1 << 15)
    return min(max(total >> 16, 0), 1020)


def pixel_cumulative(cdf: Any, mean: int) -> list[int]:
    """C(0) .. C(256) of a scale's fine cdf, t = -1022 .. 1022."""
    return [0, *(int(cdf[4 * j - 2 - mean + 1022]) + j for j in range(1, 256)), 1 << 16]


def raster(*sizes: int) -> list[tuple[int, ...]]:
    return [tuple(int(i) for i in index) for index in np.ndindex(*sizes)]


def encode_positions(
    lanes: int, positions: Sequence[tuple[int, ...]], pair: Callable[[int, tuple[int, ...]], Pair]
) -> list[list[Pair]]:
    return [[pair(lane, position) for lane in range(lanes)] for position in positions]


TWAR = [[(0, -1, -1), (0, -1, 0), (0, 0, -1)]] + [[(-1, 0, 0), (-1, 0, -1), (0, 0, -1)]] * 2
ONE = 4 << 16  # weight 1.0


def pixel_arguments(taps: bool = True, colours: int = 3) -> dict[str, Any]:
    """A small pixel model: 6 scales from a step to nearly flat."""
    t = np.arange(-1022, 1023) / 4
    widths = np.array([0.05, 0.5, 2.0, 8.0, 40.0, 255.0])[:, None]
    cdf = np.rint(65280 / (1 + np.exp(-np.clip(t / widths, -60, 60)))).astype(np.uint16)
    lut = np.rint(16 * 1020 / (1 + np.exp(-np.arange(-2048, 2048) / 256))).astype(np.int16)
    weights = [[-ONE // 2, ONE // 2, ONE // 2], [ONE, -ONE, ONE], [ONE // 3, 0, ONE // 4]]
    bias = [-123456, 5 * ONE, -33]
    shape = TWAR[:colours]
    if colours == 4:
        shape, weights, bias = [*TWAR, [(-3, -1, 2)]], [*weights, [ONE // 5]], [*bias, 7]
    if not taps:
        shape, weights = [[]] * colours, [[]] * colours
    return {
        "cdf": cdf,
        "mean_lut": lut,
        "taps": shape,
        "weights": weights[:colours],
        "bias": bias[:colours],
    }
