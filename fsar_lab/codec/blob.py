"""The container of coded images: docs/FORMAT-blob.md specifies the bytes."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import IntEnum
from itertools import accumulate, pairwise

import numpy as np
from numpy.typing import NDArray

from fsar_lab.codec.tiling import Cut, SizeRun, group_sizes, tile_counts
from fsar_lab.entropy import LANES
from fsar_lab.errors import CapacityError, DamagedStreamError, UnsupportedVersionError, WrongModelError

MAGIC = b"\x93FSB"
END = b"BSF\x93"
VERSION = 2
ARRAY = 1  # flag: the images were one array [N, H, W, 3]
KINDS = 2  # flag: the two highest bits of the groups' lengths are their kinds
WAVES = 4  # flag: large images are cut into bands, which are waves
LONE = 8  # flag: a single image in a single group, which needs no directory
KIND_SHIFT = 30


class Kind(IntEnum):
    """How a group's stream is to be read."""

    CODED = 0
    RECALL = 1  # a wave that remembers colours
    STORED = 2  # the tiles' pixels as they are


HEADER = struct.Struct("<4sHH8sIIIHH")  # magic, version, flags, model id, N, runs, groups, tile, 0
LONE_HEADER = struct.Struct("<4sHH8sHHHHI")  # ..., H, W, tile, kind, CRC-32 of the group's pixels
SIZES = struct.Struct("<III")  # count, H, W of consecutive images of one size
GROUP = struct.Struct("<II")  # bytes, CRC-32 of the group's pixels
CHECK = struct.Struct("<I")  # CRC-32 of header, sizes and directory
LONE_BYTES = LONE_HEADER.size + CHECK.size
LONE_SIDE = (1 << 16) - 1
MAX_IMAGES = 1 << 31
MAX_SIDE = 1 << 20
MAX_TILE = 256
MAX_SAMPLES_PER_BYTE = 2048  # more cannot be: a sub-pixel costs at least 0.0056 bits, so a byte holds 1,430
STATE_BYTES = 4  # of every lane, at the beginning of a stream


@dataclass(frozen=True)
class Directory:
    """Everything in a container but the streams.

    Attributes:
        model_id: 8 bytes.
        is_array: the images were given as one array and are to be returned as one.
        sizes: of the images.
        cut: how they are cut; only its tile and whether there are waves stand in the container.
        lengths: bytes of every group's stream.
        checksums: CRC-32 of every group's pixels.
        kinds: of every group.
    """

    model_id: bytes
    is_array: bool
    sizes: Sequence[SizeRun]
    cut: Cut
    lengths: Sequence[int]
    checksums: Sequence[int]
    kinds: Sequence[Kind]

    @property
    def number(self) -> int:
        """Of images."""
        return sum(run.count for run in self.sizes)

    @property
    def end(self) -> bytes:
        """What follows the last stream."""
        return b"" if is_lone(self.sizes, len(self.lengths)) else END

    def pack(self) -> bytes:
        """All bytes before the first stream."""
        flags = ARRAY * self.is_array | WAVES * self.cut.waves
        if is_lone(self.sizes, len(self.lengths)):
            (run,), (kind,), (crc,) = self.sizes, self.kinds, self.checksums
            tile = 0 if kind == Kind.STORED else self.cut.tile
            about = MAGIC, VERSION, flags | LONE, self.model_id, run.height, run.width, tile, kind, crc
            head = LONE_HEADER.pack(*about)
            return head + CHECK.pack(zlib.crc32(head))
        flags |= KINDS * any(self.kinds)
        counts = self.number, len(self.sizes), len(self.lengths)
        head = HEADER.pack(MAGIC, VERSION, flags, self.model_id, *counts, self.cut.tile, 0)
        head += b"".join(SIZES.pack(run.count, run.height, run.width) for run in self.sizes)
        entries = zip(self.lengths, self.kinds, self.checksums, strict=True)
        head += b"".join(GROUP.pack(size | kind << KIND_SHIFT, crc) for size, kind, crc in entries)
        return head + CHECK.pack(zlib.crc32(head))


@dataclass(frozen=True)
class Parsed:
    """A container that was read.

    Attributes:
        directory: checked; the streams are not.
        streams: of every group, None if the container ends before it does.
        complete: the container ends where and as it should.
    """

    directory: Directory
    streams: Sequence[memoryview | None]
    complete: bool


