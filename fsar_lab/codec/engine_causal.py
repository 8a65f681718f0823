"""Pixels under causal networks that PyTorch computes: the entropy coder's own bytes, in both directions.

The entropy coder gets every interval, and gives every sample, by a row of cumulative counts: slow, and there
to be compared with. A lane that has nothing at a step has a row of one symbol, which changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fsar_lab import entropy
from fsar_lab.codec.causal_net import CausalNetTables, conditions_of
from fsar_lab.codec.causal_torch import BITS, Network, Places, Walk
from fsar_lab.codec.parts import Parameters
from fsar_lab.codec.recall import TOTAL, Known, Recall
from fsar_lab.entropy import LANES
from fsar_lab.entropy.causal import COLOURS

# Lanes, and where their slots begin and end.
Intervals = tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]


class CausalNetCoder:
    """Pushes and pops pixels. Raises NetworkError for a network that breaks the rules."""

    def __init__(self, part: CausalNetTables, device: str) -> None:
        part.check_numbers()
        self.network = Network(part, device)

    @property
    def expanded_nbytes(self) -> int:
        """Bytes of tables as they are held for coding."""
        return self.network.nbytes

    def push(
        self, encoder: entropy.Encoder, images: NDArray[np.uint8], parameters: Parameters | None
    ) -> None:
        """Code uint8 [N, H, W, 3]."""
        steps = batch_steps(images.shape[:3], self.network.pixels)
        self._push(encoder, images, steps, conditions_of(parameters))

    def pop(
        self, decoder: entropy.Decoder, parameters: Parameters | None, shape: tuple[int, int, int]
    ) -> NDArray[np.uint8]:
        """Decode uint8 [N, H, W, 3]."""
        steps = batch_steps(shape, self.network.pixels)
        return self._pop(decoder, shape, steps, conditions_of(parameters))

    def encode_wave(self, image: NDArray[np.uint8], recall: bool) -> tuple[bytes, float]:
        """Code uint8 [H, W, 3], whose rows are the lanes: the stream and its bits."""
        encoder, steps = entropy.Encoder(LANES), self._wave_steps(image.shape[:2])
        if recall:
            for lane, begin, end in reversed(list(self._remember(image, steps))):
                _push_intervals(encoder, lane, begin, end)
        else:
            self._push(encoder, image[None], steps)
        (stream,) = encoder.finish()
        return stream, encoder.information()

    def decode_wave(self, stream: memoryview, shape: tuple[int, int], recall: bool) -> NDArray[np.uint8]:
        """Decode uint8 [H, W, 3] of `shape` [H, W]."""
        decoder, pop = entropy.Decoder([stream], LANES), self._recall if recall else self._pop
        (image,) = pop(decoder, (1, *shape), self._wave_steps(shape))
        decoder.finish()
        return np.asarray(image)

    def _wave_steps(self, shape: tuple[int, ...]) -> Iterator[Step]:
        return wave_steps(shape, self.network.shape.reach, self.network.pixels)

    def _push(
        self,
        encoder: entropy.Encoder,
        images: NDArray[np.uint8],
        steps: Iterable[Step],
        conditions: NDArray[np.uint8] | None = None,
    ) -> None:
        starts, ends = self.network.intervals(images, conditions)
        for step in reversed(list(steps)):
            for turn in reversed(step.turns):
                for colour in reversed(range(COLOURS)):
                    start, end = (side[*turn.pixels, colour] for side in (starts, ends))
                    _push_intervals(encoder, turn.lane, start, end)

    def _pop(
        self,
        decoder: entropy.Decoder,
        shape: tuple[int, int, int],
        steps: Iterable[Step],
        conditions: NDArray[np.uint8] | None = None,
    ) -> NDArray[np.uint8]:
        walk = self.network.walk(shape, conditions)
        for turn in _turns(walk, steps):
            for rows, _ in walk.rows(turn.pixel, turn.which):
                walk.take(_pop_rows(decoder, turn.lane, list(rows)))
        return walk.images

    def _remember(self, image: NDArray[np.uint8], steps: Iterable[Step]) -> Iterator[Intervals]:
        """All intervals of an image that remembers its colours, in the order of decoding."""
        walk, recall = self.network.walk((1, *image.shape[:2])), Recall()
        for turn in _turns(walk, steps):
            pixels = image[turn.pixels[1:]]
            for colour, (rows, means) in enumerate(walk.rows(turn.pixel, turn.which)):
                samples = pixels[:, colour].astype(np.int64)
                walk.take(samples.astype(np.uint16))
                known = _known(recall, colour, pixels, rows, means)
                asked = [(i, one) for i, one in enumerate(known) if one is not None]
                answers = [int(samples[i]) in one.values for i, one in asked]
                splits = [recall.split(colour, one) for _, one in asked]
                lane = turn.lane[[i for i, _ in asked]]
                flags = [
                    (0, split) if yes else (split, TOTAL) for split, yes in zip(splits, answers, strict=True)
                ]
                yield lane, *_sides(flags)
                at = [i for i, one in enumerate(known) if one is None]
                ends = [[*row.tolist(), TOTAL] for row in rows[at]]
                plain = [(row[x], row[x + 1]) for row, x in zip(ends, samples[at].tolist(), strict=True)]
                yield turn.lane[at], *_sides(plain)
                yield lane, *_sides([one.interval(int(samples[i])) for i, one in asked])
                recall.learn(colour, zip((one for _, one in asked), answers, strict=True))
            recall.add(pixels)

    def _recall(
        self, decoder: entropy.Decoder, shape: tuple[int, int, int], steps: Iterable[Step]
    ) -> NDArray[np.uint8]:
        """The images whose intervals `_remember` gave."""
        walk, recall = self.network.walk(shape), Recall()
        for turn in _turns(walk, steps):
            pixels = np.zeros((len(turn.lane), COLOURS), np.uint8)
            for colour, (rows, means) in enumerate(walk.rows(turn.pixel, turn.which)):
                known = _known(recall, colour, pixels, rows, means)
                asked = [(i, one) for i, one in enumerate(known) if one is not None]
                lane = turn.lane[[i for i, _ in asked]]
                splits = [np.array([0, recall.split(colour, one)]) for _, one in asked]
                answers = [not no for no in _pop_rows(decoder, lane, splits)]
                at = [i for i, one in enumerate(known) if one is None]
                pixels[at, colour] = _pop_rows(decoder, turn.lane[at], [rows[i] for i in at])
                sets = [one.starts(yes) for (_, one), yes in zip(asked, answers, strict=True)]
                # Symbols without slots stand before the others, so that all rows are equally long.
                padded = [np.pad(begins, (256 - len(begins), 0)) for _, begins in sets]
                found = _pop_rows(decoder, lane, padded)
                for (i, _), (which, _), symbol in zip(asked, sets, found.tolist(), strict=True):
                    pixels[i, colour] = which[symbol - 256 + len(which)]
                walk.take(pixels[:, colour].astype(np.uint16))
                recall.learn(colour, zip((one for _, one in asked), answers, strict=True))
            recall.add(pixels)
        return walk.images


def _turns(walk: Walk, steps: Iterable[Step]) -> Iterator[Turn]:
    """The turns of all steps, in their order; the walk looks at a step before the first of its turns."""
    for step in steps:
        walk.look(step.places)
        yield from step.turns


def _known(
    recall: Recall, colour: int, pixels: NDArray[np.uint8], rows: NDArray[np.uint16], means: NDArray[np.int64]
) -> list[Known | None]:
    """What is known of a colour of each place; nothing of red."""
    if colour == 0:
        return [None] * len(pixels)
    before = pixels[:, :colour].tolist()
    return [recall.look(*one) for one in zip(before, rows, means.tolist(), strict=True)]


def _sides(pairs: list[tuple[int, int]]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Begins and ends."""
    begin, end = np.array(pairs, np.int64).reshape(-1, 2).T
    return begin, end


