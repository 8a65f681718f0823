"""Reading a safetensors file that need not be trusted.

The layout is 8 bytes of header length, a JSON header, then the tensors' bytes, one after another. Everything
that the header claims is held against the size of the file and fixed caps before anything else is read.
"""

from __future__ import annotations

import json
import math
import os
import re
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fsar_lab.codec.fields import damaged

MAX_FILE_BYTES = 64 << 20
MAX_HEADER_BYTES = 1 << 20
MAX_TENSORS = 4096
MAX_DIMENSIONS = 8
MAX_NESTING = 16
DTYPES = {"U8": "<u1", "I16": "<i2", "I32": "<i4"}

_STRINGS = re.compile(r'"(?:[^"\\]|\\.)*"', re.DOTALL)
_BRACKETS = re.compile(r"[\[\]{}]")

Tensors = dict[str, NDArray[Any]]


def read(path: str | Path) -> tuple[dict[str, str], Tensors]:
    """Metadata and tensors of a file.

    Raises:
        FileNotFoundError: no such file.
        DamagedStreamError: anything but a safetensors file of integers within the caps above.
    """
    with Path(path).open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        if size > MAX_FILE_BYTES:
            raise damaged(f"more than {MAX_FILE_BYTES >> 20} MB")
        data = file.read(size)
    if len(data) < 8:
        raise damaged("shorter than its header")
    length = int.from_bytes(data[:8], "little")
    if length > min(MAX_HEADER_BYTES, len(data) - 8):
        raise damaged(f"a header of {length:,} bytes")
    header = parse_json(data[8 : 8 + length])
    body = memoryview(data)[8 + length :]
    metadata = header.pop("__metadata__", {})
    if not isinstance(metadata, dict) or not all(isinstance(value, str) for value in metadata.values()):
        raise damaged("its metadata is not a table of strings")
    if len(header) > MAX_TENSORS:
        raise damaged(f"{len(header)} tensors")
    spans = {name: _span(name, entry, len(body)) for name, entry in header.items()}
    _check_layout(sorted(spans.values(), key=lambda span: span[:2]), len(body))
    return metadata, {
        name: np.frombuffer(body[start:stop], DTYPES[dtype]).astype(DTYPES[dtype][1:]).reshape(shape)
        for name, (start, stop, dtype, shape) in spans.items()
    }


def parse_json(text: bytes | str) -> dict[str, Any]:
    """A JSON object without duplicate keys, NaN, infinity or deep nesting."""
    if isinstance(text, bytes):
        try:
            text = text.decode("utf-8")
        except UnicodeDecodeError as error:
            raise damaged("its header is not UTF-8") from error
    _check_nesting(text)
    try:
        result = json.loads(text, object_pairs_hook=_without_duplicates, parse_constant=_refuse_constant)
    except ValueError as error:  # JSONDecodeError, or a number of thousands of digits
        raise damaged("its header is not JSON") from error
    if not isinstance(result, dict):
        raise damaged("its header is not a JSON object")
    return result


def _check_nesting(text: str) -> None:
    """Refuse deep nesting before the parser recurses; brackets inside strings do not count."""
    depth = 0
    for bracket in _BRACKETS.findall(_STRINGS.sub("", text)):
        depth += 1 if bracket in "[{" else -1
        if depth > MAX_NESTING:
            raise damaged("its header is nested too deeply")


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) < len(pairs):
        raise damaged("a name stands twice in its header")
    return result


def _refuse_constant(name: str) -> None:
    raise damaged(f"{name} in its header")


def _span(name: str, entry: object, size: int) -> tuple[int, int, str, tuple[int, ...]]:
    """Where a tensor lies in the body, its dtype and shape, all of them plausible."""
    if not isinstance(entry, dict) or set(entry) != {"dtype", "shape", "data_offsets"}:
        raise damaged(f"tensor {name} is not described by dtype, shape and data_offsets")
    dtype, shape, offsets = entry["dtype"], entry["shape"], entry["data_offsets"]
    if not isinstance(dtype, str) or dtype not in DTYPES:
        raise damaged(f"tensor {name} has a type that no codec has")
    if not _naturals(shape) or len(shape) > MAX_DIMENSIONS or not _naturals(offsets) or len(offsets) != 2:
        raise damaged(f"tensor {name} has an impossible shape or place")
    start, stop = offsets
    claimed = math.prod(shape) * np.dtype(DTYPES[dtype]).itemsize
    if not start <= stop <= size or claimed != stop - start:
        raise damaged(f"tensor {name} does not fit the file")
    return start, stop, dtype, tuple(shape)


def _naturals(values: object) -> bool:
    return isinstance(values, list) and all(type(v) is int and 0 <= v <= MAX_FILE_BYTES for v in values)


def _check_layout(spans: list[tuple[int, int, str, tuple[int, ...]]], size: int) -> None:
    """Tensors must follow each other without gaps, and nothing may come after the last."""
    end = 0
    for start, stop, _, _ in spans:
        if start != end:
            raise damaged("its tensors overlap or leave gaps")
        end = stop
    if end != size:
        raise damaged("there are bytes that belong to no tensor")
