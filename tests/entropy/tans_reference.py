"""The format of docs/FORMAT-tans.md in plain Python, written from the document and not from the C code."""

from __future__ import annotations

from collections.abc import Callable, Sequence


class Table:
    """Cells of one table: who owns them and which number they have."""

    def __init__(self, counts: Sequence[int]) -> None:
        self.counts = [int(count) for count in counts]
        total = sum(self.counts)
        self.log = total.bit_length() - 1
        assert total == 1 << self.log
        self.owner = [-1] * total
        place = 0
        for symbol, count in enumerate(self.counts):
            for _ in range(count):
                assert self.owner[place] == -1
                self.owner[place] = symbol
                place = (place + total // 2 + total // 8 + 3) % total
        given = list(self.counts)
        self.number, self.cell = [], {}
        for cell, symbol in enumerate(self.owner):
            self.number.append(given[symbol])
            self.cell[symbol, given[symbol]] = cell
            given[symbol] += 1


def encode(tables: Sequence[Table], symbols: Sequence[int]) -> bytes:
    """One stream; a table for every symbol."""
    log = tables[0].log
    state, bits = 1 << log, []
    for table, symbol in zip(reversed(tables), reversed(symbols), strict=True):
        count = table.counts[symbol]
        n = next(n for n in range(log + 1) if count <= state >> n < 2 * count)
        bits += [state >> i & 1 for i in range(n)]
        state = (1 << log) + table.cell[symbol, state >> n]
    bits += [state >> i & 1 for i in range(log + 1)]
    value = sum(bit << i for i, bit in enumerate(bits))
    return value.to_bytes((len(bits) + 7) // 8, "little")


def decode(stream: bytes, log: int, positions: int, table_of: Callable[[int, list[int]], Table]) -> list[int]:
    """`table_of(position, symbols so far)` names the table of the next symbol."""
    assert stream[-1] != 0
    value = int.from_bytes(stream, "little")
    left = value.bit_length() - 1

    def read(n: int) -> int:
        nonlocal left
        left -= n
        assert left >= 0
        return value >> left & ((1 << n) - 1)

    state, symbols = (1 << log) + read(log), []
    for position in range(positions):
        table = table_of(position, symbols)
        cell = state - (1 << log)
        number = table.number[cell]
        n = log - (number.bit_length() - 1)
        state = (number << n) + read(n)
        symbols.append(table.owner[cell])
    assert state == 1 << log
    assert left == 0
    return symbols