def check_capacity(sizes: Sequence[SizeRun]) -> None:
    """Raise CapacityError for more or larger images than the format can name."""
    number, side = sum(run.count for run in sizes), max(max(run.height, run.width) for run in sizes)
    if number >= MAX_IMAGES or side > MAX_SIDE:
        raise CapacityError(
            f"{number} images of up to {side} pixels a side exceed what one blob can hold, {MAX_IMAGES - 1} "
            f"images of {MAX_SIDE} pixels a side; split them"
        )


def is_lone(sizes: Sequence[SizeRun], groups: int) -> bool:
    """Whether this is a single image in a single group, of a size that the small container can name."""
    (first, *others) = sizes
    return groups == 1 and not others and first.count == 1 and max(first.height, first.width) <= LONE_SIDE


def directory_bytes(sizes: Sequence[SizeRun], groups: int) -> int:
    """Bytes before the first stream."""
    return LONE_BYTES if is_lone(sizes, groups) else _directory_bytes(len(sizes), groups)


def _directory_bytes(runs: int, groups: int) -> int:
    return HEADER.size + runs * SIZES.size + groups * GROUP.size + CHECK.size


def stored(model_id: bytes, is_array: bool, image: NDArray[np.uint8], lanes: int) -> bytes | None:
    """The blob of one image [H, W, 3] as it is, uncut and unpadded; None if it is too large for that."""
    height, width, _ = image.shape
    if max(height, width) > LONE_SIDE:
        return None
    pixels, run = np.ascontiguousarray(image), SizeRun(1, height, width)
    about = [pixels.nbytes], [zlib.crc32(pixels.data)], [Kind.STORED]
    return Directory(model_id, is_array, [run], _uncut(run, lanes), *about).pack() + pixels.tobytes()


def _uncut(run: SizeRun, lanes: int) -> Cut:
    """Images of this size as one piece each."""
    return Cut(max(run.height, run.width), lanes=lanes)


def pixel_checksums(tiles: NDArray[np.uint8], lanes: int = LANES) -> list[int]:
    """CRC-32 of the pixels of every group of `lanes` tiles, contiguous uint8 [n, H, W, 3]."""
    return [zlib.crc32(tiles[i : i + lanes].data) for i in range(0, len(tiles), lanes)]


def parse(data: memoryview, model_id: bytes, cut: Cut) -> Parsed:
    """Read a container; nothing is allocated before the directory has proven consistent.

    Args:
        data: the bytes, as memory of unsigned bytes.
        model_id: of the model that is to decode them.
        cut: as that model cuts images; what the container says of it comes in the place of that.

    Raises:
        UnsupportedVersionError: written by a newer fsar_lab, or before the first release.
        WrongModelError: written by another model.
        DamagedStreamError: cut off before the streams, altered there, or not a blob.
    """
    if len(data) < HEADER.size or data[:4] != MAGIC:
        raise DamagedStreamError(f"not an fsar_lab blob, or cut off in its header ({len(data)} bytes)")
    _, version, flags, written_by, number, runs, groups, tile, zero = HEADER.unpack_from(data)
    if version < VERSION:
        raise UnsupportedVersionError(
            f"the blob has version {version}, which was never released; encode the images again"
        )
    lone = bool(flags & LONE)
    known = ARRAY | WAVES | (LONE if lone else KINDS)
    if version > VERSION or flags & ~known or (zero and not lone):
        raise UnsupportedVersionError(
            f"the blob has version {version} with flags {flags}, this fsar_lab reads {VERSION}; update it"
        )
    start = LONE_BYTES if lone else _directory_bytes(runs, groups)
    if len(data) < start:
        raise DamagedStreamError(f"the blob is cut off in its directory: {len(data)} bytes of {start}")
    if CHECK.unpack_from(data, start - CHECK.size)[0] != zlib.crc32(data[: start - CHECK.size]):
        raise DamagedStreamError("the blob's directory is damaged")
    if written_by != model_id:
        raise WrongModelError(
            f"the blob was written by model {written_by.hex()}, not by {model_id.hex()}; load that model"
        )
    if flags & WAVES and not cut.waves:
        raise DamagedStreamError("the blob claims waves, for a model that has none")
    if lone:
        return _parse_lone(data, cut)
    entries = HEADER.size + runs * SIZES.size
    sizes = [SizeRun(*run) for run in SIZES.iter_unpack(data[HEADER.size : entries])]
    table = list(GROUP.iter_unpack(data[entries : start - CHECK.size]))
    shift = KIND_SHIFT if flags & KINDS else 32
    if any(size >> shift > max(Kind) for size, _ in table):
        raise DamagedStreamError("the blob claims a group of a kind that there is not")
    directory = Directory(
        written_by,
        bool(flags & ARRAY),
        sizes,
        replace(cut, tile=tile, waves=bool(flags & WAVES)),
        [size & ((1 << shift) - 1) for size, _ in table],
        [crc for _, crc in table],
        [Kind(size >> shift) for size, _ in table],
    )
    _check_tile(directory.cut)
    _check_sizes(directory, number)
    _check_groups(directory)
    ends = list(accumulate(directory.lengths, initial=start))
    streams = [data[a:b] if b <= len(data) else None for a, b in pairwise(ends)]
    return Parsed(directory, streams, len(data) == ends[-1] + len(END) and data[ends[-1] :] == END)