def _push_intervals(
    encoder: entropy.Encoder, lane: NDArray[np.int64], start: NDArray[np.int64], end: NDArray[np.int64]
) -> None:
    """Code an interval of 2^16 slots for each of these lanes."""
    # As the middle one of three symbols, or the last: 2^16 is no uint16.
    rows = np.zeros((encoder.num_images, 3), np.uint16)  # idle lanes: the last owns every slot
    values = np.full(encoder.num_images, 2, np.uint16)
    last = end == TOTAL
    rows[lane, 1], rows[lane, 2] = np.where(last, 0, start), np.where(last, start, end)
    values[lane] = np.where(last, 2, 1)
    encoder.push_rows(rows, BITS, values)


def _pop_rows(
    decoder: entropy.Decoder, lane: NDArray[np.int64], rows: Sequence[NDArray[Any]]
) -> NDArray[np.uint16]:
    """Symbols of these lanes, under rows of equal length."""
    if not rows:
        return np.zeros(0, np.uint16)
    every = np.zeros((decoder.num_images, len(rows[0])), np.uint16)
    every[lane] = rows
    return np.asarray(decoder.pop_rows(every, BITS)[lane])


@dataclass(frozen=True)
class Turn:
    """One pixel of each of the places that have it, and the lane of each, no two the same: int64 [pixels].

    Attributes:
        pixel: number of the pixel in its place.
        which: the places, among those of the step.
        lane: lanes.
        pixels: image, row and column of the image.
    """

    pixel: int
    which: NDArray[np.int64]
    lane: NDArray[np.int64]
    pixels: Places


@dataclass(frozen=True)
class Step:
    """Places that the network is asked for at the same time, columns counting places, and their pixels."""

    places: Places
    turns: list[Turn]


def _step(lane: NDArray[np.int64], places: Places, width: int, pixels: int) -> Step:
    """Places of `pixels` pixels, with their lanes, in images of a width."""
    image, row, column = places
    turns = []
    for pixel in range(pixels):
        x = column * pixels + pixel
        which = np.flatnonzero(x < width)
        if len(which):
            turns.append(Turn(pixel, which, lane[which], (image[which], row[which], x[which])))
    return Step(places, turns)


def batch_steps(shape: tuple[int, ...], pixels: int) -> Iterator[Step]:
    """Images of `shape` [N, H, W] in step, each of them a lane, in raster order of places of `pixels`."""
    number, height, width = shape
    lane = np.arange(number)
    for row, column in np.ndindex(height, -(-width // pixels)):
        yield _step(lane, (lane, np.full(number, row), np.full(number, column)), width, pixels)


def wave_steps(shape: tuple[int, ...], reach: int, pixels: int) -> Iterator[Step]:
    """One image of `shape` [H, W] whose rows are the lanes: docs/FORMAT-entropy.md, sections 7 and 11."""
    height, width = shape
    columns, lag = -(-width // pixels), reach + 1
    turn = max(columns + reach, LANES * lag)
    row = np.arange(height)
    begin = row // LANES * turn + row % LANES * lag
    for step in range(begin[-1] + columns):
        column = step - begin
        there = row[(column >= 0) & (column < columns)]
        there = there[np.argsort(there % LANES)]
        if len(there):
            yield _step(there % LANES, (np.zeros_like(there), there, column[there]), width, pixels)
