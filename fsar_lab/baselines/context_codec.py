"""Our coder without networks as one more codec to stand beside: what a network must beat."""

from __future__ import annotations

import numpy as np

from fsar_lab import zoo
from fsar_lab.baselines.base import Baseline, Image, check_image


class ContextCodec(Baseline):
    """The zoo's `context` codec, one blob for each image."""

    name = "context"
    title = "linear prediction and static contexts, fitted to CIFAR-10 (zoo: context)"

    def __init__(self) -> None:
        from fsar_lab.codec.codec import Codec  # not before one is asked for

        self._codec = Codec.load(zoo.codec_path("context"), threads=1)

    def encode(self, image: Image) -> bytes:
        """Codes a uint8 image [H, W, 3]."""
        return self._codec.encode([check_image(image)])

    def decode(self, data: bytes) -> Image:
        """Decodes to uint8 [H, W, 3]."""
        return np.asarray(self._codec.decode(data)[0])

    def library(self) -> str:
        """fsar_lab and the model."""
        from fsar_lab import __version__

        return f"fsar_lab {__version__}, model {self._codec.model.id.hex()}"
