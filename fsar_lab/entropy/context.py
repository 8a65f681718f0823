"""Pixels predicted linearly; tables chosen by the prediction errors around."""

from __future__ import annotations

import numpy as np

from fsar_lab.entropy._arrays import Array, pointer, require
from fsar_lab.entropy._entropy_c import ffi, lib
from fsar_lab.entropy._status import check
from fsar_lab.entropy.tables import Tables

CONTEXT_TAPS: int = lib.EC_CONTEXT_TAPS  # neighbours of the last colour; the first has 4, the second 9
CONTEXT_PLACES: int = lib.EC_CONTEXT_PLACES  # first row or not, times first, inner and last columns
CONTEXT_LIMIT = 1 << 30  # of bias and base


class ContextModel:
    """The rule of docs/FORMAT-entropy.md, "Contexts", for images of three colours."""

    def __init__(
        self, tables: Tables, weights: Array, bias: Array, energy: Array, base: Array, thresholds: Array
    ) -> None:
        """Validates and copies everything but the tables, which it keeps.

        Args:
            tables: 3 * S over 256 symbols, all of the first colour first.
            weights, energy: int16 [3, 6, 14] in 2^-12, by colour, place and tap.
            bias, base: int32 [3, 6] in 2^-12 grey levels, at most 2^30 in magnitude.
            thresholds: int32 [3, S - 1] in 2^-12 grey levels.

        Raises:
            TableError: wrong tables, or a bias or base that is too large.
        """
        place = (3, CONTEXT_PLACES)
        weights = require("weights", weights, np.int16, (*place, CONTEXT_TAPS))
        energy = require("energy", energy, np.int16, (*place, CONTEXT_TAPS))
        bias = require("bias", bias, np.int32, place)
        base = require("base", base, np.int32, place)
        thresholds = require("thresholds", thresholds, np.int32, (3, None))
        self.states = int(thresholds.shape[1]) + 1
        self.tables = tables
        out = ffi.new("ec_context **")
        arrays = (pointer(array) for array in (weights, bias, energy, base, thresholds))
        status = lib.ec_context_create(tables._c, self.states, *arrays, out)
        check(status, f"context model of {self.states} states and {tables.count} tables")
        self._c = ffi.gc(out[0], lib.ec_context_free, lib.ec_context_bytes(out[0]))

    @property
    def expanded_nbytes(self) -> int:
        """Bytes held in memory for coding, tables included."""
        return int(lib.ec_context_bytes(self._c)) + self.tables.expanded_nbytes
