"""Integer frequency tables."""

from __future__ import annotations

from typing import Literal

import numpy as np

from fsar_lab.entropy._arrays import Array, pointer, require
from fsar_lab.entropy._entropy_c import ffi, lib
from fsar_lab.entropy._status import check

Layout = Literal["auto", "fused", "bucketed"]
_LAYOUTS = {"auto": lib.EC_LAYOUT_AUTO, "fused": lib.EC_LAYOUT_FUSED, "bucketed": lib.EC_LAYOUT_BUCKETED}


class Tables:
    """Immutable distributions over K symbols, each summing to 2^bits.

    Attributes:
        count: number M of tables.
        symbols: alphabet size K.
        bits: precision.
    """

    def __init__(self, counts: Array, bits: int, layout: Layout = "auto") -> None:
        """Validates the counts and builds the decoder's look-up.

        Args:
            counts: uint32 [M, K]; every row sums to exactly 2^bits; a symbol of count 0 cannot be coded.
            bits: 8..16. At 16 bits no symbol may hold all 65536 counts.
            layout: how the decoder finds a symbol; streams do not depend on it. "auto" takes fused slots
                where they fit a second-level cache (512 KiB), else bucketed rows.

        Raises:
            TypeError: counts are not a uint32 array.
            ValueError: sizes out of range, or a fused layout that does not fit 32-bit entries.
            TableError: a row breaks its rules.
        """
        counts = require("counts", counts, np.uint32, (None, None))
        self.count, self.symbols = int(counts.shape[0]), int(counts.shape[1])
        self.bits = int(bits)
        if not 8 <= self.bits <= 16:
            raise ValueError(f"bits must be 8..16, not {bits}")
        if self.count < 1 or not 1 <= self.symbols <= 65535:
            raise ValueError(f"counts must hold at least one table over 1..65535 symbols, not {counts.shape}")
        out = ffi.new("ec_tables **")
        status = lib.ec_tables_create(
            pointer(counts), self.count, self.symbols, self.bits, _LAYOUTS[layout], out
        )
        check(status, f"{self.count} tables of {self.symbols} symbols at {self.bits} bits")
        self._c = ffi.gc(out[0], lib.ec_tables_free, lib.ec_tables_bytes(out[0]))

    @property
    def layout(self) -> str:
        """The decoder's look-up in use: "fused" or "bucketed"."""
        return "fused" if lib.ec_tables_layout(self._c) == lib.EC_LAYOUT_FUSED else "bucketed"

    @property
    def nbytes(self) -> int:
        """Bytes of the counts as they are serialised (two bytes a count)."""
        return 2 * self.count * self.symbols

    @property
    def expanded_nbytes(self) -> int:
        """Bytes held in memory for coding."""
        return int(lib.ec_tables_bytes(self._c))

    def counts(self, table: int) -> Array:
        """The counts of one table, uint32 [K]."""
        out = np.empty(self.symbols, np.uint32)
        if not 0 <= table < self.count:
            raise IndexError(f"table {table} of {self.count}")
        check(lib.ec_tables_counts(self._c, table, pointer(out)), "counts")
        return out
