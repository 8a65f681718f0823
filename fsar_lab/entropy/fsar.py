"""Finite-state autoregressive model of latents: neighbours already decoded choose the table."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from fsar_lab.entropy._arrays import Array, pointer, require
from fsar_lab.entropy._entropy_c import ffi, lib
from fsar_lab.entropy._saved import saved_fsar
from fsar_lab.entropy._status import check
from fsar_lab.entropy.tables import Tables


class FSARModel:
    """Latents [N, G, h, w] coded group by group in raster order.

    State 0 of a neighbour means outside the tensor, state k + 1 means symbol k; the table of a symbol is
    group * (K+1)^order + the mixed radix of the states, the first offset varying slowest.
    """

    def __init__(
        self,
        tables: Tables,
        offsets: Sequence[Sequence[int]],
        groups: int,
        symbols: int,
        *,
        classes: Array | None = None,
        class_counts: Sequence[int] | None = None,
        context_map: Array | None = None,
    ) -> None:
        """Joins tables and neighbourhood.

        Args:
            tables: distributions over K symbols; groups * C of them unless there is a map.
            offsets: up to 4 causal neighbours as (group, row, column) relative to the symbol; none makes
                one static table per group.
            groups: G.
            symbols: K.
            classes: uint16 [G, o, K+1], the class of every state of every neighbour; None: the states
                themselves, K+1 classes each.
            class_counts: number of classes of every neighbour, given with `classes`.
            context_map: uint32 [G, C] with C the product of the class counts: the table of every context.
                With classes or a map there are at most 2^20 contexts.

        Raises:
            TableError: an offset is not causal, or the number of tables, a class or the map does not fit.
        """
        if len(offsets) > lib.EC_MAX_ORDER or any(len(offset) != 3 for offset in offsets):
            raise ValueError(
                f"offsets must be at most {lib.EC_MAX_ORDER} (group, row, column) triples: {offsets!r}"
            )
        taps = np.array(offsets, dtype=np.int32).reshape(-1, 3)
        if groups < 1 or symbols != tables.symbols:
            raise ValueError(f"groups={groups}, symbols={symbols} with tables over {tables.symbols} symbols")
        if (classes is None) != (class_counts is None):
            raise ValueError("classes and class_counts belong together")
        self.tables = tables
        self.offsets = tuple((int(g), int(r), int(c)) for g, r, c in taps)
        self.groups, self.symbols, self.order = int(groups), int(symbols), len(taps)
        counts = [self.symbols + 1] * self.order if class_counts is None else [int(n) for n in class_counts]
        if len(counts) != self.order or min(counts, default=1) < 1:
            raise ValueError(f"class_counts must be {self.order} positive numbers, not {class_counts}")
        self.contexts = math.prod(counts)
        if classes is not None:
            require("classes", classes, np.uint16, (self.groups, self.order, self.symbols + 1))
        if context_map is not None:
            require("context_map", context_map, np.uint32, (self.groups, self.contexts))
        self.classes, self.class_counts, self.context_map = classes, tuple(counts), context_map
        out = ffi.new("ec_fsar **")
        check(
            lib.ec_fsar_create(
                tables._c,
                pointer(taps),
                self.order,
                self.groups,
                ffi.new("uint32_t[]", counts) if classes is not None else ffi.NULL,
                ffi.NULL if classes is None else pointer(classes),
                ffi.NULL if context_map is None else pointer(context_map),
                out,
            ),
            f"FSAR model of order {self.order} with {self.groups} groups of {self.contexts} contexts over "
            f"{self.symbols} symbols ({tables.count} tables given)",
        )
        self._own(out[0])

    @classmethod
    def _of(cls, tables: Tables, c: Any) -> FSARModel:
        """The owner of an `ec_fsar *` over these tables."""
        self = cls.__new__(cls)
        info = ffi.new("ec_fsar_info *")
        lib.ec_fsar_describe(c, info)
        self.tables, self.symbols = tables, tables.symbols
        self.groups, self.order, self.contexts = int(info.groups), int(info.order), int(info.contexts)
        offsets = [tuple(int(x) for x in info.offsets[i]) for i in range(self.order)]
        self.offsets = tuple((g, r, column) for g, r, column in offsets)
        self.class_counts = tuple(int(info.class_counts[i]) for i in range(self.order))
        self.classes = self.context_map = None
        if info.has_classes:
            self.classes = np.empty((self.groups, self.order, self.symbols + 1), np.uint16)
            lib.ec_fsar_classes(c, pointer(self.classes))
        if info.has_map:
            self.context_map = np.empty((self.groups, self.contexts), np.uint32)
            lib.ec_fsar_context_map(c, pointer(self.context_map))
        self._own(c)
        return self

    def _own(self, c: Any) -> None:
        self._c = ffi.gc(c, lib.ec_fsar_free, lib.ec_fsar_bytes(c))

    @property
    def nbytes(self) -> int:
        """Bytes of `save_fsar`, the tables included."""
        return len(saved_fsar(self._c))

    @property
    def expanded_nbytes(self) -> int:
        """Bytes held in memory for coding."""
        return self.tables.expanded_nbytes + int(lib.ec_fsar_bytes(self._c))

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
