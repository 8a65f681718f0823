"""The interface of a classical codec."""

from __future__ import annotations

from abc import ABC, abstractmethod

import numpy as np
from numpy.typing import NDArray

from fsar_lab.errors import CodingError

Image = NDArray[np.uint8]


class Baseline(ABC):
    """A lossless image codec: one uint8 image [H, W, 3] is one complete file.

    Attributes:
        name: short name, as in tables and configurations.
        title: what is measured, with its settings.
    """

    name: str
    title: str

    @abstractmethod
    def encode(self, image: Image) -> bytes:
        """Codes a uint8 image [H, W, 3] as one complete file."""

    @abstractmethod
    def decode(self, data: bytes) -> Image:
        """Decodes what `encode` wrote to a uint8 image [H, W, 3]."""

    @abstractmethod
    def library(self) -> str:
        """Names the library that does the work, with its version."""

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name}: {self.title}>"


def check_image(image: Image) -> Image:
    """Returns the image, contiguous in memory.

    Raises:
        CodingError: If it is not uint8 [H, W, 3] with at least one pixel.
    """
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or image.size == 0:
        raise CodingError(
            f"baselines code uint8 images [H, W, 3]; this one is {image.dtype} {list(image.shape)}."
        )
    return np.ascontiguousarray(image)
