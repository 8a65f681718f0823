"""Pixels without networks: linear prediction and tables chosen by the errors around."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from fsar_lab import entropy
from fsar_lab.codec.fields import Tensors, damaged, inflate, integer, tensor
from fsar_lab.codec.integer_network import Layer, NetworkError
from fsar_lab.codec.parts import Json, Pack, Parameters
from fsar_lab.entropy.context import CONTEXT_LIMIT, CONTEXT_PLACES, CONTEXT_TAPS

BITS = 16  # of the tables: at 14, one count for each of 256 symbols costs half a per cent
MAX_STATES = 64
WEIGHTS = (3, CONTEXT_PLACES, CONTEXT_TAPS)


@dataclass(frozen=True)
class ContextTables:
    """What the entropy coder's context model is made of (docs/FORMAT-entropy.md, "Contexts").

    Attributes:
        weights, energy: int16 [3, 6, 14], in 2^-12: of the prediction and of the activity.
        bias, base: int32 [3, 6], in 2^-12 grey levels.
        thresholds: int32 [3, S - 1], in 2^-12 grey levels.
        counts: uint16 [3 * S, 256], rows sum to 2^16, no count is zero.
    """

    kind: ClassVar[str] = "context"
    weights: NDArray[np.int16]
    bias: NDArray[np.int32]
    energy: NDArray[np.int16]
    base: NDArray[np.int32]
    thresholds: NDArray[np.int32]
    counts: NDArray[np.uint16]

    @property
    def states(self) -> int:
        """S."""
        return int(self.thresholds.shape[1]) + 1

    def check(self, head: Layer | None) -> None:
        """Raise NetworkError unless shapes, sums and bounds are right and there is no synthesis network."""
        if head is not None:
            raise NetworkError("pixels coded from pixels alone have no networks")
        shapes = (
            (self.weights, np.int16, WEIGHTS),
            (self.energy, np.int16, WEIGHTS),
            (self.bias, np.int32, WEIGHTS[:2]),
            (self.base, np.int32, WEIGHTS[:2]),
            (self.thresholds, np.int32, (3, self.states - 1)),
            (self.counts, np.uint16, (3 * self.states, 256)),
        )
        if any(value.dtype != dtype or value.shape != shape for value, dtype, shape in shapes):
            raise NetworkError("contexts: an array is of the wrong type or shape")
        if not 2 <= self.states <= MAX_STATES:
            raise NetworkError(f"contexts: {self.states} states")
        if any(np.abs(values.astype(np.int64)).max() > CONTEXT_LIMIT for values in (self.bias, self.base)):
            raise NetworkError("contexts: a bias or a base is too large")
        if self.counts.min() < 1 or (self.counts.sum(1, dtype=np.int64) != 1 << BITS).any():
            raise NetworkError("contexts: a table does not sum to 2^16, or has a symbol without a count")

    def put(self, tensors: dict[str, NDArray[Any]], pack: Pack) -> Json:
        """Weights as they are, the tables through `pack`."""
        for field in ("weights", "bias", "energy", "base", "thresholds"):
            tensors[f"pixels.{field}"] = getattr(self, field)
        tensors["pixels.counts"] = pack(self.counts)
        return {"states": self.states}

    @classmethod
    def get(cls, description: object, tensors: Tensors) -> ContextTables:
        """What `put` stored."""
        states = integer(description, "states", 2, MAX_STATES)
        thresholds = tensor(tensors, "pixels.thresholds", np.int32, 2)
        if thresholds.shape[1] != states - 1:
            raise damaged("contexts: thresholds and tables disagree about the states")
        return cls(
            weights=tensor(tensors, "pixels.weights", np.int16, 3),
            bias=tensor(tensors, "pixels.bias", np.int32, 2),
            energy=tensor(tensors, "pixels.energy", np.int16, 3),
            base=tensor(tensors, "pixels.base", np.int32, 2),
            thresholds=thresholds,
            counts=inflate(tensors, "pixels.counts", np.uint16, (3 * states, 256)),
        )

    def make_coder(self) -> ContextCoder:
        """Its coder."""
        return ContextCoder(self)


class ContextCoder:
    """Pushes and pops pixels; `model` is the entropy coder's."""

    def __init__(self, part: ContextTables) -> None:
        tables = entropy.Tables(part.counts.astype(np.uint32), BITS)
        self.model = entropy.ContextModel(
            tables, part.weights, part.bias, part.energy, part.base, part.thresholds
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
