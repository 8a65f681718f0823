"""Which neighbours a masked convolution sees."""

from __future__ import annotations

Tap = tuple[int, int]
RASTER, CHECKERBOARD = "raster", "checkerboard"
MASKS = (RASTER, CHECKERBOARD)


def mask_taps(mask: str, kernel: int) -> tuple[Tap, ...]:
    """Offsets (row, column) of the neighbours that a convolution may see, in raster order.

    Args:
        mask: "raster", every position that precedes the coded one (type A of PixelCNN, arXiv:1601.06759);
            "checkerboard", every position of the other colour (arXiv:2103.15306).
        kernel: odd side of the window.
    """
    reach = range(-(kernel // 2), kernel // 2 + 1)
    window = [(dy, dx) for dy in reach for dx in reach]
    if mask == RASTER:
        return tuple(tap for tap in window if tap < (0, 0))
    return tuple((dy, dx) for dy, dx in window if (dy + dx) % 2)
