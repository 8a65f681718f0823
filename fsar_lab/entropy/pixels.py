"""Integer distribution of pixels: a linear prediction shifts the mean of one fine cdf per scale."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from fsar_lab.entropy._arrays import Array, pointer, require
from fsar_lab.entropy._entropy_c import ffi, lib
from fsar_lab.entropy._status import check

FINE_STEPS: int = lib.EC_FINE_STEPS  # entries of one scale's cdf, t = -1022..1022
LOGIT_LEVELS: int = lib.EC_LOGIT_LEVELS  # entries of the mean look-up, logit -2048..2047
PAIRS = 4  # planes of each colour of a mixture: EC_MIXTURE_COMPONENTS and one for the weights
WEIGHTS = (256, 256, 2)  # shape of a mixture's table of weights, EC_MIXTURE_WEIGHTS on two sides
MEAN_MAX: int = lib.EC_MEAN_MAX  # largest mean index; four fine steps a grey level


def _split(weights: Any, numbers: list[int]) -> tuple[tuple[int, ...], ...]:
    """Weights given per colour or in one row, as one tuple per colour."""
    rows = list(weights)
    if any(np.ndim(row) == 0 for row in rows):
        if len(rows) != sum(numbers):
            raise ValueError(f"{len(rows)} weights for {sum(numbers)} taps")
        ends = np.cumsum(numbers).tolist()
        rows = [rows[end - number : end] for number, end in zip(numbers, ends, strict=True)]
    if not rows:
        rows = [()] * len(numbers)
    if [len(row) for row in rows] != numbers:
        raise ValueError(
            f"each colour needs as many weights as taps: {numbers}, not {[len(row) for row in rows]}"
        )
    return tuple(tuple(int(w) for w in row) for row in rows)


class PixelModel:
    """The rule of docs/ARCHITECTURE.md, "Pixel distribution in integers". Zero taps give a plain Gaussian.

    Attributes:
        scales: number S of fine cdfs.
        colours: channels of an image.
    """

    def __init__(
        self,
        cdf: Array,
        mean_lut: Array,
        taps: Sequence[Sequence[Sequence[int]]],
        weights: Sequence[Sequence[int]] | Sequence[int] | Array,
        bias: Sequence[int] | Array,
    ) -> None:
        """Validates everything and builds the inverse index.

        Args:
            cdf: uint16 [S, 2045], F_s over t = -1022..1022 in counts; non-decreasing, at most 2^16 - 256.
            mean_lut: int16 [4096], base mean in 1/16 fine steps for logit -2048..2047.
            taps: per colour up to 12 causal (colour, row, column) offsets relative to the sample.
            weights: one int32 per tap in 2^-16 fine steps (1.0 = 4 * 2^16), per colour or all in one row.
            bias: per colour an int32 in 2^-16 fine steps.

        Raises:
            TableError: a cdf, a tap or the size of the weights breaks the rules.
        """
        cdf = require("cdf", cdf, np.uint16, (None, FINE_STEPS))
        mean_lut = require("mean_lut", mean_lut, np.int16, (LOGIT_LEVELS,))
        self.scales, self.colours = len(cdf), len(bias)
        if not 1 <= self.scales <= 256 or not 1 <= self.colours <= lib.EC_MAX_COLOURS:
            raise ValueError(
                f"{self.scales} scales (1..256) and {self.colours} colours (1..{lib.EC_MAX_COLOURS})"
            )
        numbers = [len(colour) for colour in taps]
        if len(numbers) != self.colours or max(numbers) > lib.EC_MAX_TAPS:
            raise ValueError(
                f"taps must be {self.colours} lists of at most {lib.EC_MAX_TAPS}, not of {numbers}"
            )
        per_colour = _split(weights, numbers)
        flat = [tuple(int(v) for v in tap) for colour in taps for tap in colour]
        if any(len(tap) != 3 for tap in flat):
            raise ValueError("a tap is a (colour, row, column) triple")
        out = ffi.new("ec_pixels **")
        try:
            status = lib.ec_pixels_create(
                pointer(cdf),
                self.scales,
                pointer(mean_lut),
                self.colours,
                ffi.new("uint32_t[]", numbers),
                ffi.new("int32_t[]", [v for tap in flat for v in tap]),
                ffi.new("int32_t[]", [w for colour in per_colour for w in colour]),
                ffi.new("int32_t[]", [int(b) for b in bias]),
                out,
            )
        except OverflowError as error:
            raise ValueError("taps, weights and bias must fit 32 bits") from error
        check(status, f"pixel model of {self.scales} scales and {self.colours} colours")
        self._c = ffi.gc(out[0], lib.ec_pixels_free, lib.ec_pixels_bytes(out[0]))
        self.taps = tuple(tuple(tuple(int(v) for v in tap) for tap in colour) for colour in taps)
        self.weights = per_colour
        self.bias = tuple(int(b) for b in bias)

    @property
    def nbytes(self) -> int:
        """Serialised bytes: cdf, mean look-up, taps, weights and bias."""
        taps = sum(len(colour) for colour in self.taps)
        return 2 * self.scales * FINE_STEPS + 2 * LOGIT_LEVELS + 16 * taps + 4 * self.colours

    @property
    def expanded_nbytes(self) -> int:
        """Bytes held in memory for coding."""
        return int(lib.ec_pixels_bytes(self._c))

    def mean_index(self, images: Array, logits: Array) -> Array:
        """The mean index m of every sample, as coding uses it.

        Args:
            images: uint8 [N, H, W, C].
            logits: int16 [N, C, H, W].

        Returns:
            uint16 [N, C, H, W], 0..1020 in fine steps (four to a grey level).
        """
        images = require("images", images, np.uint8, (None, None, None, self.colours))
        number, height, width, colours = images.shape
        logits = require("logits", logits, np.int16, (number, colours, height, width))
        out = np.empty(logits.shape, np.uint16)
        status = lib.ec_pixels_mean_index(
            self._c, pointer(images), pointer(logits), number, height, width, pointer(out)
        )
        check(status, "images")
        return out
