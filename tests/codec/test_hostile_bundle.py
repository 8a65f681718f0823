"""Bundles from strangers: refused with a typed error, and before anything large is allocated."""

from __future__ import annotations

import contextlib
import json
import tracemalloc
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fsar_lab.codec import tensor_file
from fsar_lab.codec.fields import deflate, inflate
from fsar_lab.codec.model import KEY, CodecModel
from fsar_lab.errors import DamagedStreamError, UnsupportedVersionError

LARGE = json.dumps({"format": 2, "search": {"shape": [1 << 20, 1 << 20, 1]}})
REFUSED = (DamagedStreamError, UnsupportedVersionError)


def pack(header: Any, body: bytes = b"") -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + body


def entry(shape: list[int], begin: int, end: int, dtype: str = "U8") -> dict[str, Any]:
    return {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}


@pytest.fixture
def refuse(tmp_path: Path) -> Callable[..., None]:
    """Loading these bytes is refused, takes little memory, and the message has `text` in it."""

    def check(data: bytes, text: str = "the codec file") -> None:
        path = tmp_path / "m"
        path.write_bytes(data)
        tracemalloc.start()
        try:
            with pytest.raises(REFUSED, match=text):
                CodecModel.load(path)
            assert tracemalloc.get_traced_memory()[1] < 40 * len(data) + (1 << 20)
        finally:
            tracemalloc.stop()

    return check


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"", "shorter"),
        (b"\x01" * 7, "shorter"),
        ((1 << 30).to_bytes(8, "little") + b"{}", "a header of 1,073,741,824 bytes"),
        ((1 << 63).to_bytes(8, "little") + b"{}", "a header of"),
        (pack(b"\xff\xfe"), "UTF-8"),
        (pack(b"[]"), "not a JSON object"),
        (pack(b"{"), "not JSON"),
        (pack(b'{"a": NaN}'), "NaN"),
        (pack(b'{"a": -Infinity}'), "-Infinity"),
        (pack(b'{"a": ' + b"9" * 100_000 + b"}"), "not JSON"),
        (pack(b'{"a": ' * 100_000), "nested too deeply"),
        (pack(b'{"a": ' + b"[" * 900 + b"]" * 900 + b"}"), "nested too deeply"),
        (pack(b'{"x": 1, "x": 1}'), "twice"),
        (pack({"__metadata__": {KEY: 3}}), "table of strings"),
        (pack({"__metadata__": [KEY]}), "table of strings"),
        (pack({"x": entry([4], 0, 4)}), "does not fit the file"),
        (pack({"x": entry([1 << 24, 1 << 24, 1 << 24], 0, 4)}, b"1234"), "does not fit the file"),
        (pack({"x": entry([1 << 62], 0, 4)}, b"1234"), "impossible shape"),
        (pack({"x": entry([-4], 0, 4)}, b"1234"), "impossible shape"),
        (pack({"x": entry([4], -4, 0)}, b"1234"), "impossible shape"),
        (pack({"x": entry([4], 4, 0)}, b"1234"), "does not fit"),
        (pack({"x": entry([4.0], 0, 4)}, b"1234"), "impossible shape"),  # type: ignore[list-item]
        (pack({"x": entry([True], 0, 1)}, b"1"), "impossible shape"),
        (pack({"x": entry([1] * 9, 0, 1)}, b"1"), "impossible shape"),
        (pack({"x": entry([1], 0, 4, "F32")}, b"1234"), "a type that no codec has"),
        (pack({"x": entry([1], 0, 4, [])}, b"1234"), "a type that no codec has"),  # type: ignore[arg-type]
        (pack({"x": [1]}), "not described"),
        (pack({"x": entry([4], 0, 4) | {"more": 1}}, b"1234"), "not described"),
        (pack({"x": entry([4], 0, 4), "y": entry([4], 2, 6)}, b"123456"), "overlap"),
        (pack({"x": entry([4], 0, 4), "y": entry([4], 0, 4)}, b"1234"), "overlap"),
        (pack({"x": entry([4], 0, 4), "y": entry([4], 5, 9)}, b"123456789"), "gaps"),
        (pack({"x": entry([4], 0, 4)}, b"12345"), "belong to no tensor"),
        (pack({f"x{i}": entry([0], 0, 0) for i in range(5000)}), "5000 tensors"),
        (pack({}), "no description"),
        (pack({"__metadata__": {KEY: "[" * 10_000}}), "nested too deeply"),
        (pack({"__metadata__": {KEY: '{"format": 1e999}'}}), "'format'"),
        (pack({"__metadata__": {KEY: '{"format": 99}'}}), "update"),
        (pack({"__metadata__": {KEY: '{"format": 2}'}}), "a part of unknown kind None"),
        (pack({"__metadata__": {KEY: '{"format": 2, "pixels": {"kind": "art"}}'}}), "unknown kind 'art'"),
        (pack({"__metadata__": {KEY: '{"format": 2, "search": {}}'}}), "no list 'shape'"),
        (pack({"__metadata__": {KEY: LARGE}}), "a shape of more than 8,388,608 values"),
    ],
    ids=lambda value: value[:20] if isinstance(value, str) else "",
)
def test_headers(refuse: Callable[..., None], data: bytes, text: str) -> None:
    refuse(data, text)


