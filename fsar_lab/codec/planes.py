"""Pixels coded as latents are: colour planes are the groups, grey levels the symbols of a prior part."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from fsar_lab import entropy
from fsar_lab.codec.fields import Tensors, member
from fsar_lab.codec.integer_network import Layer, NetworkError
from fsar_lab.codec.parts import Json, LatentCoder, Pack, Parameters, PriorPart

COLOURS, LEVELS = 3, 256


@dataclass(frozen=True)
class Planes:
    """A prior of 3 groups over 256 symbols, of any kind; the planes are coded one after the other."""

    kind: ClassVar[str] = "planes"
    prior: PriorPart

    def check(self, head: Layer | None) -> None:
        """Raise NetworkError unless the prior is one of pixels and there is no synthesis network."""
        if head is not None:
            raise NetworkError("pixels coded from pixels alone have no networks")
        self.prior.check()
        if (self.prior.groups, self.prior.codebook_size) != (COLOURS, LEVELS):
            raise NetworkError("the prior is not one of three colours of 256 grey levels")

    def put(self, tensors: dict[str, NDArray[Any]], pack: Pack) -> Json:
        """The prior's description; its tensors are named as those of a prior of latents."""
        from fsar_lab.codec import kinds  # which knows this kind, too

        return {"prior": kinds.put(self.prior, kinds.PRIORS, tensors, pack)}

    @classmethod
    def get(cls, description: object, tensors: Tensors) -> Planes:
        """What `put` stored."""
        from fsar_lab.codec import kinds

        return cls(kinds.get(member(description, "prior", dict), kinds.PRIORS, tensors))

    def make_coder(self) -> PlanesCoder:
        """Its coder."""
        return PlanesCoder(self.prior.make_coder())


class PlanesCoder:
    """Pushes and pops pixels with a prior's coder."""

    def __init__(self, coder: LatentCoder) -> None:
        self.coder = coder

    @property
    def expanded_nbytes(self) -> int:
        """Bytes of tables as they are held for coding."""
        return self.coder.expanded_nbytes

    def push(
        self, encoder: entropy.Encoder, images: NDArray[np.uint8], parameters: Parameters | None
    ) -> None:
        """Code uint8 [N, H, W, 3]."""
        assert parameters is None
        self.coder.push(encoder, np.ascontiguousarray(images.transpose(0, 3, 1, 2)).astype(np.uint16))

    def pop(
        self, decoder: entropy.Decoder, parameters: Parameters | None, shape: tuple[int, int, int]
    ) -> NDArray[np.uint8]:
        """Decode uint8 [N, H, W, 3]."""
        assert parameters is None
        number, height, width = shape
        planes = self.coder.pop(decoder, (number, COLOURS, height, width))
        return np.ascontiguousarray(planes.transpose(0, 2, 3, 1)).astype(np.uint8)
