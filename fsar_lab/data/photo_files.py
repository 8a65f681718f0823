"""Reading photographs, and knowing whether they were ever compressed with loss."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError
from torch import Tensor

Image.MAX_IMAGE_PIXELS = None  # the user's own photographs may be large


def read_photo(file: Path) -> tuple[Tensor | None, str | None]:
    """Decode one file.

    Returns:
        The photograph, uint8 [3, H, W], or None if it cannot be used; and what is wrong with it, or None.
    """
    pixels, complaint = read_pixels(file)
    return None if pixels is None else planes(pixels), complaint


def read_pixels(file: Path) -> tuple[NDArray[np.uint8] | None, str | None]:
    """The same with the photograph as uint8 [H, W, 3]."""
    try:
        with Image.open(file) as image:
            lossy = _is_lossy(image, file)
            # Pillow reads colours of 16 bits as 8 and calls them RGB; only the decoder's arguments tell.
            deep = image.mode in ("RGB", "RGBA") and any("16" in str(tile[3]) for tile in image.tile)
            mode, pixels = f"{image.mode};16" if deep else image.mode, np.array(image)
    except (UnidentifiedImageError, OSError, ValueError, SyntaxError) as error:
        return None, f"left out, not readable ({error})"
    if mode == "RGBA" and (pixels[..., 3] == 255).all():
        mode, pixels = "RGB", pixels[..., :3]
    if mode != "RGB":
        return None, f"left out, its mode is {mode} and not RGB with 8 bits"
    complaint = "was compressed with loss, figures from it say little about photographs" if lossy else None
    return pixels, complaint


def planes(pixels: NDArray[np.uint8]) -> Tensor:
    """uint8 [H, W, 3] -> [3, H, W]."""
    return torch.from_numpy(pixels).permute(2, 0, 1).contiguous()


def unsuitable(photo: Tensor, tile: int) -> str | None:
    """Why a photograph [3, H, W] cannot be cut into tiles, or None if it can."""
    _, height, width = photo.shape
    if min(height, width) < tile:
        return f"left out, {width}x{height} is smaller than a tile of {tile}"
    return None


def content_hash(photo: Tensor) -> str:
    """SHA-256 of size and pixels of uint8 [3, H, W]."""
    digest = hashlib.sha256(repr(tuple(photo.shape)).encode())
    digest.update(photo.numpy().tobytes())
    return digest.hexdigest()


def content_number(photo: Tensor) -> float:
    """A number in [0, 1) that depends on the pixels only."""
    return number_of(content_hash(photo))


def number_of(content: str) -> float:
    """The number in [0, 1) of a content hash."""
    return int(content[:12], 16) / 2**48


def _is_lossy(image: Image.Image, file: Path) -> bool:
    if image.format == "WEBP":
        return not _is_lossless_webp(file)
    if image.format == "TIFF":
        return image.info.get("compression") in ("jpeg", "tiff_jpeg")
    return image.format in ("JPEG", "MPO")  # many phones' .jpg files are MPO, JPEG images in a row


def _is_lossless_webp(file: Path) -> bool:
    """Whether the file has a VP8L chunk (lossless) and no VP8 chunk (lossy)."""
    with file.open("rb") as stream:
        head = stream.read(12)
        if head[:4] != b"RIFF" or head[8:12] != b"WEBP":
            return False
        while len(chunk := stream.read(8)) == 8:
            if chunk[:4] in (b"VP8L", b"VP8 "):
                return chunk[:4] == b"VP8L"
            size = int.from_bytes(chunk[4:], "little")
            stream.seek(size + size % 2, 1)
    return False
