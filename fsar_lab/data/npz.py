"""Folders of .npz files, the form of downsampled ImageNet."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import numpy as np
import torch
from numpy.lib import format as npy
from torch import Tensor

from fsar_lab.config.schema import NPZConfig
from fsar_lab.data.dataset import Dataset
from fsar_lab.data.places import npz_files
from fsar_lab.data.source import TensorSource, spread
from fsar_lab.errors import DataError

BLOCK = 1 << 22  # bytes unpacked at a time


class NPZ(Dataset):
    """Images from train_data_batch_*.npz and val_data.npz; the last training images are for validation."""

    def __init__(self, config: NPZConfig) -> None:
        """Read all files into memory.

        Raises:
            DataError: Files are missing, damaged, of another form, or hold too few images.
        """
        train_files, test_file = npz_files(Path(config.root))
        train = torch.cat([read(file, config.side) for file in train_files])
        test = read(test_file, config.side)
        kept = training_images(len(train), config.validation_images)
        about = f".npz files in the folder {Path(config.root).name}; {len(test):,} test images there"
        super().__init__(
            TensorSource(train[:kept], config.flip),
            TensorSource(train[kept:]),
            TensorSource(spread(test, config.test_images)),
            config.side,
            about,
        )


def read(file: Path, side: int) -> Tensor:
    """One file's images, uint8 [N, 3, side, side]; see `unpacking` for the form and the errors."""
    with unpacking(file, side) as (count, blocks):
        images = torch.empty(count, 3, side, side, dtype=torch.uint8)
        flat, start = images.view(-1).numpy(), 0
        for block in blocks:
            flat[start : start + len(block)] = np.frombuffer(block, np.uint8)
            start += len(block)
    return images


@contextmanager
def unpacking(file: Path, side: int) -> Iterator[tuple[int, Iterator[bytes]]]:
    """One file's `data` (uint8 [N, 3·side²]: R, G, B planes in raster order), unpacked piece by piece.

    Gives the number of images and their bytes in pieces, of which none but the last is shorter than BLOCK.

    Raises:
        DataError: Damaged, or of another form; the message names the file and what is wrong.
    """
    try:
        with zipfile.ZipFile(file) as archive:
            names = [name.removesuffix(".npy") for name in archive.namelist()]
            if "data" not in names:
                raise DataError(f"{file}: no array `data`, only {sorted(names)}")
            with archive.open("data.npy") as stream:
                shape = _shape(file, stream, side)
                if "labels" in names:
                    with archive.open("labels.npy") as labels:
                        _check_labels(file, labels, shape[0])
                yield shape[0], _blocks(stream, shape[0] * shape[1])
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise DataError(f"{file}: not a readable .npz file ({error}) -> get it again") from error


def count_images(file: Path, side: int) -> int:
    """How many images a file says that it holds; reads its headers alone. Errors as `unpacking`."""
    with unpacking(file, side) as (count, _):
        return count


def training_images(count: int, held_out: int) -> int:
    """How many of `count` training images are left when the last `held_out` are for validation.

    Raises:
        DataError: None.
    """
    if held_out >= count:
        raise DataError(
            f"dataset.validation_images={held_out:,} leaves none of {count:,} training images -> lower it"
        )
    return count - held_out


def _header(stream: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype[np.generic]]:
    """Shape, whether columns come first, and type of an array in .npy form."""
    if npy.read_magic(stream) == (1, 0):
        return npy.read_array_header_1_0(stream)
    return npy.read_array_header_2_0(stream)


def _shape(file: Path, stream: IO[bytes], side: int) -> tuple[int, int]:
    shape, by_columns, dtype = _header(stream)
    if dtype != np.uint8:
        raise DataError(f"{file}: `data` is {dtype}, expected uint8")
    if len(shape) != 2 or shape[1] != 3 * side * side:
        raise DataError(
            f"{file}: `data` has the shape {list(shape)}, expected [N, {3 * side * side}] for "
            f"dataset.side={side}{_side_hint(shape)}"
        )
    if by_columns:
        raise DataError(f"{file}: `data` lies in Fortran's order -> np.ascontiguousarray, then save it again")
    return shape[0], shape[1]


def _check_labels(file: Path, stream: IO[bytes], count: int) -> None:
    shape = _header(stream)[0]
    if shape[:1] != (count,):
        labels = shape[0] if shape else 1
        raise DataError(f"{file}: {labels} labels for {count} images")


def _blocks(stream: IO[bytes], size: int) -> Iterator[bytes]:
    """`size` bytes; reading to the very end makes zipfile compare the checksum."""
    while size:
        block = stream.read(min(BLOCK, size))
        if not block:
            raise EOFError(f"{size} bytes of `data` are missing")
        size -= len(block)
        yield block
    if stream.read(1):
        raise ValueError("`data` is longer than it says")


def _side_hint(shape: tuple[int, ...]) -> str:
    side = round((shape[1] / 3) ** 0.5) if len(shape) == 2 else 0
    return f" -> dataset.side={side}" if side and 3 * side * side == shape[1] else ""
