"""Any folder of images: parts by subfolder or by the pixels' hash, no image in two of them."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from rich.console import Console
from rich.progress import track
from torch import Tensor

from fsar_lab.config.schema import FolderConfig
from fsar_lab.data.augment import augmented
from fsar_lab.data.crops import CropSource, FileCropSource
from fsar_lab.data.dataset import Dataset
from fsar_lab.data.photo_files import content_hash, number_of, read_photo
from fsar_lab.data.places import folder_parts
from fsar_lab.data.source import ImageSource, Photographs, TensorSource, spread
from fsar_lab.data.threads import in_threads
from fsar_lab.errors import DataError

NAMED = 5  # files that a warning names, at most
MANY = 200  # images take so long to read that a bar shows how far it is


@dataclass
class Photo:
    """One image file: what its pixels are called, and the pixels, uint8 [3, H, W], while there is room."""

    file: Path
    content: str
    height: int
    width: int
    pixels: Tensor | None

    def read(self) -> Tensor:
        """The pixels, from memory or else from the file.

        Raises:
            DataError: The file cannot be read any more.
        """
        if self.pixels is not None:
            return self.pixels
        pixels, complaint = read_photo(self.file)
        if pixels is None:
            raise DataError(f"{self.file}: {complaint} -> repair or remove it, then start again")
        return pixels

    def tiles(self, tile: int) -> int:
        """How many whole tiles it holds."""
        return (self.height // tile) * (self.width // tile)


class Folder(Dataset):
    """Crops of training images, tiles of validation images, and whole test images.

    Subfolders train, validation, test decide which image is what; for a part that has none, a hash of the
    pixels does, among the other images (without `train`) or among those for training. So an image stays in
    its part whatever it is called and whichever images join it later. Of images with equal pixels one
    is kept: for test, else for validation. An exception are folders so small that the hash gives a part no
    image: it then gets the one with the next hash, which goes back when others join that belong there.
    """

    def __init__(self, config: FolderConfig) -> None:
        """Decode all images once, and keep those that fit into memory.

        Raises:
            DataError: No folder, or too few usable images.
        """
        found = {
            part: read_all(files, config.memory_gb * 1e9) for part, files in folder_parts(config.root).items()
        }
        parts, copies = without_copies(found)
        if copies:
            _warn("equal pixels", copies)
        train, validation, test = divide(parts, config.validation_fraction, config.test_fraction)
        train, small = _large_enough(train, config.tile)
        validation, more = _large_enough(validation, config.tile)
        if small or more:
            _warn(
                f"left out, smaller than dataset.tile={config.tile}",
                [photo.file.name for photo in small + more],
            )
        for name, photos in (("training", train), ("validation", validation)):
            if not photos:
                raise DataError(
                    f"{config.root}: no {name} images of at least {config.tile}x{config.tile} -> lower "
                    "dataset.tile, or add images"
                )
        numbers = spread(torch.arange(len(test)), config.test_images).tolist()
        about = f"the folder {Path(str(config.root)).name}"
        if copies:
            about += f"; {len(copies)} copies left out"
        super().__init__(
            augmented(crops(train, config.tile, config.flip), config.augment),
            TensorSource(some_tiles(validation, config.tile, config.validation_images)),
            Photographs([test[i].read() for i in numbers]),
            config.tile,
            about,
        )


def read_all(files: Sequence[Path], memory: float) -> list[Photo]:
    """All usable images; pixels are kept of none if they take more than `memory` bytes together.

    One warning names those that cannot be used, and those that were compressed with loss.
    """
    photos: list[Photo] = []
    complaints: list[str] = []
    kept = 0
    read = track(
        in_threads(read_photo, files),
        "reading images",
        len(files),
        console=Console(file=sys.stderr),
        transient=True,
        disable=len(files) < MANY,
    )
    for file, (pixels, complaint) in zip(files, read, strict=True):
        if complaint:
            complaints.append(f"{file.name}: {complaint}")
        if pixels is None:
            continue
        before, kept = kept, kept + pixels.numel()
        if before <= memory < kept:
            for photo in photos:
                photo.pixels = None
        shape = int(pixels.shape[1]), int(pixels.shape[2])
        photos.append(Photo(file, content_hash(pixels), *shape, pixels if kept <= memory else None))
    if complaints:
        _warn("photographs", complaints)
    return photos


def without_copies(parts: dict[str, list[Photo]]) -> tuple[dict[str, list[Photo]], list[str]]:
    """Each image once, in the first of test, validation, train that has it; and the copies left out."""
    first: dict[str, tuple[str, Photo]] = {}
    copies = []
    left: dict[str, list[Photo]] = {}
    for part in sorted(parts, key=["test", "validation", "train", ""].index):
        left[part] = []
        for photo in parts[part]:
            if photo.content in first:
                where, other = first[photo.content]
                across = f" ({part or 'the rest'} and {where})" if part != where else ""
                copies.append(f"{photo.file.name} is {other.file.name}{across}")
            else:
                first[photo.content] = part, photo
                left[part].append(photo)
    return left, copies


def divide(
    parts: dict[str, list[Photo]], validation_fraction: float, test_fraction: float
) -> tuple[list[Photo], list[Photo], list[Photo]]:
    """Training, validation and test images; parts that no subfolder holds are taken by the pixels' hash.

    They are taken from the images outside of named subfolders, the key "", or else from `train`.

    Raises:
        DataError: Too few images.
    """
    rest = sorted(parts.get("", parts.get("train", [])), key=lambda photo: photo.content)
    taken: dict[str, list[Photo]] = {}
    start = 0.0
    for part, fraction in (("test", test_fraction), ("validation", validation_fraction)):
        if part in parts:
            taken[part] = parts[part]
            continue
        count = sum(start <= number_of(photo.content) < start + fraction for photo in rest)
        count = max(count, 1)
        taken[part], rest = rest[:count], rest[count:]
        start += fraction
    if not (rest and taken["validation"] and taken["test"]):
        raise DataError(
            f"{sum(map(len, parts.values()))} different images are too few for three parts -> "
            "add some to dataset.root"
        )
    return rest, taken["validation"], taken["test"]


def crops(photos: Sequence[Photo], tile: int, flip: bool) -> ImageSource:
    """Random crops, from memory if all pixels are there; the same ones otherwise."""
    pixels = [photo.pixels for photo in photos if photo.pixels is not None]
    if len(pixels) == len(photos):
        return CropSource(pixels, tile, flip)
    repeats = torch.tensor([photo.tiles(tile) for photo in photos])
    return FileCropSource([photo.file for photo in photos], tile, flip, repeats)


def some_tiles(photos: Sequence[Photo], tile: int, count: int) -> Tensor:
    """At most `count` whole tiles spread evenly over all that there are: uint8 [n, 3, tile, tile]."""
    places = [
        (photo, top, left)
        for photo in photos
        for top in range(0, photo.height - tile + 1, tile)
        for left in range(0, photo.width - tile + 1, tile)
    ]
    tiles: list[Tensor] = []
    last: tuple[Photo, Tensor] | None = None
    for i in spread(torch.arange(len(places)), count).tolist():
        photo, top, left = places[i]
        if last is None or last[0] is not photo:
            last = photo, photo.read()
        tiles.append(last[1][:, top : top + tile, left : left + tile])
    return torch.stack(tiles)


def _large_enough(photos: Sequence[Photo], tile: int) -> tuple[list[Photo], list[Photo]]:
    large = [photo for photo in photos if photo.tiles(tile)]
    return large, [photo for photo in photos if not photo.tiles(tile)]


def _warn(what: str, about: Sequence[str]) -> None:
    more = f" and {len(about) - NAMED} more" if len(about) > NAMED else ""
    warnings.warn(f"{what}: {'; '.join(about[:NAMED])}{more}", stacklevel=3)
