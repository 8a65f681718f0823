"""Pixels under mixtures that a small integer network gives from the pixels before."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from fsar_lab.entropy._arrays import Array, pointer, require
from fsar_lab.entropy._entropy_c import ffi, lib
from fsar_lab.entropy._status import check

SCALES: int = lib.EC_CAUSAL_SCALES
STEPS: int = lib.EC_CAUSAL_STEPS
EXPONENTIALS: int = lib.EC_CAUSAL_EXPONENTIALS
MAX_BLOCKS: int = lib.EC_CAUSAL_BLOCKS
MAX_MIXTURES: int = lib.EC_CAUSAL_MIXTURES
COLOURS = 3
_NONE = ffi.cast("uint8_t *", 0)


@dataclass(frozen=True)
class CausalShape:
    """Sizes of a causal network, as `ec_causal_shape` in entropy_c.h."""

    radius: int
    width: int
    blocks: int
    inner: int
    spatial: bool
    hidden: int
    mixtures: int
    conditions: int = 0
    pair: bool = False

    @property
    def samples(self) -> int:
        """Samples that the network is asked for at once: of one pixel or of two."""
        return 2 * COLOURS if self.pair else COLOURS

    @property
    def reach(self) -> int:
        """Places to the left and right that the first matrix sees; a place is one pixel or two."""
        return (self.radius + 1) // 2 if self.pair else self.radius

    @property
    def window(self) -> int:
        """Pixels that the first matrix sees."""
        return (self.radius * (2 * self.reach + 1) + self.reach) * self.samples // COLOURS

    @property
    def inputs(self) -> int:
        """Bytes that the first matrix sees: the window's and the conditions of the place."""
        return 4 * self.window + self.conditions

    @property
    def matrices(self) -> list[tuple[str, int, int]]:
        """Name, outputs and inputs of every matrix, in their order; the first has weights of 16 bits."""
        taps = 5 if self.spatial else 1
        blocks = [
            matrix
            for b in range(self.blocks)
            for matrix in (
                (f"inner.{b}", self.inner, taps * self.width),
                (f"outer.{b}", self.width, self.inner),
            )
        ]
        heads = [(f"head.{c}", 3 * self.mixtures, self.hidden) for c in range(self.samples)]
        neck = ("neck", self.samples * self.hidden, self.width)
        return [("first", self.width + self.samples, self.inputs), *blocks, neck, *heads]

    @property
    def arrays(self) -> dict[str, tuple[type[np.generic], tuple[int, ...]]]:
        """Element type and shape of every array, in the order of `ec_causal_parts`."""
        outputs, samples = sum(rows for _, rows, _ in self.matrices), self.samples
        return {
            "first": (np.int16, (self.width + samples, self.inputs)),
            "weights": (np.int8, (sum(rows * columns for _, rows, columns in self.matrices[1:]),)),
            "bias": (np.int32, (outputs,)),
            "shift": (np.uint8, (outputs,)),
            "stream_shift": (np.uint8, (self.blocks + 1, self.width)),
            "own_shift": (np.uint8, (samples, self.hidden)),
            "colour": (np.int16, (samples, self.hidden, samples - 1)),
            "couple": (np.int16, (samples, samples - 1)),
            "inverse": (np.int32, (SCALES,)),
            "sigmoid": (np.uint16, (STEPS + 1,)),
            "exponentials": (np.uint16, (EXPONENTIALS,)),
        }


class CausalModel:
    """The rule of entropy_c.h, "Causal networks"."""

    def __init__(self, shape: CausalShape, arrays: Mapping[str, Array]) -> None:
        """Validates and copies the arrays that `shape.arrays` names.

        Raises:
            TableError: a sum may overflow, or a table breaks its rules.
            ValueError: a size is out of range, or an array is of another shape.
        """
        self.shape = shape
        wanted = shape.arrays
        held = [require(name, arrays[name], dtype, size) for name, (dtype, size) in wanted.items()]
        sizes = ffi.new(
            "ec_causal_shape *",
            [
                shape.radius,
                shape.width,
                shape.blocks,
                shape.inner,
                shape.spatial,
                shape.hidden,
                shape.mixtures,
                shape.conditions,
                shape.pair,
            ],
        )
        pointers = [ffi.from_buffer(array) for array in held]
        kinds = [field.type for _, field in ffi.typeof("ec_causal_parts").fields]
        casts = [ffi.cast(kind, view) for kind, view in zip(kinds, pointers, strict=True)]
        parts = ffi.new("ec_causal_parts *", casts)
        out = ffi.new("ec_causal **")
        check(lib.ec_causal_create(sizes, parts, out), f"causal network of {shape}")
        self._c = ffi.gc(out[0], lib.ec_causal_free, lib.ec_causal_bytes(out[0]))

    def conditions_pointer(self, conditions: Array | None, size: tuple[int, int, int]) -> Any:
        """Conditions of images of `size` [N, H, W] for C, kept alive by what is returned.

        Raises:
            ValueError: not of [N, H, W, conditions], or given to a network without conditions.
        """
        if conditions is None and self.shape.conditions == 0:
            return _NONE
        if conditions is None:
            raise ValueError(f"conditions must be given: {self.shape.conditions} bytes of every place")
        return pointer(require("conditions", conditions, np.uint8, (*size, self.shape.conditions)))

    @property
    def expanded_nbytes(self) -> int:
        """Bytes held in memory for coding."""
        return int(lib.ec_causal_bytes(self._c))
