"""A prior that is one convolution over codebook vectors, in integers: docs/FORMAT-bundle.md, "Convolutions".

The convolution is linear in the vectors of discrete symbols, so each tap adds a row of a table: one row for
each neighbour (tap and group) and its symbol, of logits of all groups at the coded position. A convolution
over planes, too, has one group in each plane, and all of them share everything.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from fsar_lab import entropy
from fsar_lab.codec.fields import MAX_VALUES, Tensors, damaged, inflate, integer, member, tensor
from fsar_lab.codec.fixed_point import MAX_LOGIT, softmax_counts
from fsar_lab.codec.integer_network import NetworkError
from fsar_lab.codec.parts import Json, Pack
from fsar_lab.codec.prior import MAX_GROUPS, MAX_SYMBOLS
from fsar_lab.tables.masks import CHECKERBOARD, MASKS, RASTER_3D, Tap, mask_taps

MAX_KERNEL = 15
MAX_DIM = 256
MAX_SHIFT = 40
MAX_ROW_VALUES = 1 << 26  # of the table: 128 MB
ROW_LIMIT = 32767  # magnitude of a table's value, 128 bits


def fits(taps: int, groups: int, size: int, dim: int) -> bool:
    """Whether a codec can hold a convolution: its weights, its table, and logits below their bound."""
    values = max(taps * groups * dim * groups * size, groups * size * dim)
    rows, logits = taps * (groups * size) ** 2, taps * groups * ROW_LIMIT
    return values <= MAX_VALUES and rows <= MAX_ROW_VALUES and logits <= MAX_LOGIT


@dataclass(frozen=True)
class ConvolutionPrior:
    """Integer weights and codebook vectors of a masked convolution; logits are in units of 2^-8 bit.

    G groups lie in each of P planes, G = 1 or P = 1. For every plane
    row[t, g, k] = (vectors[g, k] @ weight[t, g] + 2^(shift - 1)) >> shift, and at a position
    logits = bias + sum over taps t and groups g of row[t, g, symbol of g at tap t], no row outside.

    Attributes:
        weight: int16 [T, G, D, G*K], taps as `mask_taps` lists them. vectors: int16 [G, K, D].
        shift: 1..40.
        bias: int32 [G, K]. static: int32 [G, K], the logits of anchors; None unless a checkerboard.
        mask: one of MASKS. kernel: odd side of the window.
        bits: logarithm of the sum of a distribution's counts. planes: P, 1 unless the mask is "raster3d".
    """

    kind: ClassVar[str] = "convolution"
    weight: NDArray[np.int16]
    vectors: NDArray[np.int16]
    shift: int
    bias: NDArray[np.int32]
    static: NDArray[np.int32] | None
    mask: str
    kernel: int
    bits: int
    planes: int = 1

    @property
    def groups(self) -> int:
        """P*G, indices at a place."""
        return self.planes * len(self.vectors)

    @property
    def codebook_size(self) -> int:
        """K."""
        return int(self.vectors.shape[1])

    @property
    def tables(self) -> int:
        """Rows of logits, one for each symbol of each neighbour."""
        return len(self.taps) * len(self.vectors) * self.codebook_size

    @property
    def uniform(self) -> bool:
        """Every index is equally likely: never so."""
        return False

    @property
    def taps(self) -> tuple[Tap, ...]:
        """The T neighbours, as (plane, row, column) offsets."""
        return mask_taps(self.mask, self.kernel)

    @cached_property
    def rows(self) -> NDArray[np.int16]:
        """What the symbol of a neighbour adds to the logits: int16 [T, G, K, G*K].

        Raises:
            NetworkError: a value is beyond 128 bits.
        """
        taps, groups, _, outputs = self.weight.shape
        rows = np.empty((taps, groups, self.codebook_size, outputs), np.int16)
        half = 1 << self.shift - 1
        vectors = self.vectors.astype(np.float64)
        for tap, group in product(range(taps), range(groups)):
            # Exact, and far faster than a product of integers: sums are integers below 2^38.
            sums = (vectors[group] @ self.weight[tap, group].astype(np.float64)).astype(np.int64)
            values = sums + half >> self.shift
            if np.abs(values).max() > ROW_LIMIT:
                raise NetworkError("prior: a neighbour decides too much: logits exceed 128 bits")
            rows[tap, group] = values
        return rows

    @cached_property
    def anchor_counts(self) -> NDArray[np.uint32]:
        """Counts of each group's anchors, uint32 [G, K]."""
        assert self.static is not None
        return softmax_counts(self.static, self.bits)

    def check(self) -> None:
        """Raise NetworkError unless shapes fit each other and every logit is within its bounds."""
        if self.mask not in MASKS or self.kernel % 2 == 0 or not 3 <= self.kernel <= MAX_KERNEL:
            raise NetworkError("prior: an unknown mask or window")
        both = [self.bias] if self.static is None else [self.bias, self.static]
        if any(logits.dtype != np.int32 for logits in both) or self.vectors.ndim != 3:
            raise NetworkError("prior: vectors or logits are of the wrong type")
        if self.weight.dtype != np.int16 or self.vectors.dtype != np.int16:
            raise NetworkError("prior: weights or vectors are of the wrong type")
        taps, (groups, size, dim) = len(self.taps), self.vectors.shape
        if not 8 <= self.bits <= 16 or not 2 <= size <= min(1 << self.bits, MAX_SYMBOLS):
            raise NetworkError(f"prior: {size} symbols do not fit tables of {self.bits} bits")
        if not 1 <= self.groups <= MAX_GROUPS or not 1 <= dim <= MAX_DIM or not 1 <= self.shift <= MAX_SHIFT:
            raise NetworkError("prior: too many groups, too long vectors or a shift out of range")
        if self.weight.shape != (taps, groups, dim, groups * size):
            raise NetworkError("prior: weights, vectors and window do not fit")
        if not fits(taps, groups, size, dim):
            raise NetworkError("prior: the weights or the table of the convolution would be too large")
        if any(logits.shape != (groups, size) for logits in both):
            raise NetworkError("prior: logits are not given for every symbol of every group")
        if (groups if self.mask == RASTER_3D else self.planes) != 1:
            raise NetworkError("prior: planes that share weights belong to a convolution over planes")
        if (self.static is not None) != (self.mask == CHECKERBOARD):
            raise NetworkError("prior: logits of anchors belong to a checkerboard")
        room = MAX_LOGIT - taps * groups * ROW_LIMIT
        if any(np.abs(logits.astype(np.int64)).max() > room for logits in both):
            raise NetworkError("prior: logits are too large")
        assert self.rows.size  # forms the table, whose values must fit

    def put(self, tensors: dict[str, NDArray[Any]], pack: Pack) -> Json:
        """The factors and the logits without neighbours."""
        tensors["prior.weight"], tensors["prior.vectors"] = pack(self.weight), pack(self.vectors)
        tensors["prior.bias"] = self.bias
        if self.static is not None:
            tensors["prior.static"] = self.static
        return {
            "bits": self.bits,
            "groups": self.groups,
            "codebook_size": self.codebook_size,
            "dim": self.vectors.shape[2],
            "shift": self.shift,
            "mask": self.mask,
            "kernel": self.kernel,
        }

    @classmethod
    def get(cls, description: object, tensors: Tensors) -> ConvolutionPrior:
        """What `put` stored."""
        bits = integer(description, "bits", 8, 16)
        groups = integer(description, "groups", 1, MAX_GROUPS)
        size = integer(description, "codebook_size", 2, min(1 << bits, MAX_SYMBOLS))
        dim = integer(description, "dim", 1, MAX_DIM)
        mask, kernel = member(description, "mask", str), integer(description, "kernel", 3, MAX_KERNEL)
        planes, groups = (groups, 1) if mask == RASTER_3D else (1, groups)
        shape = len(mask_taps(mask, kernel)), groups, dim, groups * size
        if math.prod(shape) > MAX_VALUES or groups * size * dim > MAX_VALUES:
            raise damaged("the prior's convolution has too many weights")
        return cls(
            weight=inflate(tensors, "prior.weight", np.int16, shape),
            vectors=inflate(tensors, "prior.vectors", np.int16, (groups, size, dim)),
            shift=integer(description, "shift", 1, MAX_SHIFT),
            bias=tensor(tensors, "prior.bias", np.int32, 2),
            static=tensor(tensors, "prior.static", np.int32, 2) if mask == CHECKERBOARD else None,
            mask=mask,
            kernel=kernel,
            bits=bits,
            planes=planes,
        )

    def make_coder(self) -> ConvolutionCoder:
        """Its coder."""
        return ConvolutionCoder(self)


