"""Integer frequency tables."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np

from fsar_lab.entropy._arrays import Array, pointer, require
from fsar_lab.entropy._entropy_c import ffi, lib
from fsar_lab.entropy._saved import saved_tables
from fsar_lab.entropy._status import check

Layout = Literal["auto", "fused", "tree", "buckets", "splits"]
LAYOUTS = {
    "auto": lib.EC_LAYOUT_AUTO,
    "fused": lib.EC_LAYOUT_FUSED,
    "tree": lib.EC_LAYOUT_TREE,
    "buckets": lib.EC_LAYOUT_BUCKETS,
    "splits": lib.EC_LAYOUT_SPLITS,
}


def isa() -> str:
    """The instructions that new models will use.

    "avx512", "avx2-vnni", "avx2-gather", "avx2", "sse4", "neon" or "scalar"; the environment variable EC_ISA
    chooses another one than the best. Streams do not depend on it.
    """
    return str(ffi.string(lib.ec_isa()).decode())


class Tables:
    """Immutable distributions over K symbols, each summing to 2^bits.

    Attributes:
        count: number M of tables.
        symbols: alphabet size K, the escape not counted.
        bits: precision.
        escape: whether symbols without a count are coded as an escape and raw bits.
    """

    def __init__(self, counts: Array, bits: int, layout: Layout = "auto", *, escape: bool = False) -> None:
        """Validates the counts and builds the decoder's look-up.

        Args:
            counts: uint32 [M, K], or [M, K+1] with an escape, whose count is then the last; every row sums to
                exactly 2^bits. A symbol of count 0 is coded as an escape and ceil(log2 K) raw bits; in a row
                without a count for the escape it cannot be coded.
            bits: 8..16. At 16 bits no symbol may hold all 65536 counts, and the first must have one.
            layout: how the decoder finds a symbol; streams do not depend on it. "auto" takes fused slots
                where they fit a first-level cache (64 KiB), else splits, buckets or a tree (entropy_c.h).
                "tree" has the smallest rows and is the fastest for images that are coded one at a time.
            escape: whether the last column is the escape.

        Raises:
            TypeError: counts are not a uint32 array.
            ValueError: sizes out of range, or a fused layout that does not fit 32-bit entries.
            TableError: a row breaks its rules.
        """
        counts = require("counts", counts, np.uint32, (None, None))
        self.count, self.symbols = int(counts.shape[0]), int(counts.shape[1]) - int(escape)
        self.bits, self.escape = int(bits), bool(escape)
        if not 8 <= self.bits <= 16:
            raise ValueError(f"bits must be 8..16, not {bits}")
        if self.count < 1 or not 1 <= self.symbols <= 65536 - int(escape):
            raise ValueError(f"counts must hold at least one table over 1..65536 symbols, not {counts.shape}")
        out = ffi.new("ec_tables **")
        status = lib.ec_tables_create(
            pointer(counts), self.count, self.symbols, self.bits, int(escape), LAYOUTS[layout], out
        )
        check(status, f"{self.count} tables of {self.symbols} symbols at {self.bits} bits")
        self._own(out[0])

    @classmethod
    def _of(cls, c: Any) -> Tables:
        """The owner of an `ec_tables *`."""
        self = cls.__new__(cls)
        info = ffi.new("ec_tables_info *")
        lib.ec_tables_describe(c, info)
        self.count, self.symbols, self.bits = int(info.tables), int(info.symbols), int(info.bits)
        self.escape = bool(info.escape)
        self._own(c)
        return self

    def _own(self, c: Any) -> None:
        self._c = ffi.gc(c, lib.ec_tables_free, lib.ec_tables_bytes(c))

    @property
    def layout(self) -> str:
        """The decoder's look-up in use: "fused", "tree", "buckets" or "splits"."""
        layout = lib.ec_tables_layout(self._c)
        return next(name for name, number in LAYOUTS.items() if number == layout)

    @property
    def isa(self) -> str:
        """The instructions in use: what `isa()` said when this object was made."""
        return str(ffi.string(lib.ec_tables_isa(self._c)).decode())

    @property
    def nbytes(self) -> int:
        """Bytes of `save_tables`."""
        return len(saved_tables(self._c))

    @property
    def expanded_nbytes(self) -> int:
        """Bytes held in memory for coding."""
        return int(lib.ec_tables_bytes(self._c))

    def counts(self, table: int) -> Array:
        """The counts of one table, uint32 [K], or [K+1] with an escape."""
        out = np.empty(self.symbols + int(self.escape), np.uint32)
        if not 0 <= table < self.count:
            raise IndexError(f"table {table} of {self.count}")
        check(lib.ec_tables_counts(self._c, table, pointer(out)), "counts")
        return out
