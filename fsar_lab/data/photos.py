"""Photographs as square tiles: random crops for training, a fixed grid for validation and test."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path

from torch import Tensor

from fsar_lab.config.schema import PhotosConfig
from fsar_lab.data.crops import CropSource, grid
from fsar_lab.data.dataset import Dataset
from fsar_lab.data.photo_files import content_number, read_photo, unsuitable
from fsar_lab.data.places import folder_photos, wheel_photos
from fsar_lab.data.source import TensorSource, spread
from fsar_lab.data.threads import in_threads
from fsar_lab.errors import DataError

_WHEEL_ABOUT = (
    "tiles of the photographs in the scikit-image wheel (training: astronaut, NASA, public domain; coffee, "
    "R. Michetti, CC0; motorcycle left and right, Middlebury stereo 2014; test: chelsea, S. van der Walt, "
    "CC0)"
)


class Photos(Dataset):
    """Tiles of photographs; the test set's photographs are others than those trained on.

    The lowest rows of tiles of the training photographs are held out for validation: no training crop
    touches them.
    """

    def __init__(self, config: PhotosConfig) -> None:
        """Read all photographs into memory and cut them.

        Raises:
            DataError: No or too few usable photographs.
        """
        tile = config.tile
        if config.root is None:
            train_files, test_files = wheel_photos()
            train_photos, test_photos = _read_all(train_files, tile), _read_all(test_files, tile)
            about = _WHEEL_ABOUT
        else:
            root = Path(config.root)
            train_photos, test_photos = split(_read_all(folder_photos(root), tile), config.test_fraction)
            about = (
                f"tiles of {len(train_photos)} training and {len(test_photos)} test photographs "
                f"in the folder {root.name}"
            )
        rows = held_out_rows([photo.shape for photo in train_photos], tile, config.validation_images)
        kept = [photo[:, : photo.shape[1] - n * tile] for photo, n in zip(train_photos, rows, strict=True)]
        held = [photo[:, photo.shape[1] - n * tile :] for photo, n in zip(train_photos, rows, strict=True)]
        test = grid(test_photos, tile)
        if dropped := sum(photo[0].numel() for photo in test_photos) - len(test) * tile * tile:
            about += f"; {dropped:,} edge pixels of test photographs fill no whole tile and are dropped"
        super().__init__(
            CropSource(kept, tile, config.flip),
            TensorSource(spread(grid(held, tile), config.validation_images)),
            TensorSource(spread(test, config.test_images)),
            tile,
            about,
        )


def held_out_rows(shapes: Sequence[Sequence[int]], tile: int, wanted: int) -> list[int]:
    """How many rows of tiles each photograph [3, H, W] gives to validation.

    Rows are taken one by one from the photograph that has given the smallest part of its height, until
    there are `wanted` tiles and each photograph has given one. Each keeps at least one row for training.

    Raises:
        DataError: The photographs are too small for so many validation tiles.
    """
    given = [0] * len(shapes)
    tiles = 0
    while wanted and (tiles < wanted or 0 in given):
        able = [i for i, (_, height, _) in enumerate(shapes) if height >= (given[i] + 2) * tile]
        if tiles >= wanted:
            able = [i for i in able if given[i] == 0]
            if not able:
                break
        if not able:
            raise DataError(
                f"dataset.validation_images={wanted} of {tile}x{tile} do not fit into the training "
                f"photographs (at most {tiles}) -> lower it, or add photographs"
            )
        chosen = min(able, key=lambda i: (given[i] + 1) / shapes[i][1])
        given[chosen] += 1
        tiles += shapes[chosen][2] // tile
    return given


def split(photos: Sequence[Tensor], test_fraction: float) -> tuple[list[Tensor], list[Tensor]]:
    """Training and test photographs, chosen by a hash of the pixels; second copies are dropped.

    A photograph stays on its side whatever its name is and whichever photographs join it later, but for
    the one that a side gets to which the hashes give none: it may change when others join.

    Raises:
        DataError: Fewer than two different photographs.
    """
    numbered = sorted({content_number(photo): photo for photo in photos}.items(), key=lambda pair: pair[0])
    if len(numbered) < 2:
        raise DataError("one photograph cannot be both for training and test -> add some to dataset.root")
    count = sum(number < test_fraction for number, _ in numbered)
    count = min(max(count, 1), len(numbered) - 1)
    ordered = [photo for _, photo in numbered]
    return ordered[count:], ordered[:count]


def _read_all(files: Sequence[Path], tile: int) -> list[Tensor]:
    """Read the photographs that can be used; one warning says which others there are and why."""
    photos, complaints = [], []
    for file, (photo, complaint) in zip(files, in_threads(read_photo, files), strict=True):
        complaint = complaint or (unsuitable(photo, tile) if photo is not None else None)
        if complaint:
            complaints.append(f"{file.name}: {complaint}")
        if photo is not None and unsuitable(photo, tile) is None:
            photos.append(photo)
    if complaints:
        warnings.warn("photographs: " + "; ".join(complaints), stacklevel=2)
    if not photos:
        raise DataError("no usable photographs: " + "; ".join(complaints))
    return photos
