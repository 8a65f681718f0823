"""Pixels predicted linearly, by the texture around; tables chosen by the prediction errors around."""

from __future__ import annotations

import numpy as np

from fsar_lab.entropy._arrays import Array, pointer, require
from fsar_lab.entropy._entropy_c import ffi, lib
from fsar_lab.entropy._status import check
from fsar_lab.entropy.tables import Tables

CONTEXT_TAPS: int = lib.EC_CONTEXT_TAPS  # neighbours of the last colour; the first has 4, the second 9
CONTEXT_PLACES: int = lib.EC_CONTEXT_PLACES  # first row or not, times first, inner and last columns
CONTEXT_LIMIT = 1 << 30  # of bias and base
TEXTURES: int = lib.EC_TEXTURES
TEXTURE_TAPS: int = lib.EC_TEXTURE_TAPS  # with textures: 10, 21 and 32
TEXTURE_ERRORS: int = lib.EC_TEXTURE_ERRORS  # taps whose errors count: 7, 12 and 17
TEXTURE_PLACES: int = lib.EC_TEXTURE_PLACES  # first row or not
TEXTURE_STEPS: int = lib.EC_TEXTURE_STEPS  # between four levels, and between four directions


class ContextModel:
    """The rule of docs/FORMAT-entropy.md, "Contexts", for images of three colours."""

    def __init__(
        self,
        tables: Tables,
        weights: Array,
        bias: Array,
        energy: Array,
        base: Array,
        thresholds: Array,
        levels: Array | None = None,
        slopes: Array | None = None,
    ) -> None:
        """Validates and copies everything but the tables, which it keeps.

        Args:
            tables: 3 * S over 256 symbols, all of the first colour first.
            weights, energy: int16 [3, 6, 14] in 2^-12, by colour, place and tap; with textures
                [3, 2, 16, 32] and [3, 2, 16, 17], by colour, place, texture and tap.
            bias, base: int32 [3, 6], with textures [3, 2, 16], in 2^-12 grey levels, at most 2^30 in
                magnitude.
            thresholds: int32 [3, S - 1] in 2^-12 grey levels.
            levels, slopes: int16 [3, 3], of the sum and of the lean of the differences around, by which
                textures are told apart; both or neither.

        Raises:
            TableError: wrong tables, or a bias or base that is too large.
        """
        textured = levels is not None
        place = (3, TEXTURE_PLACES, TEXTURES) if textured else (3, CONTEXT_PLACES)
        taps = (TEXTURE_TAPS, TEXTURE_ERRORS) if textured else (CONTEXT_TAPS, CONTEXT_TAPS)
        weights = require("weights", weights, np.int16, (*place, taps[0]))
        energy = require("energy", energy, np.int16, (*place, taps[1]))
        bias = require("bias", bias, np.int32, place)
        base = require("base", base, np.int32, place)
        thresholds = require("thresholds", thresholds, np.int32, (3, None))
        self.states = int(thresholds.shape[1]) + 1
        self.tables = tables
        out = ffi.new("ec_context **")
        arrays = [weights, bias, energy, base, thresholds]
        if textured:
            steps = (3, TEXTURE_STEPS)
            arrays += [require("levels", levels, np.int16, steps), require("slopes", slopes, np.int16, steps)]
        create = lib.ec_context_create_textured if textured else lib.ec_context_create
        status = create(tables._c, self.states, *map(pointer, arrays), out)
        check(status, f"context model of {self.states} states and {tables.count} tables")
        self._c = ffi.gc(out[0], lib.ec_context_free, lib.ec_context_bytes(out[0]))

    @property
    def expanded_nbytes(self) -> int:
        """Bytes held in memory for coding, tables included."""
        return int(lib.ec_context_bytes(self._c)) + self.tables.expanded_nbytes
