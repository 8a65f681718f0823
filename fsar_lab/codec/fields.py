"""Checked reading of untrusted JSON and tensors: every mistake becomes one DamagedStreamError."""

from __future__ import annotations

import math
import zlib
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fsar_lab.errors import DamagedStreamError

Tensors = Mapping[str, NDArray[Any]]
MAX_VALUES = 1 << 23  # of one deflated tensor, whatever its description claims


def damaged(what: str) -> DamagedStreamError:
    """The error for a codec file that does not say what it must."""
    return DamagedStreamError(f"the codec file is damaged or not one of ours ({what}); export it again")


def member(fields: object, key: str, kind: type) -> Any:
    """`fields[key]`, which must be exactly of type `kind` (a bool is not an int)."""
    if not isinstance(fields, dict) or type(fields.get(key)) is not kind:
        raise damaged(f"no {kind.__name__} {key!r} in its description")
    return fields[key]


def integer(fields: object, key: str, low: int, high: int) -> int:
    """`fields[key]`, an integer in [low, high]."""
    value: int = member(fields, key, int)
    if not low <= value <= high:
        raise damaged(f"{key} = {value} is not in {low}..{high}")
    return value


def numbers(fields: object, key: str, count: int, high: int) -> tuple[int, ...]:
    """`fields[key]`, a list of `count` integers in [1, high]."""
    value = member(fields, key, list)
    if len(value) != count or any(type(entry) is not int or not 1 <= entry <= high for entry in value):
        raise damaged(f"{key} is not a list of {count} numbers in 1..{high}")
    return tuple(value)


def triples(value: object, limit: int, what: str) -> tuple[tuple[int, int, int], ...]:
    """A list of at most `limit` triples of small integers."""
    if not isinstance(value, list) or len(value) > limit:
        raise damaged(f"{what} is not a list of at most {limit} offsets")
    for entry in value:
        if (
            not isinstance(entry, list)
            or len(entry) != 3
            or any(type(v) is not int or abs(v) > 64 for v in entry)
        ):
            raise damaged(f"{what} holds something that is not an offset")
    return tuple((entry[0], entry[1], entry[2]) for entry in value)


def shape(fields: object, dimensions: int) -> tuple[int, ...]:
    """`fields["shape"]`: positive integers, of a product that may be inflated."""
    value = member(fields, "shape", list)
    if len(value) != dimensions or any(type(side) is not int or not 0 < side <= MAX_VALUES for side in value):
        raise damaged(f"a shape that is not that of a tensor of {dimensions} dimensions")
    if math.prod(value) > MAX_VALUES:
        raise damaged(f"a shape of more than {MAX_VALUES:,} values")
    return tuple(value)


def tensor(tensors: Tensors, name: str, dtype: type[np.generic], dimensions: int) -> NDArray[Any]:
    """The tensor `name`, of that type and number of dimensions."""
    value = tensors.get(name)
    if value is None or value.dtype != np.dtype(dtype) or value.ndim != dimensions or value.size == 0:
        raise damaged(f"tensor {name} is missing, empty or of another type")
    return np.ascontiguousarray(value)


def deflate(values: NDArray[Any]) -> NDArray[np.uint8]:
    """Integers of 8 or 16 bits, deflated: the latter as a plane of low bytes and one of high bytes."""
    width = values.dtype.itemsize
    assert width in (1, 2)
    planes = np.ascontiguousarray(values).astype(values.dtype.newbyteorder("<")).view(np.uint8)
    return np.frombuffer(zlib.compress(planes.reshape(-1, width).T.tobytes(), 9), np.uint8)


def inflate(tensors: Tensors, name: str, dtype: type[np.generic], shape: tuple[int, ...]) -> NDArray[Any]:
    """What `deflate` was given; never more memory than `shape` implies, which the caller has bounded."""
    count, width = math.prod(shape), np.dtype(dtype).itemsize
    stream = zlib.decompressobj()
    try:
        data = stream.decompress(tensor(tensors, name, np.uint8, 1).tobytes(), width * count + 1)
    except zlib.error as error:
        raise damaged(f"tensor {name} does not inflate") from error
    if len(data) != width * count or not stream.eof or stream.unused_data:
        raise damaged(f"tensor {name} does not inflate to the size that its description implies")
    planes = np.frombuffer(data, np.uint8).reshape(width, count)
    numbers = np.ascontiguousarray(planes.T).view(f"<u{width}").reshape(shape)
    return numbers.astype(f"u{width}").view(dtype)
