"""JPEG XL, JPEG-LS and QOI through imagecodecs (extra `bench`)."""

from __future__ import annotations

from typing import Any

import numpy as np

from fsar_lab.baselines.base import Baseline, Image, check_image
from fsar_lab.errors import ConfigError


def load() -> Any:
    """Imports imagecodecs.

    Raises:
        ConfigError: If it is not installed; the message names the extra.
    """
    try:
        import imagecodecs
    except ImportError as error:
        raise ConfigError(
            "JPEG XL, JPEG-LS and QOI need imagecodecs, which is not installed. "
            "Install it with: pip install 'fsar_lab[bench]'"
        ) from error
    return imagecodecs


class ImagecodecsCodec(Baseline):
    """What the codecs of imagecodecs have in common: the module and the library's version."""

    def __init__(self, name: str, title: str, codec: str) -> None:
        """Loads imagecodecs; `codec` is its name there (`jpegxl`, `jpegls`, `qoi`)."""
        self.name, self.title = name, title
        module = load()
        self._encode, self._decode = getattr(module, f"{codec}_encode"), getattr(module, f"{codec}_decode")
        self._version, self._package = getattr(module, f"{codec}_version"), module.__version__

    def encode(self, image: Image) -> bytes:
        """Codes a uint8 image [H, W, 3]."""
        return bytes(self._encode(check_image(image)))

    def decode(self, data: bytes) -> Image:
        """Decodes to uint8 [H, W, 3]."""
        return np.asarray(self._decode(data), np.uint8)

    def library(self) -> str:
        """The library behind imagecodecs."""
        return f"{self._version()} (imagecodecs {self._package})"


class JpegXL(ImagecodecsCodec):
    """JPEG XL lossless as a bare codestream, one thread."""

    def __init__(self, effort: int) -> None:
        """`effort` 1 (fast) to 9 (slow)."""
        super().__init__(f"jxl_e{effort}", f"JPEG XL lossless, effort {effort}", "jpegxl")
        self._options = {"lossless": True, "effort": effort, "usecontainer": False, "numthreads": 1}

    def encode(self, image: Image) -> bytes:
        """Codes a uint8 image [H, W, 3]."""
        return bytes(self._encode(check_image(image), **self._options))

    def decode(self, data: bytes) -> Image:
        """Decodes to uint8 [H, W, 3]."""
        return np.asarray(self._decode(data, numthreads=1), np.uint8)


class JpegLS(ImagecodecsCodec):
    """JPEG-LS after the reversible colour transform (R - G + 128, G, B - G + 128) modulo 256.

    The baseline standard has no colour transform; without one it is far behind the others on photographs.
    """

    def __init__(self) -> None:
        super().__init__("jpegls", "JPEG-LS after (R-G, G, B-G)", "jpegls")

    def encode(self, image: Image) -> bytes:
        """Codes a uint8 image [H, W, 3]."""
        return bytes(self._encode(_shift_by_green(check_image(image), -1)))

    def decode(self, data: bytes) -> Image:
        """Decodes to uint8 [H, W, 3]."""
        return _shift_by_green(np.asarray(self._decode(data), np.uint8), 1)


def _shift_by_green(image: Image, sign: int) -> Image:
    """Adds (sign 1) or subtracts (sign -1) green from red and blue around 128, modulo 256; [H, W, 3]."""
    out = image.copy()
    green = (image[..., 1] if sign > 0 else -image[..., 1]) + np.uint8(128)  # 128 = -128 modulo 256
    out[..., 0] += green
    out[..., 2] += green
    return out


def qoi() -> Baseline:
    """QOI, "quite OK image": very fast, little compression."""
    return ImagecodecsCodec("qoi", "QOI", "qoi")
