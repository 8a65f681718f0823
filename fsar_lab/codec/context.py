"""Pixels without networks: linear prediction by the texture around, tables chosen by the errors around."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from fsar_lab import entropy
from fsar_lab.codec.fields import Tensors, damaged, inflate, integer, tensor
from fsar_lab.codec.integer_network import Layer, NetworkError
from fsar_lab.codec.parts import Json, Pack, Parameters
from fsar_lab.entropy.context import (
    CONTEXT_LIMIT,
    CONTEXT_PLACES,
    CONTEXT_TAPS,
    TEXTURE_ERRORS,
    TEXTURE_PLACES,
    TEXTURE_STEPS,
    TEXTURE_TAPS,
    TEXTURES,
)

BITS = 16  # of the tables: at 14, one count for each of 256 symbols costs half a per cent
MAX_STATES = 64
PLAIN = (3, CONTEXT_PLACES)  # of one weight
TEXTURED = (3, TEXTURE_PLACES, TEXTURES)
STEPS = (3, TEXTURE_STEPS)
TEXTURED_TAPS = (TEXTURE_TAPS, TEXTURE_ERRORS)


@dataclass(frozen=True)
class ContextTables:
    """What the entropy coder's context model is made of (docs/FORMAT-entropy.md, "Contexts").

    Attributes:
        weights, energy: int16 [3, 2, 16, 32] and [3, 2, 16, 17], in 2^-12: of the prediction and of the
            activity, by colour, place, texture and tap. Without textures, as in the first files: [3, 6, 14].
        bias, base: int32 [3, 2, 16] or [3, 6], in 2^-12 grey levels.
        thresholds: int32 [3, S - 1], in 2^-12 grey levels.
        counts: uint16 [3 * S, 256], rows sum to 2^16, no count is zero.
        levels, slopes: int16 [3, 3], by which textures are told apart, or None.
    """

    kind: ClassVar[str] = "context"
    weights: NDArray[np.int16]
    bias: NDArray[np.int32]
    energy: NDArray[np.int16]
    base: NDArray[np.int32]
    thresholds: NDArray[np.int32]
    counts: NDArray[np.uint16]
    levels: NDArray[np.int16] | None = None
    slopes: NDArray[np.int16] | None = None

    @property
    def states(self) -> int:
        """S."""
        return int(self.thresholds.shape[1]) + 1

    def check(self, head: Layer | None) -> None:
        """Raise NetworkError unless shapes, sums and bounds are right and there is no synthesis network."""
        if head is not None:
            raise NetworkError("pixels coded from pixels alone have no networks")
        if (self.levels is None) != (self.slopes is None):
            raise NetworkError("contexts: textures need levels and slopes")
        place, taps = (PLAIN, (CONTEXT_TAPS,) * 2) if self.levels is None else (TEXTURED, TEXTURED_TAPS)
        shapes: list[tuple[NDArray[Any], type[np.generic], tuple[int, ...]]] = [
            (self.weights, np.int16, (*place, taps[0])),
            (self.energy, np.int16, (*place, taps[1])),
            (self.bias, np.int32, place),
            (self.base, np.int32, place),
            (self.thresholds, np.int32, (3, self.states - 1)),
            (self.counts, np.uint16, (3 * self.states, 256)),
        ]
        shapes += [(steps, np.int16, STEPS) for steps in (self.levels, self.slopes) if steps is not None]
        if any(value.dtype != dtype or value.shape != shape for value, dtype, shape in shapes):
            raise NetworkError("contexts: an array is of the wrong type or shape")
        if not 2 <= self.states <= MAX_STATES:
            raise NetworkError(f"contexts: {self.states} states")
        if any(np.abs(values.astype(np.int64)).max() > CONTEXT_LIMIT for values in (self.bias, self.base)):
            raise NetworkError("contexts: a bias or a base is too large")
        if self.counts.min() < 1 or (self.counts.sum(1, dtype=np.int64) != 1 << BITS).any():
            raise NetworkError("contexts: a table does not sum to 2^16, or has a symbol without a count")

    def put(self, tensors: dict[str, NDArray[Any]], pack: Pack) -> Json:
        """The tables, and the many weights that textures have, through `pack`; the rest as it is."""
        for field in ("bias", "base", "thresholds"):
            tensors[f"pixels.{field}"] = getattr(self, field)
        tensors["pixels.counts"] = pack(self.counts)
        if self.levels is None or self.slopes is None:
            tensors |= {"pixels.weights": self.weights, "pixels.energy": self.energy}
            return {"states": self.states}
        tensors |= {"pixels.weights": pack(self.weights), "pixels.energy": pack(self.energy)}
        tensors |= {"pixels.levels": self.levels, "pixels.slopes": self.slopes}
        return {"states": self.states, "textures": TEXTURES}

    @classmethod
    def get(cls, description: object, tensors: Tensors) -> ContextTables:
        """What `put` stored."""
        states = integer(description, "states", 2, MAX_STATES)
        thresholds = tensor(tensors, "pixels.thresholds", np.int32, 2)
        if thresholds.shape[1] != states - 1:
            raise damaged("contexts: thresholds and tables disagree about the states")
        counts = inflate(tensors, "pixels.counts", np.uint16, (3 * states, 256))
        if not isinstance(description, dict) or "textures" not in description:
            return cls(
                weights=tensor(tensors, "pixels.weights", np.int16, 3),
                bias=tensor(tensors, "pixels.bias", np.int32, 2),
                energy=tensor(tensors, "pixels.energy", np.int16, 3),
                base=tensor(tensors, "pixels.base", np.int32, 2),
                thresholds=thresholds,
                counts=counts,
            )
        integer(description, "textures", TEXTURES, TEXTURES)
        return cls(
            weights=inflate(tensors, "pixels.weights", np.int16, (*TEXTURED, TEXTURE_TAPS)),
            bias=tensor(tensors, "pixels.bias", np.int32, 3),
            energy=inflate(tensors, "pixels.energy", np.int16, (*TEXTURED, TEXTURE_ERRORS)),
            base=tensor(tensors, "pixels.base", np.int32, 3),
            thresholds=thresholds,
            counts=counts,
            levels=tensor(tensors, "pixels.levels", np.int16, 2),
            slopes=tensor(tensors, "pixels.slopes", np.int16, 2),
        )

    def make_coder(self) -> ContextCoder:
        """Its coder."""
        return ContextCoder(self)


class ContextCoder:
    """Pushes and pops pixels; `model` is the entropy coder's."""

    def __init__(self, part: ContextTables) -> None:
        tables = entropy.Tables(part.counts.astype(np.uint32), BITS)
        self.model = entropy.ContextModel(
            tables,
            part.weights,
            part.bias,
            part.energy,
            part.base,
            part.thresholds,
            part.levels,
            part.slopes,
        )

    @property
    def expanded_nbytes(self) -> int:
        """Bytes of tables as they are held for coding."""
        return self.model.expanded_nbytes

    def push(
        self, encoder: entropy.Encoder, images: NDArray[np.uint8], parameters: Parameters | None
    ) -> None:
        """Code uint8 [N, H, W, 3]."""
        assert parameters is None
        encoder.push_context(self.model, images)

    def pop(
        self, decoder: entropy.Decoder, parameters: Parameters | None, shape: tuple[int, int, int]
    ) -> NDArray[np.uint8]:
        """Decode uint8 [N, H, W, 3]."""
        assert parameters is None
        images: NDArray[np.uint8] = decoder.pop_context(self.model, shape)
        return images