def test_files_beyond_the_cap_are_not_read(tmp_path: Path) -> None:
    path = tmp_path / "m"
    with path.open("wb") as file:
        file.truncate(1 << 34)  # sparse
    with pytest.raises(DamagedStreamError, match="more than 64 MB"):
        tensor_file.read(path)


def test_truncated_at_every_64th_length(model_path: Path, refuse: Callable[..., None]) -> None:
    data = model_path.read_bytes()
    for length in range(0, len(data), 64):
        refuse(data[:length])


def test_every_byte_of_the_header(model_path: Path, tmp_path: Path) -> None:
    """Refused, or the very same model: a mutation may hit a fact or a space."""
    data = model_path.read_bytes()
    wanted = CodecModel.load(model_path).id
    length = 8 + int.from_bytes(data[:8], "little")
    rng = np.random.default_rng(0)
    for position in range(length):
        changed = bytearray(data)
        changed[position] ^= int(rng.integers(1, 256))
        (tmp_path / "m").write_bytes(changed)
        with contextlib.suppress(*REFUSED):
            assert CodecModel.load(tmp_path / "m").id == wanted


def test_bombs(model_path: Path, tmp_path: Path, refuse: Callable[..., None]) -> None:
    """A tensor that would inflate to 256 MB is given up at the size that was announced."""
    metadata, tensors = tensor_file.read(model_path)
    bomb = zlib.compress(bytes(1 << 28), 9)
    for name in ("prior.features", "prior.basis", "prior.context_map", "pixels.cdf", "pixels.mean_lut"):
        header, body = {"__metadata__": metadata}, b""
        for key, value in tensors.items():
            part = bomb if key == name else value.tobytes()
            kind = {"i": "I", "u": "U"}[value.dtype.kind] + str(8 * value.dtype.itemsize)
            shape = [len(bomb)] if key == name else list(value.shape)
            header[key] = entry(shape, len(body), len(body) + len(part), kind)  # type: ignore[assignment]
            body += part
        refuse(pack(header, body), f"tensor {name} does not inflate to the size")


def test_deflate_and_back() -> None:
    rng = np.random.default_rng(0)
    for dtype in (np.int16, np.uint16):
        info = np.iinfo(dtype)
        values = rng.integers(info.min, info.max, (3, 5, 7), endpoint=True).astype(dtype)
        back = inflate({"x": deflate(values)}, "x", dtype, values.shape)
        assert back.dtype == dtype and np.array_equal(back, values)
        for shape in ((3, 5, 6), (3, 5, 8)):
            with pytest.raises(DamagedStreamError, match="tensor x"):
                inflate({"x": deflate(values)}, "x", dtype, shape)
    with pytest.raises(DamagedStreamError, match="does not inflate"):
        inflate({"x": np.arange(9, dtype=np.uint8)}, "x", np.int16, (4,))
    behind = np.append(deflate(np.zeros(4, np.int16)), np.uint8(0))
    with pytest.raises(DamagedStreamError, match="size"):
        inflate({"x": behind}, "x", np.int16, (4,))
