"""Checks of NumPy arguments, and views of them for C. Nothing is copied or converted silently."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from fsar_lab.entropy._entropy_c import ffi

Array = npt.NDArray[Any]

_C_TYPES = {"uint8": "uint8_t[]", "int16": "int16_t[]", "uint16": "uint16_t[]", "int32": "int32_t[]"}
_C_TYPES["uint32"] = "uint32_t[]"


def require(name: str, array: object, dtype: type[np.generic], shape: tuple[int | None, ...]) -> Array:
    """Returns `array` if it is what the C library reads, else says what to change.

    Args:
        name: how the message calls the argument.
        array: the argument.
        dtype: the only element type accepted.
        shape: expected sizes; None accepts any size.

    Raises:
        TypeError: not an array, or of another element type.
        ValueError: another shape, or not C-contiguous.
    """
    wanted = np.dtype(dtype)
    if not isinstance(array, np.ndarray):
        raise TypeError(f"{name} must be a numpy array of {wanted}, not {type(array).__name__}")
    if array.dtype != wanted:
        raise TypeError(
            f"{name} must have dtype {wanted}, not {array.dtype}; convert it with .astype(np.{wanted})"
        )
    if array.ndim != len(shape) or any(
        w is not None and w != n for w, n in zip(shape, array.shape, strict=True)
    ):
        text = ", ".join("any" if size is None else str(size) for size in shape)
        raise ValueError(f"{name} must have shape [{text}], not {list(array.shape)}")
    if not array.flags.c_contiguous:
        raise ValueError(f"{name} must be C-contiguous; pass np.ascontiguousarray({name})")
    return array


def pointer(array: Array) -> Any:
    """A C pointer to the elements of a contiguous array; keeps the array alive."""
    return ffi.from_buffer(_C_TYPES[array.dtype.name], array)
