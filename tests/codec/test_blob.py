"""Damaged, foreign and newer blobs: a typed error or the right pixels, whatever happens to them."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from fsar_lab.codec import blob
from fsar_lab.codec.blob import Kind
from fsar_lab.codec.codec import Codec
from fsar_lab.codec.tiling import TILE, SizeRun
from fsar_lab.errors import CodingError, DamagedStreamError, UnsupportedVersionError, WrongModelError

Image = NDArray[np.uint8]
Case = tuple[list[Image], bytes]


@pytest.fixture(scope="module")
def small(codec: Codec, made_images: Callable[..., Image]) -> Case:
    """Three images, two groups: 0 and 2 share one."""
    images = [*made_images(1, side=4), *made_images(1, side=6), *made_images(1, side=4, seed=1)]
    return images, codec.encode(images)


def directory_of(codec: Codec, data: bytes) -> blob.Directory:
    return blob.parse(memoryview(data), codec.model.id, codec.model.cut).directory


def first_stream(codec: Codec, data: bytes) -> int:
    directory = directory_of(codec, data)
    return blob.directory_bytes(directory.sizes, len(directory.lengths))


def intact(decoded: list[Image | None], images: list[Image]) -> list[int]:
    """The images that were restored, which must be right."""
    assert len(decoded) == len(images)
    found = [i for i, image in enumerate(decoded) if image is not None]
    assert all(np.array_equal(decoded[i], images[i]) for i in found)  # type: ignore[arg-type]
    return found


def test_every_flipped_byte(codec: Codec, small: Case) -> None:
    images, data = small
    streams = first_stream(codec, data)
    second = streams + directory_of(codec, data).lengths[0]
    for position in range(len(data)):
        for bits in (1, 128, 255):
            damaged = bytearray(data)
            damaged[position] ^= bits
            with pytest.raises(CodingError) as error:
                codec.decode(bytes(damaged))
            if position < streams:
                with pytest.raises(CodingError):
                    codec.decode(bytes(damaged), salvage=True)
                continue
            lost = () if position >= len(data) - 4 else (1,) if position >= second else (0, 2)
            assert isinstance(error.value, DamagedStreamError) and error.value.images == lost
            rest = sorted({0, 1, 2} - set(lost))
            assert intact(codec.decode(bytes(damaged), salvage=True), images) == rest  # type: ignore[arg-type]


def test_every_truncation(codec: Codec, small: Case) -> None:
    images, data = small
    streams = first_stream(codec, data)
    ends = [streams + directory_of(codec, data).lengths[0], len(data) - 4]
    for length in range(len(data)):
        with pytest.raises(DamagedStreamError):
            codec.decode(data[:length])
        if length < streams:
            with pytest.raises(DamagedStreamError):
                codec.decode(data[:length], salvage=True)
            continue
        rest = [0, 1, 2] if length >= ends[1] else [0, 2] if length >= ends[0] else []
        assert intact(codec.decode(data[:length], salvage=True), images) == rest  # type: ignore[arg-type]
    with pytest.raises(DamagedStreamError, match="salvage"):
        codec.decode(data + b"\0")
    assert intact(codec.decode(data + b"\0", salvage=True), images) == [0, 1, 2]  # type: ignore[arg-type]


def test_random_damage(codec: Codec, small: Case) -> None:
    images, data = small
    generator = np.random.default_rng(0)
    for _ in range(300):
        damaged = bytearray(data)
        start = int(generator.integers(len(data)))
        length = int(generator.integers(1, 9))
        damaged[start : start + length] = generator.bytes(length)
        for salvage in (False, True):
            try:
                intact(codec.decode(bytes(damaged), salvage=salvage), images)  # type: ignore[arg-type, call-overload]
            except CodingError:
                assert bytes(damaged) != data
        with pytest.raises(CodingError):
            codec.decode(generator.bytes(len(data)))


@pytest.mark.parametrize("threads", [1, 2])
def test_salvage_of_an_array(codec: Codec, made_images: Callable[..., Image], threads: int) -> None:
    """One damaged group costs its own 32 images, also where several are decoded at a time."""
    images = made_images(100, side=4)
    data = bytearray(codec.encode(images))
    data[first_stream(codec, bytes(data)) + directory_of(codec, bytes(data)).lengths[0] + 200] ^= 1
    many = Codec(codec.model, threads)
    with pytest.raises(DamagedStreamError, match="32 images") as error:
        many.decode(bytes(data))
    assert error.value.images == tuple(range(32, 64))
    decoded = many.decode(bytes(data), salvage=True)
    assert intact(decoded, list(images)) == [*range(32), *range(64, 100)]  # type: ignore[arg-type]
    assert many.decode(bytes(data), only=40, salvage=True) is None
    some = many.decode(bytes(data), only=[40, 3], salvage=True)
    assert some[0] is None and np.array_equal(some[1], images[3])  # type: ignore[arg-type]
    assert np.array_equal(many.decode(bytes(data), only=[3, 99]), images[[3, 99]])
    with pytest.raises(DamagedStreamError) as error:
        many.decode(bytes(data), only=[3, 40])
    assert error.value.images == (40,)
    cut = many.decode(bytes(data[: len(data) // 2]), salvage=True)
    assert intact(cut, list(images)) == list(range(32))  # type: ignore[arg-type]


def test_a_lone_image(codec: Codec, made_images: Callable[..., Image]) -> None:
    """Its container is 32 bytes; each damaged bit and each cut is noticed."""
    image = made_images(1, side=4)[0]
    data, array = codec.encode([image]), codec.encode(image[None])
    start = blob.LONE_BYTES
    assert start == first_stream(codec, data) == 32 and directory_of(codec, data).end == b""
    assert isinstance(codec.decode(data), list)
    decoded = codec.decode(array)
    assert isinstance(decoded, np.ndarray) and np.array_equal(decoded, image[None])
    assert np.array_equal(codec.decode(data, only=-1), image)
    for position in range(len(data)):
        for bits in (1, 128, 255):
            damaged = bytearray(data)
            damaged[position] ^= bits
            with pytest.raises(CodingError):
                codec.decode(bytes(damaged))
            if position >= start:
                assert codec.decode(bytes(damaged), salvage=True) == [None]
    for length in range(len(data)):
        with pytest.raises(DamagedStreamError):
            codec.decode(data[:length])
        if length >= start:
            assert codec.decode(data[:length], salvage=True) == [None]
    for tail in (b"\0", b"\0\0", bytes(4)):
        with pytest.raises(DamagedStreamError):
            codec.decode(data + tail)


def lone_header(data: bytes, **fields: int) -> bytes:
    """The blob of a lone image with header fields replaced and a valid checksum."""
    names = ("magic", "version", "flags", "model", "height", "width", "tile", "kind", "checksum")
    values = dict(zip(names, blob.LONE_HEADER.unpack_from(data), strict=True)) | fields
    head = blob.LONE_HEADER.pack(*values.values())
    return head + struct.pack("<I", zlib.crc32(head)) + data[blob.LONE_BYTES :]


@pytest.mark.parametrize(
    "fields",
    [
        {"height": 0},
        {"width": 0},
        {"height": 600},
        {"height": 65535, "width": 65535},
        {"tile": 0},
        {"tile": 3},
        {"tile": 512},
        {"kind": 1},
        {"kind": 2},
        {"kind": 3},
        {"kind": 65535},
        {"flags": 8 | 4},
        {"flags": 8 | 2},
        {"checksum": 0},
    ],
)
def test_impossible_lone_images(
    codec: Codec, made_images: Callable[..., Image], fields: dict[str, int]
) -> None:
    data = codec.encode(list(made_images(1, side=4)))
    assert lone_header(data) == data
    with pytest.raises(CodingError):
        codec.decode(lone_header(data, **fields))


@pytest.mark.stores
@pytest.mark.parametrize("shape", [(1, 1), (5, 7), (1, 65), (70, 3)])
def test_a_lone_image_that_is_stored(codec: Codec, shape: tuple[int, int]) -> None:
    """It is as large as its pixels and 32 bytes, whatever tiles and padding coding would need."""
    image = np.random.default_rng(0).integers(0, 256, (*shape, 3), np.uint8)
    data = codec.encode([image])
    assert len(data) == image.nbytes + blob.LONE_BYTES and data[blob.LONE_BYTES :] == image.tobytes()
    (decoded,) = codec.decode(data)
    assert np.array_equal(decoded, image)
    parts = codec.encode_parts([image])
    assert (parts.latents, parts.pixels, parts.overhead) == (0, 8 * image.nbytes, 8 * blob.LONE_BYTES)
    for length in (len(data) - 1, blob.LONE_BYTES):
        assert codec.decode(data[:length], salvage=True) == [None]
    with pytest.raises(DamagedStreamError):
        codec.decode(data + b"\0")
    with pytest.raises(DamagedStreamError):
        codec.decode(lone_header(data, tile=64))


def test_swapped_groups(codec: Codec, made_images: Callable[..., Image]) -> None:
    data = codec.encode(made_images(64, side=4))
    directory, start = directory_of(codec, data), first_stream(codec, data)
    middle = start + directory.lengths[0]
    swapped = replace(directory, lengths=directory.lengths[::-1])
    with pytest.raises(DamagedStreamError):
        codec.decode(swapped.pack() + data[middle:-4] + data[start:middle] + blob.END)


def test_wrong_model(codec: Codec, small: Case) -> None:
    with pytest.raises(WrongModelError, match=codec.model.id.hex()):
        codec.with_uniform_prior().decode(small[1])


def with_header(data: bytes, size: int, **fields: int) -> bytes:
    """The blob with header fields replaced and a valid checksum over its first `size` bytes."""
    names = ("magic", "version", "flags", "model", "number", "runs", "groups", "tile", "zero")
    values = dict(zip(names, blob.HEADER.unpack_from(data), strict=True)) | fields
    head = blob.HEADER.pack(*values.values()) + data[blob.HEADER.size : size - 4]
    return head + struct.pack("<I", zlib.crc32(head)) + data[size:]


def test_other_versions(codec: Codec, small: Case) -> None:
    data = small[1]
    size = first_stream(codec, data)
    assert with_header(data, size) == data
    for fields in ({"version": 3}, {"flags": 16}, {"flags": 10}, {"zero": 1}):
        with pytest.raises(UnsupportedVersionError, match="update"):
            codec.decode(with_header(data, size, **fields))
    with pytest.raises(UnsupportedVersionError, match="never released"):
        codec.decode(with_header(data, size, version=1))


@pytest.mark.parametrize(
    "fields",
    [
        {"number": 0},
        {"number": 4},
        {"number": (1 << 32) - 1},
        {"tile": 0},
        {"tile": 63},
        {"tile": 512},
        {"tile": 2},
        {"runs": 0},
        {"runs": 2},
        {"runs": (1 << 32) - 1},
        {"groups": 0},
        {"groups": 3},
        {"groups": (1 << 32) - 1},
        {"flags": 1},
    ],
)
def test_lying_headers(codec: Codec, small: Case, fields: dict[str, int]) -> None:
    for salvage in (False, True):
        with pytest.raises(DamagedStreamError):
            codec.decode(with_header(small[1], first_stream(codec, small[1]), **fields), salvage=salvage)  # type: ignore[call-overload]


@pytest.mark.parametrize(
    "changes",
    [
        {"sizes": [SizeRun(1, 1 << 30, 1 << 30)]},
        {"sizes": [SizeRun(1, 1 << 20, 1 << 20)]},
        {"sizes": [SizeRun((1 << 31) - 1, 1 << 20, 1 << 20)]},
        {"sizes": [SizeRun(1 << 31, 4, 4)]},
        {"sizes": [SizeRun(0, 4, 4), SizeRun(3, 4, 4)]},
        {"sizes": [SizeRun(1, 0, 4)]},
        {"sizes": [SizeRun(33, 4, 4)]},
        {"sizes": [SizeRun(2, 64, 64), SizeRun(1, 62, 64)]},
        {"lengths": [4, 1 << 31]},
        {"lengths": [1 << 31, (1 << 32) - 1]},
        {"lengths": [0, 0]},
    ],
)
@pytest.mark.parametrize("salvage", [False, True])
def test_lying_directories(codec: Codec, small: Case, changes: dict[str, Any], salvage: bool) -> None:
    data = small[1]
    lie = replace(directory_of(codec, data), **changes).pack() + data[first_stream(codec, data) :]
    try:
        decoded = codec.decode(lie, salvage=salvage)  # type: ignore[call-overload]
    except DamagedStreamError:
        return
    assert salvage and all(image is None for image in decoded)


@pytest.mark.stores
@pytest.mark.parametrize("stored", [False, True])
def test_layout_is_as_documented(codec: Codec, made_images: Callable[..., Image], stored: bool) -> None:
    """docs/FORMAT-blob.md."""
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (3, 5, 5, 3), np.uint8) if stored else np.zeros((3, 5, 5, 3), np.uint8)
    data = codec.encode(images)
    assert data[:4] == b"\x93FSB" and data[-4:] == b"BSF\x93" and data[8:16] == codec.model.id
    assert struct.unpack_from("<HH", data, 4) == (2, 3 if stored else 1)
    assert struct.unpack_from("<IIIHH", data, 16) == (3, 1, 1, TILE, 0)
    assert struct.unpack_from("<III", data, 32) == (3, 5, 5)
    size, checksum = struct.unpack_from("<II", data, 44)
    padded = np.pad(images, ((0, 0), (0, 1), (0, 1), (0, 0)), "edge").tobytes()
    assert size >> 30 == 2 * stored and size % (1 << 31) <= len(padded)
    assert checksum == zlib.crc32(padded) and len(data) == 52 + 4 + size % (1 << 31) + 4
    assert struct.unpack_from("<I", data, 52)[0] == zlib.crc32(data[:52])
    assert codec.encode(list(images))[6] == 2 * stored
    if stored:
        assert data[56:-4] == padded
    assert np.array_equal(codec.decode(data), images)


@pytest.mark.stores
def test_stored_groups_among_others(codec: Codec) -> None:
    """They are restored beside coded ones, by themselves, and when others are damaged."""
    rng = np.random.default_rng(0)
    images = np.zeros((100, 8, 8, 3), np.uint8)
    images[32:64] = rng.integers(0, 256, images[32:64].shape, np.uint8)
    encoded = codec.encode_parts(images)
    directory = directory_of(codec, encoded.data)
    assert directory.kinds == [0, 2, 0, 0]
    assert 0 < encoded.overhead < 8 * (60 + 8 * 4 + 4 * 100)
    assert np.array_equal(codec.decode(encoded.data), images)
    assert np.array_equal(codec.decode(encoded.data, only=[40, 2]), images[[40, 2]])
    damaged = bytearray(encoded.data)
    damaged[first_stream(codec, encoded.data) + directory.lengths[0] + 5] ^= 1
    found = codec.decode(bytes(damaged), salvage=True)
    assert intact(found, list(images)) == [*range(32), *range(64, 100)]
    lie = (
        replace(directory, kinds=[Kind.CODED, Kind.STORED, Kind.CODED, Kind.STORED]).pack()
        + encoded.data[first_stream(codec, encoded.data) :]
    )
    with pytest.raises(DamagedStreamError, match="stored"):
        codec.decode(lie)
