"""Images of any sizes as equally sized tiles, which are the lanes of the entropy coder.

An image is cut into tiles of at most `tile` x `tile` pixels; those at its right and bottom edge are what
is left, padded to multiples of the model's factor by repeating the last row and column. Tiles of one padded
shape, in order of images and row by row within an image, form groups of 32 lanes, the last one fewer; shapes
come in the order in which they first appear. So everything follows from the sizes of the images alone.

Where a model's waves are (`Cut.waves`), a large image is cut into bands instead, as equal as can be, each a
group by itself: its rows are the lanes.
"""

from __future__ import annotations

from collections.abc import Collection, Container, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby

import numpy as np
from numpy.typing import NDArray

from fsar_lab.entropy import LANES

TILE = 64  # side, a multiple of every model's factor: docs/FORMAT-blob.md says why not 32 or 128
WAVE_TILE = 128  # of models with waves: whatever is smaller is coded in one piece
WAVE_SIDES = (
    32,
    128,
)  # what is at least so high and wide is a wave: with fewer lanes, or columns, half would idle
BAND = 512, 1024  # height and width of a band at most: threads share bands, and memory grows with both
RUN_PIXELS = 1 << 16  # of the groups worked on at a time, at most (but one group): bounds the memory
Image = NDArray[np.uint8]
Shape = tuple[int, int]


@dataclass(frozen=True)
class SizeRun:
    """Consecutive images of one size."""

    count: int
    height: int
    width: int


