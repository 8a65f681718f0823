"""Pixels under mixtures that a small integer network gives from the pixels before, and from any latents."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from fsar_lab import entropy
from fsar_lab.codec.fields import Tensors, inflate, integer, tensor
from fsar_lab.codec.integer_network import Layer, NetworkError
from fsar_lab.codec.parts import Json, Pack, Parameters
from fsar_lab.entropy import CausalShape
from fsar_lab.errors import TableError

# No size of a network is larger, which bounds what is allocated; all rules are the entropy coder's.
LARGEST = {"radius": 7, "width": 256, "blocks": 8, "inner": 256, "spatial": 1, "hidden": 64, "mixtures": 6}
OPTIONAL = {"conditions": (4, 64), "pair": (1, 1)}
PACKED = ("first", "weights", "colour", "couple", "sigmoid", "exponentials")


@dataclass(frozen=True)
class CausalNetTables:
    """What the entropy coder's causal network is made of (entropy_c.h, "Causal networks").

    Attributes:
        shape: sizes.
        arrays: those that `shape.arrays` names.
    """

    kind: ClassVar[str] = "causal_net"
    shape: CausalShape
    arrays: Mapping[str, NDArray[Any]]

    def check(self, head: Layer | None) -> None:
        """Raise NetworkError unless all sums fit, and the synthesis network says what is wanted, in bytes."""
        if (0 if head is None else len(head.low)) != self.shape.conditions:
            raise NetworkError("synthesis network and causal network disagree on the conditions of a place")
        if head is not None and (head.low.min() < 0 or head.high.max() > 255):
            raise NetworkError("the synthesis network's conditions are no bytes")
        self.check_numbers()

    def check_numbers(self) -> None:
        """Raise NetworkError unless all sums fit."""
        try:
            self.make_coder()
        except (TableError, ValueError, TypeError) as error:
            raise NetworkError(f"causal network: {error}") from error

    def put(self, tensors: dict[str, NDArray[Any]], pack: Pack) -> Json:
        """Arrays of `PACKED` through `pack`."""
        for name in self.shape.arrays:
            array = self.arrays[name]
            tensors[f"pixels.{name}"] = pack(array) if name in PACKED else array
        description = {name: int(size) for name, size in asdict(self.shape).items()}
        for name in ("conditions", "pair"):  # a file without them says nothing of them
            if not description[name]:
                del description[name]
        return description

    @classmethod
    def get(cls, description: object, tensors: Tensors) -> CausalNetTables:
        """What `put` stored."""
        sizes = {name: integer(description, name, 0, most) for name, most in LARGEST.items()}
        for name, (least, most) in OPTIONAL.items():
            if isinstance(description, dict) and name in description:
                sizes[name] = integer(description, name, least, most)
        flags = {name: bool(sizes.get(name, 0)) for name in ("spatial", "pair")}
        shape = CausalShape(**{**sizes, **flags})  # type: ignore[arg-type]
        arrays: dict[str, NDArray[Any]] = {}
        for name, (dtype, size) in shape.arrays.items():
            place = f"pixels.{name}"
            if name in PACKED:
                arrays[name] = inflate(tensors, place, dtype, size)
            else:
                arrays[name] = tensor(tensors, place, dtype, len(size))
        return cls(shape, arrays)

    def make_coder(self) -> CausalNetCoder:
        """Its coder."""
        return CausalNetCoder(self)


def conditions_of(parameters: Parameters | None) -> NDArray[np.uint8] | None:
    """uint8 [N, H, W, 2 P]: the synthesis network's outputs in their order, all of them bytes."""
    if parameters is None:
        return None
    even, odd = parameters
    number, pairs, height, width = odd.shape
    conditions = np.empty((number, height, width, pairs, 2), np.uint8)
    conditions[..., 0] = even.transpose(0, 2, 3, 1)
    conditions[..., 1] = odd.transpose(0, 2, 3, 1)
    return conditions.reshape(number, height, width, 2 * pairs)


class CausalNetCoder:
    """Pushes and pops pixels."""

    def __init__(self, part: CausalNetTables) -> None:
        self.model = entropy.CausalModel(part.shape, part.arrays)

    @property
    def expanded_nbytes(self) -> int:
        """Bytes of tables as they are held for coding."""
        return self.model.expanded_nbytes

    def push(
        self, encoder: entropy.Encoder, images: NDArray[np.uint8], parameters: Parameters | None
    ) -> None:
        """Code uint8 [N, H, W, 3]."""
        encoder.push_causal(self.model, images, conditions_of(parameters))

    def pop(
        self, decoder: entropy.Decoder, parameters: Parameters | None, shape: tuple[int, int, int]
    ) -> NDArray[np.uint8]:
        """Decode uint8 [N, H, W, 3]."""
        images: NDArray[np.uint8] = decoder.pop_causal(self.model, shape, conditions_of(parameters))
        return images

    def encode_wave(self, image: NDArray[np.uint8], recall: bool) -> tuple[bytes, float]:
        """Code uint8 [H, W, 3], whose rows are the lanes: the stream and its bits."""
        encoder = entropy.WaveEncoder()
        encoder.push_causal(self.model, image, recall)
        return encoder.finish(), encoder.information()

    def decode_wave(self, stream: memoryview, shape: tuple[int, int], recall: bool) -> NDArray[np.uint8]:
        """Decode uint8 [H, W, 3] of `shape` [H, W]."""
        decoder = entropy.WaveDecoder(stream)
        image: NDArray[np.uint8] = decoder.pop_causal(self.model, *shape, recall)
        decoder.finish()
        return image
