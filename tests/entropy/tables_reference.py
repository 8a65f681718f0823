"""A reader of saved tables and FSAR models in plain Python, written from docs/FORMAT-tables.md alone."""

from __future__ import annotations

import math
import struct
import zlib
from dataclasses import dataclass, field


@dataclass
class Saved:
    """What a file holds; numbers are lists in the document's order."""

    bits: int
    symbols: int
    escape: bool
    counts: list[list[int]]
    groups: int = 0
    offsets: list[tuple[int, int, int]] = field(default_factory=list)
    class_counts: list[int] = field(default_factory=list)
    classes: list[int] | None = None
    context_map: list[int] | None = None


class Bits:
    """Fields of bits, the lowest bit of the first byte first."""

    def __init__(self, data: bytes) -> None:
        self.left = "".join(f"{byte:08b}"[::-1] for byte in data)
        self.at = 0

    def take(self, bits: int) -> int:
        field = self.left[self.at : self.at + bits]
        assert len(field) == bits, "the bits ran out"
        self.at += bits
        return int(field[::-1] or "0", 2)


def read(data: bytes) -> Saved:
    """All of a file, assuming that it is sound."""
    magic, version, kind, length, tables, symbols, bits, escape = struct.unpack_from("<IHHQIIBB", data)
    assert data[:4] == b"\x93FST" and magic and version == 1 and length == len(data)
    assert zlib.crc32(data[:-4]) == int.from_bytes(data[-4:], "little")
    saved = Saved(bits, symbols, bool(escape), [])
    at, has_classes, has_map = 28, 0, 0
    if kind == 2:
        saved.groups, order, has_classes, has_map = struct.unpack_from("<IBBH", data, at)
        at += 8
        for _ in range(order):
            group, row, column, count = struct.unpack_from("<iiiI", data, at)
            saved.offsets.append((group, row, column))
            saved.class_counts.append(count)
            at += 16
    reader = Bits(data[at:-4])
    for _ in range(tables):
        saved.counts.append(_row(reader, symbols + escape, 1 << bits))
    if has_classes:
        entries = saved.groups * len(saved.offsets) * (symbols + 1)
        limit = min(max(saved.class_counts, default=1), 65536)
        saved.classes = _numbers(reader, entries, limit, symbols + 1)
    if has_map:
        contexts = math.prod(saved.class_counts)
        row = saved.class_counts[-1] if saved.class_counts else 1
        saved.context_map = _numbers(reader, saved.groups * contexts, tables, row)
    assert reader.take(len(reader.left) - reader.at) == 0
    return saved


def _row(reader: Bits, columns: int, total: int) -> list[int]:
    floor, k = reader.take(1), reader.take(4)
    counts = []
    for _ in range(columns - 1):
        n = 0
        while reader.take(1) == 0:
            n += 1
        counts.append(floor + 2 ** (n + k) - 2**k + reader.take(n + k))
    return [*counts, total - sum(counts)]


def _numbers(reader: Bits, count: int, limit: int, row: int) -> list[int]:
    width = max(1, (limit - 1).bit_length())
    runs = reader.take(1)
    numbers: list[int] = []
    for i in range(count):
        if not runs:
            numbers.append(reader.take(width))
        elif reader.take(1):
            numbers.append(numbers[i - 1] if i >= 1 else 0)
        elif reader.take(1):
            numbers.append(numbers[i - row] if i >= row else 0)
        else:
            numbers.append(reader.take(width))
    return numbers