@dataclass(frozen=True)
class Cut:
    """How images are cut into lanes.

    Attributes:
        tile: side of the tiles, a multiple of `factor`.
        factor: of the model.
        lanes: tiles of a group.
        waves: large images are cut into bands, which are waves; the factor is 1.
    """

    tile: int
    factor: int = 1
    lanes: int = LANES
    waves: bool = False

    def is_wave(self, height: int, width: int) -> bool:
        """Whether images, or pieces, of this size are waves; pieces of waves are, those of others are not."""
        return self.waves and height >= WAVE_SIDES[0] and width >= WAVE_SIDES[1]

    def lanes_of(self, shape: Shape) -> int:
        """Tiles of a group of tiles of this shape."""
        return 1 if self.is_wave(*shape) else self.lanes

    def pieces(self, run: SizeRun) -> tuple[dict[int, int], dict[int, int]]:
        """How many pieces of which padded heights, and of which widths, an image is cut into, in order."""
        if self.is_wave(run.height, run.width):
            return _evenly(run.height, BAND[0]), _evenly(run.width, BAND[1])
        return self._tiles(run.height), self._tiles(run.width)

    def _tiles(self, side: int) -> dict[int, int]:
        full, rest = divmod(side, self.tile)
        sides = {self.tile: full} if full else {}
        if rest:
            padded = -(-rest // self.factor) * self.factor
            sides[padded] = sides.get(padded, 0) + 1
        return sides


def _evenly(side: int, most: int) -> dict[int, int]:
    """Pieces of at most `most` that differ by one pixel, the larger ones first."""
    number = -(-side // most)
    small, larger = divmod(side, number)
    return {size: count for size, count in ((small + 1, larger), (small, number - larger)) if count}


@dataclass(frozen=True)
class Groups:
    """Consecutive groups of one shape.

    Attributes:
        shape: padded height and width of every tile.
        tiles: int32 [n, 3]: image, top row and left column of every tile.
        first: number of the first group.
        whole: the tiles are whole images, unpadded and consecutive.
        lanes: tiles of a group.
        wave: each tile is a group, whose lanes are its rows.
    """

    shape: Shape
    tiles: NDArray[np.int32]
    first: int
    whole: bool
    lanes: int = LANES
    wave: bool = False

    def __len__(self) -> int:
        return -(-len(self.tiles) // self.lanes)

    @property
    def numbers(self) -> range:
        """Of the groups."""
        return range(self.first, self.first + len(self))

    def single(self, number: int) -> Groups:
        """One of them by itself."""
        return self.between(number, number + 1)

    def between(self, first: int, stop: int) -> Groups:
        """Those with the numbers first ... stop - 1."""
        tiles = self.tiles[(first - self.first) * self.lanes : (stop - self.first) * self.lanes]
        return replace(self, tiles=tiles, first=first)

    def images(self) -> list[int]:
        """The images that these groups hold tiles of."""
        numbers: list[int] = np.unique(self.tiles[:, 0]).tolist()
        return numbers

    def cut(self, images: NDArray[np.uint8] | Sequence[Image]) -> NDArray[np.uint8]:
        """The tiles' pixels, uint8 [n, height, width, 3], padded."""
        if self.whole and isinstance(images, np.ndarray):
            first = int(self.tiles[0, 0])
            return np.ascontiguousarray(images[first : first + len(self.tiles)])
        height, width = self.shape
        lanes = np.empty((len(self.tiles), height, width, 3), np.uint8)
        for lane, (image, top, left) in zip(lanes, self.tiles.tolist(), strict=True):
            part = images[image][top : top + height, left : left + width]
            rows, columns = part.shape[:2]
            lane[:rows, :columns] = part
            if columns < width:
                lane[:rows, columns:] = part[:, -1:]
            if rows < height:
                lane[rows:] = lane[rows - 1]
        return lanes

    def paste(self, lanes: NDArray[np.uint8], images: Sequence[Image | None] | NDArray[np.uint8]) -> None:
        """Put decoded tiles into the images that are wanted (not None), without the padding."""
        if self.whole and isinstance(images, np.ndarray):
            first = int(self.tiles[0, 0])
            images[first : first + len(lanes)] = lanes
            return
        height, width = self.shape
        for lane, (image, top, left) in zip(lanes, self.tiles.tolist(), strict=True):
            target = images[image]
            if target is not None:
                part = target[top : top + height, left : left + width]
                part[:] = lane[: part.shape[0], : part.shape[1]]


def size_runs(images: NDArray[np.uint8] | Sequence[Image]) -> list[SizeRun]:
    """The sizes of an array [N, H, W, 3] or of a sequence of [H, W, 3]."""
    if isinstance(images, np.ndarray):
        return [SizeRun(len(images), images.shape[1], images.shape[2])]
    sizes = groupby(image.shape[:2] for image in images)
    return [SizeRun(sum(1 for _ in same), height, width) for (height, width), same in sizes]


def tile_counts(runs: Iterable[SizeRun], cut: Cut) -> dict[Shape, int]:
    """Number of tiles of every padded shape, in the order of the shapes; arithmetic only."""
    counts: dict[Shape, int] = {}
    for run in runs:
        rows, columns = cut.pieces(run)
        for height, down in rows.items():
            for width, across in columns.items():
                shape = height, width
                counts[shape] = counts.get(shape, 0) + run.count * down * across
    return counts


def group_sizes(counts: dict[Shape, int], cut: Cut) -> Iterator[tuple[Shape, int]]:
    """Shape and number of tiles of every group, in order."""
    for shape, count in counts.items():
        lanes = cut.lanes_of(shape)
        for start in range(0, count, lanes):
            yield shape, min(lanes, count - start)


def in_groups(
    runs: Sequence[SizeRun], cut: Cut, threads: int = 1, wanted: Container[int] | None = None
) -> list[Groups]:
    """The groups in order, as many at a time as are worth working on at a time.

    Args:
        runs: sizes of the images.
        cut: how they are cut.
        threads: that will share the work; has no influence on the groups.
        wanted: numbers of the groups that are needed; None means all of them.
    """
    parts: list[Groups] = []
    first = 0
    for shape, tiles in _tiles(runs, cut).items():
        lanes = cut.lanes_of(shape)
        count = -(-len(tiles) // lanes)
        whole = len(runs) == 1 and shape == (runs[0].height, runs[0].width)
        groups = Groups(shape, tiles, first, whole, lanes, cut.is_wave(*shape))
        most = max(1, min(RUN_PIXELS // (shape[0] * shape[1] * lanes), -(-count // threads)))
        start = 0
        while start < count:
            stop = start + 1
            if wanted is None:
                stop = min(start + most, count)
            elif first + start not in wanted:
                start += 1
                continue
            else:
                while stop < min(start + most, count) and first + stop in wanted:
                    stop += 1
            parts.append(groups.between(first + start, first + stop))
            start = stop
        first += count
    return parts


def images_of(parts: Sequence[Groups], numbers: Collection[int]) -> set[int]:
    """The images that hold tiles of the groups with these numbers."""
    found: set[int] = set()
    for part in parts if numbers else ():
        found.update(*(part.single(number).images() for number in part.numbers if number in numbers))
    return found


def groups_of(parts: Sequence[Groups], images: Collection[int], number: int) -> set[int]:
    """Numbers of the groups that hold tiles of these images out of `number`."""
    wanted = np.zeros(number, np.bool_)
    wanted[list(images)] = True
    found: set[int] = set()
    for part in parts:
        hits = np.flatnonzero(wanted[part.tiles[:, 0]])
        found.update(np.unique(part.first + hits // part.lanes).tolist())
    return found


def allocate(runs: Sequence[SizeRun], wanted: Container[int]) -> list[Image | None]:
    """Memory for the wanted images, None for the others."""
    images: list[Image | None] = []
    for run in runs:
        numbers = range(len(images), len(images) + run.count)
        shape = run.height, run.width, 3
        images += [np.empty(shape, np.uint8) if number in wanted else None for number in numbers]
    return images


def _tiles(runs: Sequence[SizeRun], cut: Cut) -> dict[Shape, NDArray[np.int32]]:
    """Image, top and left of every tile, by shape: int32 [n, 3]."""
    parts: dict[Shape, list[NDArray[np.int32]]] = {}
    first = 0
    for run in runs:
        images = np.arange(first, first + run.count, dtype=np.int32)
        first += run.count
        rows, columns = map(_starts, cut.pieces(run))
        for height, tops in rows.items():
            for width, lefts in columns.items():
                table = np.empty((run.count, len(tops), len(lefts), 3), np.int32)
                table[..., 0] = images[:, None, None]
                table[..., 1] = tops[:, None]
                table[..., 2] = lefts
                parts.setdefault((height, width), []).append(table.reshape(-1, 3))
    return {
        shape: tables[0] if len(tables) == 1 else np.concatenate(tables) for shape, tables in parts.items()
    }


def _starts(pieces: dict[int, int]) -> dict[int, NDArray[np.int32]]:
    """Where the pieces of every size begin: those of the first size, then those of the second."""
    starts, at = {}, 0
    for size, count in pieces.items():
        starts[size] = np.arange(at, at + size * count, size, dtype=np.int32)
        at += size * count
    return starts
