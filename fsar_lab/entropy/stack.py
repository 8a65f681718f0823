"""A stack of coded symbols for bits-back coding: what is popped can be pushed again."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from fsar_lab.entropy._arrays import Array, pointer, require
from fsar_lab.entropy._entropy_c import ffi, lib
from fsar_lab.entropy._status import check
from fsar_lab.entropy.tables import Tables
from fsar_lab.errors import DamagedStreamError


class Stack:
    """One rANS state on a buffer of words that grows as needed.

    Popping with a distribution that nothing was pushed with draws a sample from it and takes its information
    from the stack; pushing the sample again with the same distribution restores the stack exactly. Bits-back
    coding pops the latents from the posterior, then pushes the data and the latents with the model.
    push of n symbols followed by pop of n gives them in their order. A call that raises changes nothing.
    """

    def __init__(self, initial: Array | None = None) -> None:
        """Starts with the given words.

        Args:
            initial: uint16 [n], bits for the first pops to use (random, or other compressed data); they come
                back when everything was undone. The last one becomes the low half of the state at once, the
                others are words. None: no words.
        """
        words = np.empty(0, np.uint16) if initial is None else require("initial", initial, np.uint16, (None,))
        self._c = ffi.new("ec_stack *")
        self._words = np.array(words)
        check(lib.ec_stack_init(self._c, pointer(self._words), len(words), len(words)), "Stack")

    @property
    def bits(self) -> float:
        """Information held: 16 bits per word plus log2(state / 2^16). Differences are exact costs."""
        return 16 * int(self._c.count) + math.log2(self._c.state) - 16

    @property
    def words(self) -> int:
        """Words held below the state."""
        return int(self._c.count)

    def push(self, tables: Tables, symbols: Array, index: Array | None = None) -> None:
        """Codes symbols.

        Args:
            tables: the distributions.
            symbols: uint16 [n].
            index: uint32 [n], the table of each; None: table 0.

        Raises:
            SymbolRangeError: a symbol or index cannot be coded.
        """
        symbols = require("symbols", symbols, np.uint16, (None,))
        ids = ffi.NULL if index is None else pointer(require("index", index, np.uint32, symbols.shape))
        number = len(symbols)

        def call() -> int:
            return int(lib.ec_stack_push(self._c, tables._c, pointer(symbols), ids, number))

        self._push(call, number, "Stack.push")

    def pop(self, tables: Tables, number: int, index: Array | None = None) -> Array:
        """Decodes or samples symbols.

        Args:
            tables: the distributions.
            number: n.
            index: uint32 [n], the table of each; None: table 0.

        Returns:
            uint16 [n].

        Raises:
            DamagedStreamError: the stack holds too few bits.
        """
        ids = ffi.NULL if index is None else pointer(require("index", index, np.uint32, (number,)))
        return self._pop(
            lambda out: lib.ec_stack_pop(self._c, tables._c, ids, number, out), number, "Stack.pop"
        )

    def push_rows(self, starts: Array, bits: int, values: Array) -> None:
        """Codes values with a distribution each.

        Args:
            starts: uint16 [n, K]: symbol k owns the slots starts[k] .. starts[k + 1] - 1, the last one ends
                at 2^bits; every row begins with 0 and does not decrease.
            bits: 8..16.
            values: uint16 [n], each with at least one slot in its row.

        Raises:
            TableError: a row breaks its rules.
            SymbolRangeError: a value is not below K or has no slots.
        """
        values = require("values", values, np.uint16, (None,))
        starts = require("starts", starts, np.uint16, (len(values), None))
        number, symbols = (int(size) for size in starts.shape)

        def call() -> int:
            rows = pointer(starts)
            return int(lib.ec_stack_push_rows(self._c, rows, symbols, bits, pointer(values), number))

        self._push(call, number, "Stack.push_rows")

    def pop_rows(self, starts: Array, bits: int) -> Array:
        """Decodes or samples values with a distribution each.

        Args:
            starts: uint16 [n, K], as in `push_rows`.
            bits: 8..16.

        Returns:
            uint16 [n].

        Raises:
            TableError: a row breaks its rules.
            DamagedStreamError: the stack holds too few bits.
        """
        starts = require("starts", starts, np.uint16, (None, None))
        number, symbols = (int(size) for size in starts.shape)
        rows = pointer(starts)
        return self._pop(
            lambda out: lib.ec_stack_pop_rows(self._c, rows, symbols, bits, number, out),
            number,
            "Stack.pop_rows",
        )

    def push_bits(self, bits: int, values: Array) -> None:
        """Codes numbers of `bits` bits each.

        Args:
            bits: 1..16.
            values: uint16 [n], each below 2^bits.

        Raises:
            SymbolRangeError: a value is too large.
        """
        values = require("values", values, np.uint16, (None,))
        number = len(values)
        self._push(
            lambda: lib.ec_stack_push_bits(self._c, bits, pointer(values), number), number, "Stack.push_bits"
        )

    def pop_bits(self, bits: int, number: int) -> Array:
        """Decodes or samples numbers of `bits` bits each.

        Args:
            bits: 1..16.
            number: n.

        Returns:
            uint16 [n].

        Raises:
            DamagedStreamError: the stack holds too few bits.
        """
        return self._pop(
            lambda out: lib.ec_stack_pop_bits(self._c, bits, number, out), number, "Stack.pop_bits"
        )

    def to_bytes(self) -> bytes:
        """The state in four bytes, then the words from the bottom to the top, little endian."""
        words = self._words[: self._c.count].astype("<u2")
        return int(self._c.state).to_bytes(4, "little") + words.tobytes()

    @classmethod
    def from_bytes(cls, data: bytes) -> Stack:
        """Restores what `to_bytes` gave.

        Raises:
            DamagedStreamError: these are not the bytes of a stack.
        """
        state = int.from_bytes(data[:4], "little")
        if len(data) < 4 or len(data) % 2 or state < 1 << 16:
            raise DamagedStreamError(f"{len(data)} bytes with first state {state} are not those of a stack")
        stack = cls(np.frombuffer(data[4:], "<u2").astype(np.uint16))
        stack._c.state, stack._c.count = state, len(stack._words)
        return stack

    def _push(self, call: Callable[[], int], number: int, what: str) -> None:
        """`call` with room for one more word per symbol."""
        needed = int(self._c.count) + number
        if needed > len(self._words):
            words = np.empty(max(needed, 2 * len(self._words)), np.uint16)
            words[: self._c.count] = self._words[: self._c.count]
            self._words = words
            self._c.words, self._c.capacity = pointer(words), len(words)
        check(call(), what)

    def _pop(self, call: Callable[[Any], int], number: int, what: str) -> Array:
        out = np.empty(number, np.uint16)
        status = call(pointer(out))
        if status == lib.EC_ERR_TRUNCATED:
            raise DamagedStreamError(
                f"{what}: the stack holds only {self.bits:.0f} bits; begin with more initial words, "
                "or the bytes are not what was pushed"
            )
        check(status, what)
        return out
