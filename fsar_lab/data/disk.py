"""Many images of one size in one file on disk: unpacked once, read where and when they are needed."""

from __future__ import annotations

import fcntl
import hashlib
import math
import os
import shutil
import sys
import weakref
from collections.abc import Sequence
from pathlib import Path

import torch
from numpy.lib import format as npy
from rich.console import Console
from rich.progress import Progress
from torch import Tensor

from fsar_lab.data.npz import count_images, unpacking
from fsar_lab.data.source import Source, mirror
from fsar_lab.errors import DataError

SPARE = 1 << 28  # bytes that unpacking leaves free


class DiskSource(Source):
    """Images of a file made by `unpack`, optionally mirrored left to right with probability one half.

    The process holds no image: each is read by its position, and what the system remembers of the file
    is shared with all other processes and given up when memory runs short.
    """

    def __init__(self, file: Path, positions: Tensor, flip: bool = False) -> None:
        """Open `file`; image i of the source is image positions[i] (int64 [N]) of the file."""
        with file.open("rb") as stream:
            npy.read_magic(stream)
            shape, _, _ = npy.read_array_header_1_0(stream)
            self._first = stream.tell()
            if file.stat().st_size != self._first + math.prod(shape):
                raise DataError(f"{file}: it was cut off -> remove it, it is made anew")
            self._descriptor = os.dup(stream.fileno())
        weakref.finalize(self, os.close, self._descriptor)
        self._shape = shape[1:]
        self._bytes = math.prod(self._shape)
        self.positions = positions
        self.flip = flip
        self.randoms = 1 if flip else 0

    def __len__(self) -> int:
        return len(self.positions)

    def pick(self, indices: Tensor, uniform: Tensor) -> Tensor:
        """See ImageSource.pick."""
        images = torch.empty(len(indices), *self._shape, dtype=torch.uint8)
        for row, position in zip(_rows(images, self._bytes), self.positions[indices].tolist(), strict=True):
            if os.preadv(self._descriptor, [row], self._first + position * self._bytes) != self._bytes:
                raise DataError("a file of unpacked images was cut off while it was in use -> train again")
        if self.flip:
            mirror(images, uniform[:, 0] < 0.5)
        return images


def unpack(files: Sequence[Path], side: int, folder: Path, name: str) -> Path:
    """The images of .npz files as one file, uint8 [N, 3, side, side]; made anew when the files change.

    Several processes may ask at once: one unpacks, the others wait for it.

    Args:
        files: .npz files, see npz.unpacking.
        side: of the images in pixels.
        folder: where it goes; made if need be.
        name: first part of its name; files of this name that other .npz files led to are removed.

    Returns:
        A .npy file.

    Raises:
        DataError: A file is damaged or of another form, or the folder has no room or cannot be written.
    """
    target = unpacked(files, folder, name)
    if target.is_file():
        return target
    counts = [count_images(file, side) for file in files]
    size = sum(counts) * 3 * side * side
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / f".{name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if target.is_file():
                return target
            for stale in folder.glob(f"{name}-*"):
                stale.unlink()
            _check_room(folder, size)
            partial = target.with_suffix(".partial")
            _write(files, counts, side, partial)
            partial.replace(target)
    except OSError as error:
        raise DataError(
            f"{folder}: the images cannot be unpacked there ({error}) -> dataset.cache=FOLDER, another one "
            f"with {size / 1e9:.1f} GB of room"
        ) from error
    return target


def unpacked(files: Sequence[Path], folder: Path, name: str) -> Path:
    """Where `unpack` puts the images; follows from the files' names, sizes and times of change."""
    facts = [(file.name, file.stat().st_size, file.stat().st_mtime_ns) for file in files]
    return folder / f"{name}-{hashlib.sha256(repr(facts).encode()).hexdigest()[:12]}.npy"


def _rows(images: Tensor, size: int) -> list[memoryview]:
    """The memory of each of several images."""
    if not len(images):
        return []
    flat = images.numpy().data.cast("B")
    return [flat[start : start + size] for start in range(0, len(flat), size)]


def _check_room(folder: Path, size: int) -> None:
    free = shutil.disk_usage(folder).free
    if free < size + SPARE:
        raise DataError(
            f"{folder}: {size / 1e9:.1f} GB are needed to unpack the images, {free / 1e9:.1f} GB are free -> "
            "dataset.cache=FOLDER on a larger disk"
        )


def _write(files: Sequence[Path], counts: Sequence[int], side: int, target: Path) -> None:
    console = Console(file=sys.stderr)
    with target.open("wb") as out, Progress(console=console, transient=True) as progress:
        header = {"descr": "|u1", "fortran_order": False, "shape": (sum(counts), 3, side, side)}
        npy.write_array_header_1_0(out, header)
        task = progress.add_task("unpacking images, once", total=sum(counts) * 3 * side * side)
        for file in files:
            with unpacking(file, side) as (_, blocks):
                for block in blocks:
                    out.write(block)
                    progress.advance(task, len(block))
