"""Checks of NumPy arguments, and views of them for C. Nothing is copied or converted silently."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from fsar_lab.entropy._entropy_c import ffi

Array = npt.NDArray[Any]

BYTES = ffi.typeof("uint8_t[]")

# By the one-letter code of the dtype, which is much faster to ask for than its name.
_C_TYPES = {
    np.dtype(dtype).char: ffi.typeof(f"{np.dtype(dtype).name}_t[]")
    for dtype in (np.uint8, np.int16, np.uint16, np.int32, np.uint32, np.uint64)
}
_SHORT: dict[str, type[np.generic]] = {"B": np.uint8, "H": np.uint16}  # indices of less than 32 bits


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
    if type(array) is np.ndarray and array.dtype is wanted and array.ndim == len(shape):
        for size, given in zip(shape, array.shape, strict=True):
            if size is not None and size != given:
                break
        else:
            if array.flags.c_contiguous:
                return array  # the usual case, at the cost of a microsecond
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


def require_index(index: object, shape: tuple[int | None, ...]) -> tuple[int, Array | None]:
    """Bytes of an entry and the array of table indices, which may be None for none at all."""
    if index is None:
        return 0, None
    array = require("index", index, _SHORT.get(_code_of(index), np.uint32), shape)
    return array.itemsize, array


def require_symbols(symbols: object, alphabet: int, shape: tuple[int | None, ...]) -> Array:
    """Symbols of two bytes each or, if the alphabet allows it, of one."""
    narrow = _code_of(symbols) == "B" and alphabet <= 256
    return require("symbols", symbols, np.uint8 if narrow else np.uint16, shape)


def _code_of(array: object) -> str:
    return str(getattr(getattr(array, "dtype", None), "char", ""))


def pointer(array: Array) -> Any:
    """A C pointer to the elements of a contiguous array; keeps the array alive."""
    return ffi.from_buffer(_C_TYPES[array.dtype.char], array)
