"""Latents whose distributions are sums of rows that decoded neighbours choose: a convolution's logits."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from fsar_lab.entropy._arrays import Array, pointer, require
from fsar_lab.entropy._entropy_c import ffi


class ConvolutionModel:
    """Latents [N, P*G, h, w] coded plane after plane, position by position in raster order, at each G groups.

    A neighbour's symbol adds a row to the logits of all groups; logits are in units of 2^-8 bit, and the
    counts follow from them in integers (docs/FORMAT-bundle.md, section 5).
    """

    def __init__(
        self,
        offsets: Sequence[tuple[int, int, int]],
        rows: Array,
        bias: Array,
        bits: int,
        checkerboard: bool,
        planes: int = 1,
    ) -> None:
        """Keeps references to the arrays.

        Args:
            offsets: T (plane, row, column) offsets of the neighbours. They precede (0, 0, 0); on a
                checkerboard row + column is odd.
            rows: int16 [T, G, K, G*K], what each symbol of each neighbour adds.
            bias: int32 [G, K], within +-2^24.
            bits: logarithm of the counts' sum, 8..16.
            checkerboard: positions of even row + column are coded, given the others.
            planes: P, all coded with the same rows.

        Raises:
            TypeError, ValueError: arrays of another type or shape. What else is wrong is found in coding.
        """
        self.bias = require("bias", bias, np.int32, (None, None))
        self.groups, self.symbols = (int(size) for size in bias.shape)
        shape = len(offsets), self.groups, self.symbols, self.groups * self.symbols
        self.rows = require("rows", rows, np.int16, shape)
        self.offsets = np.array(offsets, np.int32).reshape(-1, 3)
        self.checkerboard, self.bits, self.planes = bool(checkerboard), int(bits), int(planes)
        self._c = ffi.new("ec_convolution *")
        self._c.offsets = ffi.cast("int32_t *", pointer(self.offsets))
        self._c.rows = ffi.cast("int16_t *", pointer(self.rows))
        self._c.bias = ffi.cast("int32_t *", pointer(self.bias))
        self._c.taps, self._c.groups, self._c.symbols = shape[:3]
        self._c.bits, self._c.planes, self._c.checkerboard = self.bits, self.planes, self.checkerboard

    @property
    def expanded_nbytes(self) -> int:
        """Bytes of the rows."""
        return int(self.rows.nbytes + self.bias.nbytes)

    @property
    def channels(self) -> int:
        """P*G, symbols at a place of an image."""
        return self.planes * self.groups

    def positions(self, height: int, width: int) -> int:
        """Positions of a plane that are coded."""
        return (height * width + 1) // 2 if self.checkerboard else height * width
