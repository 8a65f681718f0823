"""PNG and WebP through Pillow, which is a core dependency."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import PIL
from PIL import Image as PillowImage
from PIL import features

from fsar_lab.baselines.base import Baseline, Image, check_image


class PillowCodec(Baseline):
    """A lossless file format of Pillow."""

    def __init__(self, name: str, title: str, file_format: str, feature: str, **options: Any) -> None:
        """Args: Pillow's name of the format and of the library behind it, and its save options."""
        self.name, self.title = name, title
        self._format, self._feature, self._options = file_format, feature, options

    def encode(self, image: Image) -> bytes:
        """Codes a uint8 image [H, W, 3]."""
        buffer = io.BytesIO()
        PillowImage.fromarray(check_image(image)).save(buffer, format=self._format, **self._options)
        return buffer.getvalue()

    def decode(self, data: bytes) -> Image:
        """Decodes to uint8 [H, W, 3]; only this format is tried."""
        with PillowImage.open(io.BytesIO(data), formats=[self._format]) as opened:
            return np.asarray(opened.convert("RGB"))

    def library(self) -> str:
        """Pillow and the format's library."""
        return f"{self._feature} {features.version(self._feature)} (Pillow {PIL.__version__})"


def png() -> Baseline:
    """PNG with all filters tried and zlib at its highest level."""
    return PillowCodec("png", "PNG, optimised, zlib 9", "PNG", "zlib", optimize=True, compress_level=9)


def webp() -> Baseline:
    """WebP lossless, method 4 (its default); `exact` keeps colours whatever the transparency."""
    title = "WebP lossless, method 4"
    return PillowCodec("webp", title, "WEBP", "webp", lossless=True, quality=100, method=4, exact=True)
