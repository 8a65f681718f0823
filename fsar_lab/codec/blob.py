"""The container of one batch of coded images: docs/FORMAT-blob.md specifies the bytes."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fsar_lab.entropy import LANES
from fsar_lab.errors import CapacityError, DamagedStreamError, UnsupportedVersionError, WrongModelError

MAGIC = b"\x93FSB"
END = b"BSF\x93"
VERSION = 1
HEADER = struct.Struct("<4sHH8sIII")  # magic, version, flags, model id, N, H, W
GROUP = struct.Struct("<II")  # bytes, CRC-32 of the group's pixels
CHECK = struct.Struct("<I")  # CRC-32 of header and directory
MAX_IMAGES = 1 << 31
MAX_SIDE = 1 << 20


@dataclass(frozen=True)
class Blob:
    """What a container holds.

    Attributes:
        model_id: 8 bytes.
        shape: (N, H, W) of the images.
        groups: coded bytes of each group of 32 images.
        checksums: CRC-32 of each group's pixels.
    """

    model_id: bytes
    shape: tuple[int, int, int]
    groups: Sequence[bytes]
    checksums: Sequence[int]


def pixel_checksum(images: NDArray[np.uint8]) -> int:
    """CRC-32 of pixels in memory order, uint8 [n, H, W, 3]."""
    return zlib.crc32(np.ascontiguousarray(images).data)


def group_count(images: int) -> int:
    """Groups of at most 32 images."""
    return -(-images // LANES)


def pack(blob: Blob) -> bytes:
    """The container's bytes.

    Raises:
        CapacityError: more images, larger images or longer groups than the format can name.
    """
    number, height, width = blob.shape
    if (
        number >= MAX_IMAGES
        or max(height, width) > MAX_SIDE
        or max(map(len, blob.groups), default=0) >= 1 << 32
    ):
        raise CapacityError(
            f"{number} images of {height}x{width} exceed what one blob can hold; split the batch"
        )
    head = HEADER.pack(MAGIC, VERSION, 0, blob.model_id, number, height, width)
    head += b"".join(GROUP.pack(len(g), c) for g, c in zip(blob.groups, blob.checksums, strict=True))
    return b"".join([head, CHECK.pack(zlib.crc32(head)), *blob.groups, END])


def parse(data: bytes, model_id: bytes) -> Blob:
    """Read a container; nothing is allocated before the header has proven consistent.

    Args:
        data: the bytes.
        model_id: of the model that is to decode them.

    Raises:
        UnsupportedVersionError: written by a newer fsar_lab.
        WrongModelError: written by another model.
        DamagedStreamError: truncated, altered or not a blob.
    """
    if len(data) < HEADER.size or data[:4] != MAGIC:
        raise DamagedStreamError(f"not an fsar_lab blob, or cut off in its header ({len(data)} bytes)")
    _, version, flags, written_by, number, height, width = HEADER.unpack_from(data)
    if version > VERSION or version < 1 or flags:
        raise UnsupportedVersionError(
            f"the blob has version {version} with flags {flags}, this fsar_lab reads {VERSION}; update it"
        )
    groups = group_count(number)
    body = HEADER.size + groups * GROUP.size
    if len(data) < body + CHECK.size + len(END):
        raise DamagedStreamError(f"the blob is truncated: {len(data)} bytes cannot hold {number} images")
    if CHECK.unpack_from(data, body)[0] != zlib.crc32(memoryview(data)[:body]):
        raise DamagedStreamError("the blob's header is damaged")
    if written_by != model_id:
        raise WrongModelError(
            f"the blob was written by model {written_by.hex()}, not by {model_id.hex()}; load that model"
        )
    entries = list(GROUP.iter_unpack(data[HEADER.size : body]))
    expected = body + CHECK.size + sum(size for size, _ in entries) + len(END)
    if len(data) != expected or data[-len(END) :] != END:
        raise DamagedStreamError(
            f"the blob has {len(data)} bytes and not {expected}, or does not end as it should"
        )
    if number >= MAX_IMAGES or height > MAX_SIDE or width > MAX_SIDE:
        raise DamagedStreamError(f"the blob claims {number} images of {height}x{width}")
    start, streams = body + CHECK.size, []
    for size, _ in entries:
        streams.append(data[start : start + size])
        start += size
    return Blob(written_by, (number, height, width), streams, [checksum for _, checksum in entries])