def _parse_lone(data: memoryview, cut: Cut) -> Parsed:
    """The small container, whose check and model are right."""
    _, _, flags, model_id, height, width, tile, kind, crc = LONE_HEADER.unpack_from(data)
    if kind > max(Kind) or (kind == Kind.STORED) != (tile == 0):
        raise DamagedStreamError("the blob claims a group of a kind that there is not")
    run, stream = SizeRun(1, height, width), data[LONE_BYTES:]
    if kind == Kind.STORED:
        cut = _uncut(run, cut.lanes)
    else:
        cut = replace(cut, tile=tile, waves=bool(flags & WAVES))
        _check_tile(cut)
    directory = Directory(model_id, bool(flags & ARRAY), [run], cut, [len(stream)], [crc], [Kind(kind)])
    _check_sizes(directory, 1)
    try:
        _check_groups(directory)
    except DamagedStreamError:  # the directory is right: the file is too short or too long
        return Parsed(directory, [None], complete=False)
    return Parsed(directory, [stream], complete=True)


def _check_tile(cut: Cut) -> None:
    """Raise DamagedStreamError unless images can be cut so."""
    if not 0 < cut.tile <= MAX_TILE or cut.tile % cut.factor:
        raise DamagedStreamError(f"the blob claims tiles of {cut.tile} pixels, for a factor of {cut.factor}")


def _check_sizes(directory: Directory, number: int) -> None:
    """Raise DamagedStreamError unless the sizes are possible and fit the directory."""
    sizes, cut = directory.sizes, directory.cut
    if not sizes or sum(run.count for run in sizes) != number or not 0 < number < MAX_IMAGES:
        raise DamagedStreamError(f"the blob claims {number} images, which its sizes contradict")
    if any(not (run.count and 0 < run.height <= MAX_SIDE and 0 < run.width <= MAX_SIDE) for run in sizes):
        raise DamagedStreamError("the blob claims impossible sizes of images")
    if directory.is_array and len(sizes) > 1:
        raise DamagedStreamError("the blob claims an array of images of different sizes")
    counts = tile_counts(sizes, cut)
    expected = sum(-(-count // cut.lanes_of(shape)) for shape, count in counts.items())
    if expected != len(directory.lengths):
        raise DamagedStreamError(
            f"the blob claims {len(directory.lengths)} groups, its images need {expected}"
        )


def _check_groups(directory: Directory) -> None:
    """Raise DamagedStreamError unless every group has as many bytes as its tiles need at least."""
    cut = directory.cut
    sizes = group_sizes(tile_counts(directory.sizes, cut), cut)
    entries = zip(directory.lengths, directory.kinds, sizes, strict=True)
    for length, kind, (shape, tiles) in entries:
        samples = 3 * shape[0] * shape[1] * tiles
        if kind == Kind.RECALL and not cut.is_wave(*shape):
            raise DamagedStreamError("the blob claims a group that remembers colours and is no wave")
        if kind == Kind.STORED:
            if length != samples:
                raise DamagedStreamError("the blob claims a stored group of another size than its pixels'")
            continue
        # A wave has a state for every lane whatever it codes, a chain a single one.
        states = LANES if cut.is_wave(*shape) else tiles if cut.lanes == LANES else 1
        if length < STATE_BYTES * states or samples > MAX_SAMPLES_PER_BYTE * length:
            raise DamagedStreamError("the blob claims more pixels than its bytes can hold")
