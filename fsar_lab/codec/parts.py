"""What a codec is put together from: the parts of a model, and the coders that they make.

A *prior part* is the indices' distribution, a *pixel part* the pixels'; both are integers in a bundle. Each
has a `kind`, by which `kinds.py` finds it when a bundle is read. A part makes its coder, which pushes to and
pops from the entropy coder. rANS is a stack: what is decoded first is pushed last.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from fsar_lab import entropy
from fsar_lab.codec.fields import Tensors
from fsar_lab.codec.integer_network import Layer

Json = dict[str, Any]
Pack = Callable[[NDArray[Any]], NDArray[Any]]  # how large tensors are stored: `deflate`, or as they are
# What the synthesis network says, its outputs in pairs (mostly logits and scales), [N, P, H, W].
Parameters = tuple[NDArray[np.int16], NDArray[np.uint8]]


class LatentCoder(Protocol):
    """Codes indices of many images at a time."""

    @property
    def expanded_nbytes(self) -> int:
        """Bytes of tables as they are held for coding."""

    def push(self, encoder: entropy.Encoder, indices: NDArray[np.uint16]) -> None:
        """Code indices, uint16 [N, G, h, w]."""

    def pop(self, decoder: entropy.Decoder, shape: tuple[int, int, int, int]) -> NDArray[np.uint16]:
        """Decode indices of `shape` [N, G, h, w]."""


class PixelCoder(Protocol):
    """Codes the pixels of many images at a time."""

    @property
    def expanded_nbytes(self) -> int:
        """Bytes of tables as they are held for coding."""

    def push(
        self, encoder: entropy.Encoder, images: NDArray[np.uint8], parameters: Parameters | None
    ) -> None:
        """Code uint8 [N, H, W, 3], given what the synthesis network says (None without networks)."""

    def pop(
        self, decoder: entropy.Decoder, parameters: Parameters | None, shape: tuple[int, int, int]
    ) -> NDArray[np.uint8]:
        """Decode uint8 [N, H, W, 3] of `shape` [N, H, W]."""


class WaveCoder(PixelCoder, Protocol):
    """Codes the pixels of large images one by one, too; the rows of an image are the lanes."""

    def encode_wave(self, image: NDArray[np.uint8], recall: bool) -> tuple[bytes, float]:
        """Code uint8 [H, W, 3], remembering its colours or not: stream, and bits without the states."""

    def decode_wave(self, stream: memoryview, shape: tuple[int, int], recall: bool) -> NDArray[np.uint8]:
        """Decode uint8 [H, W, 3] of `shape` [H, W]."""


class Part(Protocol):
    """Integers of a bundle."""

    kind: ClassVar[str]

    def put(self, tensors: dict[str, NDArray[Any]], pack: Pack) -> Json:
        """Add tensors, large ones through `pack`; returns the description, without the kind."""

    @classmethod
    def get(cls, description: object, tensors: Tensors) -> Self:
        """What `put` stored, trusting nothing; rules that `check` sees need not be checked here.

        Raises:
            DamagedStreamError: not what `put` could have stored.
        """


class PriorPart(Part, Protocol):
    """Distribution of the indices."""

    @property
    def groups(self) -> int:
        """G."""

    @property
    def codebook_size(self) -> int:
        """K."""

    @property
    def tables(self) -> int:
        """Tables held for coding."""

    @property
    def uniform(self) -> bool:
        """Every index is equally likely."""

    def check(self) -> None:
        """Raise NetworkError unless the part is exact and consistent."""

    def make_coder(self) -> LatentCoder:
        """Its coder."""


class PixelPart(Part, Protocol):
    """Distribution of the pixels."""

    def check(self, head: Layer | None) -> None:
        """Raise NetworkError unless the part is consistent and fits the synthesis network's last layer."""

    def make_coder(self) -> PixelCoder:
        """Its coder."""