class ConvolutionCoder:
    """Pushes and pops indices [N, G, h, w], all images in step."""

    def __init__(self, prior: ConvolutionPrior) -> None:
        self.groups = prior.groups
        self.static = None if prior.static is None else entropy.Tables(prior.anchor_counts, prior.bits)
        self.model = entropy.ConvolutionModel(
            prior.taps, prior.rows, prior.bias, prior.bits, prior.mask == CHECKERBOARD, prior.planes
        )

    @property
    def expanded_nbytes(self) -> int:
        """Bytes of tables as they are held for coding."""
        return self.model.expanded_nbytes + (0 if self.static is None else self.static.expanded_nbytes)

    def push(self, encoder: entropy.Encoder, indices: NDArray[np.uint16]) -> None:
        """Code indices, uint16 [N, G, h, w]: what is decoded last comes first."""
        number, _, height, width = indices.shape
        encoder.push_convolution(self.model, indices)
        if self.static is not None:
            ys, xs = _anchors(height, width)
            symbols = np.ascontiguousarray(indices[:, :, ys, xs]).reshape(number, -1)
            encoder.push_indexed(self.static, symbols, self._anchor_groups(symbols))

    def pop(self, decoder: entropy.Decoder, shape: tuple[int, int, int, int]) -> NDArray[np.uint16]:
        """Decode indices of `shape` [N, G, h, w]."""
        number, _, height, width = shape
        indices = np.zeros(shape, np.uint16)
        if self.static is not None:
            ys, xs = _anchors(height, width)
            symbols = np.empty((number, self.groups * len(ys)), np.uint16)
            symbols = decoder.pop_indexed(self.static, self._anchor_groups(symbols))
            indices[:, :, ys, xs] = symbols.reshape(number, self.groups, -1)
        decoder.pop_convolution(self.model, indices)
        return indices

    def _anchor_groups(self, symbols: NDArray[np.uint16]) -> NDArray[np.uint8]:
        """The table of every anchor symbol [N, G * anchors]: its group."""
        numbers = np.repeat(np.arange(self.groups, dtype=np.uint8), symbols.shape[1] // self.groups)
        return np.ascontiguousarray(np.broadcast_to(numbers, symbols.shape))


def _anchors(height: int, width: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Rows and columns of a checkerboard's anchors, row + column odd, in raster order."""
    ys, xs = np.nonzero(np.add.outer(np.arange(height), np.arange(width)) % 2)
    return ys, xs
