"""Photographs as square tiles: random crops for training, a fixed grid for validation and test."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Sequence
from pathlib import Path

import torch
from torch import Tensor

from fsar_lab.config.schema import PhotosConfig
from fsar_lab.data.dataset import Dataset
from fsar_lab.data.photo_files import content_number, read_photo, unsuitable
from fsar_lab.data.places import folder_photos, wheel_photos
from fsar_lab.data.source import Source, TensorSource, spread
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


class CropSource(Source):
    """Random crops of photographs, at any offset.

    An index names a photograph, as many indices for each as it holds disjoint tiles; where its crop lies is
    drawn anew each time. All photographs are one flat buffer; a batch is one gather of rows from it.
    """

    def __init__(self, photos: Sequence[Tensor], tile: int, flip: bool) -> None:
        """Copy `photos`, uint8 [3, H, W] of any sizes ≥ tile, into the buffer."""
        sizes = torch.tensor([photo.shape for photo in photos])
        heights, widths = sizes[:, 1], sizes[:, 2]
        buffer = torch.cat([photo.reshape(-1) for photo in photos])
        self._windows = buffer.unfold(0, tile, 1)  # every run of `tile` bytes; a view, nothing is copied
        self.flip = flip
        self.randoms = 3
        self._height, self._width = heights, widths
        self._start = torch.cat([torch.zeros(1, dtype=torch.int64), sizes.prod(1).cumsum(0)[:-1]])
        self._photo = torch.repeat_interleave(torch.arange(len(photos)), (heights // tile) * (widths // tile))
        self._tile = tile
        self._steps = torch.arange(tile)

    def __len__(self) -> int:
        return len(self._photo)

    def pick(self, indices: Tensor, uniform: Tensor) -> Tensor:
        """See ImageSource.pick; the random numbers are row, column and mirroring."""
        photo = self._photo[indices]
        height, width, tile = self._height[photo], self._width[photo], self._tile
        top = (uniform[:, 0] * (height - tile + 1)).long()
        left = (uniform[:, 1] * (width - tile + 1)).long()
        origin = self._start[photo] + top * width + left
        planes = origin[:, None] + (height * width)[:, None] * torch.arange(3)
        rows = planes[:, :, None] + width[:, None, None] * self._steps
        crops = self._windows.index_select(0, rows.view(-1)).view(-1, 3, tile, tile)
        if self.flip:
            mirrored = uniform[:, 2] < 0.5
            crops[mirrored] = crops[mirrored].flip(-1)
        return crops


def grid(photos: Iterable[Tensor], tile: int) -> Tensor:
    """All whole, non-overlapping tiles of photos [3, H, W], in raster order: uint8 [N, 3, tile, tile]."""
    tiles = [torch.empty(0, 3, tile, tile, dtype=torch.uint8)]
    for photo in photos:
        cut = photo.unfold(1, tile, tile).unfold(2, tile, tile)  # [3, rows, columns, tile, tile]
        tiles.append(cut.permute(1, 2, 0, 3, 4).reshape(-1, 3, tile, tile))
    return torch.cat(tiles)


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

    A photograph stays on its side whatever its name is and whichever photographs join it later.

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
    for file in files:
        photo, complaint = read_photo(file)
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
