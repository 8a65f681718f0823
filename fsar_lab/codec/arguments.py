"""What callers hand to the codec, checked before anything is done with it."""

from __future__ import annotations

import operator
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from fsar_lab.codec.tiling import Image
from fsar_lab.errors import CodingError

Images = NDArray[np.uint8] | Sequence[Image]


def check_images(images: Images) -> None:
    """Raise unless these are images that can be coded."""
    if not isinstance(images, np.ndarray | list | tuple):
        raise TypeError(
            f"images must be an array [N, H, W, 3] or a list of arrays [H, W, 3], not {type(images).__name__}"
        )
    whole = isinstance(images, np.ndarray)
    for image in [images] if whole else images:
        if not isinstance(image, np.ndarray) or image.dtype != np.uint8:
            kind = image.dtype if isinstance(image, np.ndarray) else type(image).__name__
            raise TypeError(
                f"images must be NumPy arrays of uint8, not {kind}; 16-bit and float images are "
                'not supported, pictures of Pillow need numpy.asarray(picture.convert("RGB"))'
            )
        if image.ndim != (4 if whole else 3) or image.shape[-1] != 3:
            wanted = "[N, H, W, 3] (one image: put it into a list)" if whole else "[H, W, 3]"
            raise CodingError(f"images must have shape {wanted}, not {list(image.shape)}; convert to RGB")
        if 0 in image.shape:
            raise CodingError(f"nothing to code in images of shape {list(image.shape)}")
    if not len(images):
        raise CodingError("nothing to code: there are no images")


def chosen_numbers(only: int | Sequence[int] | None, number: int) -> tuple[list[int], bool]:
    """The images asked for, counted from 0, and whether it was one by itself."""
    if only is None:
        return list(range(number)), False
    try:
        chosen, single = [operator.index(only)], True  # type: ignore[arg-type]
    except TypeError:
        chosen, single = [operator.index(i) for i in only], False  # type: ignore[union-attr]
    for i in chosen:
        if not -number <= i < number:
            raise IndexError(f"there is no image {i}: the blob holds {number}, counted from 0")
    return [i % number for i in chosen], single
