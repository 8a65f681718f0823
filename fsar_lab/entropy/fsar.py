"""Finite-state autoregressive model of latents: neighbours already decoded choose the table."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from fsar_lab.entropy._arrays import Array, pointer, require
from fsar_lab.entropy._entropy_c import ffi, lib
from fsar_lab.entropy._status import check
from fsar_lab.entropy.tables import Tables


class FSARModel:
    """Latents [N, G, h, w] coded group by group in raster order.

    State 0 of a neighbour means outside the tensor, state k + 1 means symbol k; the table of a symbol is
    group * (K+1)^order + the mixed radix of the states, the first offset varying slowest.
    """

    def __init__(self, tables: Tables, offsets: Sequence[Sequence[int]], groups: int, symbols: int) -> None:
        """Joins tables and neighbourhood.

        Args:
            tables: groups * (K+1)^order tables over K symbols.
            offsets: up to 4 causal neighbours as (group, row, column) relative to the symbol; none makes
                one static table per group.
            groups: G.
            symbols: K.

        Raises:
            TableError: an offset is not causal, or the number of tables does not fit.
        """
        if len(offsets) > lib.EC_MAX_ORDER or any(len(offset) != 3 for offset in offsets):
            raise ValueError(
                f"offsets must be at most {lib.EC_MAX_ORDER} (group, row, column) triples: {offsets!r}"
            )
        taps = np.array(offsets, dtype=np.int32).reshape(-1, 3)
        if groups < 1 or symbols != tables.symbols:
            raise ValueError(f"groups={groups}, symbols={symbols} with tables over {tables.symbols} symbols")
        self.tables = tables
        self.offsets = tuple((int(g), int(r), int(c)) for g, r, c in taps)
        self.groups, self.symbols, self.order = int(groups), int(symbols), len(taps)
        out = ffi.new("ec_fsar **")
        needed = self.groups * (self.symbols + 1) ** self.order
        check(
            lib.ec_fsar_create(tables._c, pointer(taps), self.order, self.groups, out),
            f"FSAR model of order {self.order} with {self.groups} groups and {self.symbols} symbols "
            f"({needed} tables needed, {tables.count} given)",
        )
        self._c = ffi.gc(out[0], lib.ec_fsar_free)

    @property
    def nbytes(self) -> int:
        """Serialised bytes: tables and offsets."""
        return self.tables.nbytes + 12 * self.order

    @property
    def expanded_nbytes(self) -> int:
        """Bytes held in memory for coding."""
        return self.tables.expanded_nbytes

    def table_ids(self, indices: Array) -> Array:
        """The table that codes each symbol.

        Args:
            indices: uint16 [N, G, h, w].

        Returns:
            uint32 [N, G, h, w].
        """
        indices = require("indices", indices, np.uint16, (None, self.groups, None, None))
        images, _, height, width = indices.shape
        ids = np.empty(indices.shape, np.uint32)
        check(
            lib.ec_fsar_table_ids(self._c, pointer(indices), images, height, width, pointer(ids)),
            "indices",
        )
        return ids
