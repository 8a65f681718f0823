"""Damaged, foreign and newer blobs: a typed error or the right pixels, whatever happens to them."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from fsar_lab.codec import blob
from fsar_lab.codec.codec import Codec
from fsar_lab.errors import (
    CapacityError,
    CodingError,
    DamagedStreamError,
    UnsupportedVersionError,
    WrongModelError,
)


@pytest.fixture(scope="module")
def small(codec: Codec, made_images: Callable[..., NDArray[np.uint8]]) -> tuple[NDArray[np.uint8], bytes]:
    images = made_images(3, side=4)
    return images, codec.encode(images)


def decodes_or_raises(codec: Codec, data: bytes, images: NDArray[np.uint8]) -> bool:
    """True if decoding gave the right pixels, False if it raised a CodingError."""
    try:
        result = codec.decode(data)
    except CodingError:
        return False
    assert np.array_equal(result, images)
    return True


def test_every_flipped_byte(codec: Codec, small: tuple[NDArray[np.uint8], bytes]) -> None:
    images, data = small
    for position in range(len(data)):
        for bits in (1, 128, 255):
            damaged = bytearray(data)
            damaged[position] ^= bits
            assert not decodes_or_raises(codec, bytes(damaged), images)


def test_every_truncation(codec: Codec, small: tuple[NDArray[np.uint8], bytes]) -> None:
    data = small[1]
    for length in range(len(data)):
        with pytest.raises(DamagedStreamError):
            codec.decode(data[:length])
    with pytest.raises(DamagedStreamError):
        codec.decode(data + b"\0")


def test_random_damage(codec: Codec, small: tuple[NDArray[np.uint8], bytes]) -> None:
    images, data = small
    generator = np.random.default_rng(0)
    for _ in range(300):
        damaged = bytearray(data)
        start = int(generator.integers(len(data)))
        length = int(generator.integers(1, 9))
        damaged[start : start + length] = generator.bytes(length)
        decodes_or_raises(codec, bytes(damaged), images)
        decodes_or_raises(codec, generator.bytes(len(data)), images)


def test_swapped_groups(codec: Codec, made_images: Callable[..., NDArray[np.uint8]]) -> None:
    images = made_images(64, side=4)
    parsed = blob.parse(codec.encode(images), codec.model.id)
    swapped = blob.Blob(parsed.model_id, parsed.shape, parsed.groups[::-1], parsed.checksums)
    with pytest.raises(DamagedStreamError):
        codec.decode(blob.pack(swapped))


def test_wrong_model(codec: Codec, small: tuple[NDArray[np.uint8], bytes]) -> None:
    with pytest.raises(WrongModelError, match=codec.model.id.hex()):
        codec.with_uniform_prior().decode(small[1])


def reheaded(data: bytes, **fields: int) -> bytes:
    """The blob with header fields replaced and a valid header checksum."""
    names = ("magic", "version", "flags", "model", "number", "height", "width")
    values = dict(zip(names, blob.HEADER.unpack_from(data))) | fields
    body = blob.HEADER.size + blob.group_count(blob.HEADER.unpack_from(data)[4]) * blob.GROUP.size
    head = blob.HEADER.pack(*values.values()) + data[blob.HEADER.size : body]
    return head + struct.pack("<I", zlib.crc32(head)) + data[body + 4 :]


def test_newer_version(codec: Codec, small: tuple[NDArray[np.uint8], bytes]) -> None:
    assert reheaded(small[1]) == small[1]
    for fields in ({"version": 2}, {"flags": 1}):
        with pytest.raises(UnsupportedVersionError, match="update"):
            codec.decode(reheaded(small[1], **fields))


@pytest.mark.parametrize(
    "fields",
    [
        {"height": 1 << 30, "width": 1 << 30},
        {"height": 1 << 20, "width": 1 << 20},
        {"height": 5},
        {"height": 0},
        {"number": 0},
        {"number": (1 << 32) - 1},
        {"number": 2},
        {"height": 8, "width": 2},
    ],
)
def test_lying_headers(codec: Codec, small: tuple[NDArray[np.uint8], bytes], fields: dict[str, int]) -> None:
    with pytest.raises(DamagedStreamError):
        codec.decode(reheaded(small[1], **fields))


def test_capacity() -> None:
    with pytest.raises(CapacityError, match="split"):
        blob.pack(blob.Blob(bytes(8), (1, 2 << 20, 2), [b""], [0]))


def test_layout_is_as_documented(codec: Codec, small: tuple[NDArray[np.uint8], bytes]) -> None:
    """docs/FORMAT-blob.md."""
    images, data = small
    assert data[:4] == b"\x93FSB" and data[-4:] == b"BSF\x93" and data[8:16] == codec.model.id
    assert struct.unpack_from("<HH", data, 4) == (1, 0) and struct.unpack_from("<III", data, 16) == (3, 4, 4)
    size, checksum = struct.unpack_from("<II", data, 28)
    assert checksum == zlib.crc32(images.tobytes()) and len(data) == 28 + 8 + 4 + size + 4
    assert struct.unpack_from("<I", data, 36)[0] == zlib.crc32(data[:36])
