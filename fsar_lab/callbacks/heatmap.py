"""Numbers as colours, with numpy and Pillow alone."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

# Five colours from dark blue over green to yellow, about evenly spaced in lightness (after viridis).
_STOPS = np.array(
    [[68, 1, 84], [59, 82, 139], [33, 145, 140], [94, 201, 98], [253, 231, 37]], dtype=np.float64
)
_INK, _PAPER = (40, 40, 40), (255, 255, 255)
_LABEL_HEIGHT, _GAP = 14, 4


def heat_map(values: NDArray[np.floating], top: float) -> NDArray[np.uint8]:
    """Colours of `values` (any shape) on a scale from 0 to `top`, clipped: uint8 [..., 3]."""
    position = np.clip(np.nan_to_num(values.astype(np.float64)) / top, 0.0, 1.0) * (len(_STOPS) - 1)
    low = np.minimum(position.astype(np.int64), len(_STOPS) - 2)
    part = (position - low)[..., None]
    colours: NDArray[np.float64] = _STOPS[low] * (1.0 - part) + _STOPS[low + 1] * part
    return np.rint(colours).astype(np.uint8)


def contact_sheet(rows: list[tuple[str, NDArray[np.uint8]]], side: int = 96) -> NDArray[np.uint8]:
    """Rows of pictures, each with its label above.

    Args:
        rows: Label and pictures uint8 [n, H, W, 3] of each row.
        side: Small pictures are enlarged by a whole factor to about this many pixels.

    Returns:
        uint8 [height, width, 3].
    """
    enlarged = [(label, _enlarge(pictures, side)) for label, pictures in rows]
    width = max(len(pictures) * (pictures.shape[2] + _GAP) + _GAP for _, pictures in enlarged)
    height = sum(pictures.shape[1] + _LABEL_HEIGHT + _GAP for _, pictures in enlarged) + _GAP
    sheet = Image.new("RGB", (width, height), _PAPER)
    draw = ImageDraw.Draw(sheet)
    y = _GAP
    for label, pictures in enlarged:
        draw.text((_GAP, y), label, fill=_INK)
        y += _LABEL_HEIGHT
        for column, picture in enumerate(pictures):
            sheet.paste(Image.fromarray(picture), (_GAP + column * (picture.shape[1] + _GAP), y))
        y += pictures.shape[1] + _GAP
    return np.asarray(sheet)


def _enlarge(pictures: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
    factor = max(1, side // max(pictures.shape[1:3]))
    return pictures.repeat(factor, axis=1).repeat(factor, axis=2)
