"""Square pieces of photographs: random crops for training, tiles in a grid, centre crops."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import torch
from torch import Tensor

from fsar_lab.cores import available_cores
from fsar_lab.data.photo_files import planes, read_pixels
from fsar_lab.data.source import Source, mirror
from fsar_lab.errors import DataError


class CropSource(Source):
    """Random crops of photographs, at any offset.

    An index names a photograph, as many indices for each as it holds disjoint tiles; where its crop lies is
    drawn anew each time. All photographs are one flat buffer; a batch is one gather of rows from it.
    """

    randoms = 3  # row, column, mirroring

    def __init__(self, photos: Sequence[Tensor], tile: int, flip: bool) -> None:
        """Copy `photos`, uint8 [3, H, W] of any sizes ≥ tile, into the buffer."""
        sizes = torch.tensor([photo.shape for photo in photos])
        heights, widths = sizes[:, 1], sizes[:, 2]
        buffer = torch.cat([photo.reshape(-1) for photo in photos])
        self._windows = buffer.unfold(0, tile, 1)  # every run of `tile` bytes; a view, nothing is copied
        self.flip = flip
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
            mirror(crops, uniform[:, 2] < 0.5)
        return crops


class FileCropSource(Source):
    """The same crops from photographs that are decoded anew each time, since they do not fit into memory.

    Threads decode the photographs of a batch.
    """

    randoms = 3
    slow = True

    def __init__(self, files: Sequence[Path], tile: int, flip: bool, repeats: Tensor | None = None) -> None:
        """Name the photographs; file i stands for repeats[i] indices (int64), or for one."""
        self._files = list(files)
        self.flip = flip
        self._tile = tile
        times = torch.ones(len(files), dtype=torch.int64) if repeats is None else repeats
        self._file = torch.repeat_interleave(torch.arange(len(files)), times)
        self._threads = ThreadPoolExecutor(available_cores())

    def __len__(self) -> int:
        return len(self._file)

    def pick(self, indices: Tensor, uniform: Tensor) -> Tensor:
        """See ImageSource.pick; the random numbers are row, column and mirroring.

        Raises:
            DataError: A file cannot be read any more, or is smaller than a tile.
        """
        files = [self._files[i] for i in self._file[indices].tolist()]
        crops = torch.empty(len(files), 3, self._tile, self._tile, dtype=torch.uint8)
        where = uniform[:, :2].tolist()
        for crop, content in zip(crops, self._threads.map(self._crop, files, where), strict=True):
            crop.copy_(content)
        if self.flip:
            mirror(crops, uniform[:, 2] < 0.5)
        return crops

    def _crop(self, file: Path, where: Sequence[float]) -> Tensor:
        pixels, complaint = read_pixels(file)
        if pixels is None:
            raise DataError(f"{file}: {complaint} -> repair or remove it, then start again")
        height, width = pixels.shape[:2]
        if min(height, width) < self._tile:
            raise DataError(
                f"{file}: {width}x{height} is smaller than dataset.tile={self._tile} -> lower that, or "
                "remove the file"
            )
        top = int(where[0] * (height - self._tile + 1))
        left = int(where[1] * (width - self._tile + 1))
        return planes(pixels[top : top + self._tile, left : left + self._tile])


def grid(photos: Iterable[Tensor], tile: int) -> Tensor:
    """All whole, non-overlapping tiles of photos [3, H, W], in raster order: uint8 [N, 3, tile, tile]."""
    tiles = [torch.empty(0, 3, tile, tile, dtype=torch.uint8)]
    for photo in photos:
        cut = photo.unfold(1, tile, tile).unfold(2, tile, tile)  # [3, rows, columns, tile, tile]
        tiles.append(cut.permute(1, 2, 0, 3, 4).reshape(-1, 3, tile, tile))
    return torch.cat(tiles)


def centre(photo: Tensor, height: int, width: int) -> Tensor:
    """The middle of a photograph [3, H, W]: [3, height, width]."""
    top, left = (photo.shape[1] - height) // 2, (photo.shape[2] - width) // 2
    return photo[:, top : top + height, left : left + width]


def centre_to_multiples(photo: Tensor, multiple: int) -> Tensor:
    """The largest middle part of [3, H, W] whose sides are multiples of `multiple`; as it is if too small."""
    _, height, width = photo.shape
    if min(height, width) < multiple:
        return photo
    return centre(photo, height - height % multiple, width - width % multiple)
