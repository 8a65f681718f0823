"""Which neighbours a masked convolution sees."""

from __future__ import annotations

from itertools import product

Tap = tuple[int, int, int]
RASTER, CHECKERBOARD, RASTER_3D = "raster", "checkerboard", "raster3d"
MASKS = (RASTER, CHECKERBOARD, RASTER_3D)


def mask_taps(mask: str, kernel: int) -> tuple[Tap, ...]:
    """Offsets (plane, row, column) of the neighbours that a convolution may see, in raster order.

    Args:
        mask: "raster", every position that precedes the coded one (type A of PixelCNN, arXiv:1601.06759);
            "checkerboard", every position of the other colour (arXiv:2103.15306);
            "raster3d", every one that precedes it in a window that has planes, too, plane after plane: all of
            the window in the planes before, none in those behind (arXiv:1801.04260, section 3.2).
        kernel: odd side of the window.
    """
    reach = range(-(kernel // 2), kernel // 2 + 1)
    if mask == RASTER_3D:
        return tuple(tap for tap in product(reach, reach, reach) if tap < (0, 0, 0))
    window = product((0,), reach, reach)
    if mask == RASTER:
        return tuple(tap for tap in window if tap < (0, 0, 0))
    return tuple(tap for tap in window if sum(tap) % 2)
