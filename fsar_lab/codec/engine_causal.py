"""Pixels under causal networks that PyTorch computes: the entropy coder's own bytes, in both directions.

The entropy coder gets every interval, and gives every sample, by a row of cumulative counts: slow, and there
to be compared with. A lane that has nothing at a step has a row of one symbol, which changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fsar_lab import entropy
from fsar_lab.codec.causal_net import CausalNetTables, conditions_of
from fsar_lab.codec.causal_torch import BITS, Network, Places
from fsar_lab.codec.parts import Parameters
from fsar_lab.entropy import LANES
from fsar_lab.entropy.causal import COLOURS


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
        self._push(encoder, images, batch_steps(images.shape[:3]), conditions_of(parameters))

    def pop(
        self, decoder: entropy.Decoder, parameters: Parameters | None, shape: tuple[int, int, int]
    ) -> NDArray[np.uint8]:
        """Decode uint8 [N, H, W, 3]."""
        return self._pop(decoder, shape, batch_steps(shape), conditions_of(parameters))

    def encode_wave(self, image: NDArray[np.uint8]) -> tuple[bytes, float]:
        """Code uint8 [H, W, 3], whose rows are the lanes: the stream and its bits."""
        encoder, radius = entropy.Encoder(LANES), self.network.shape.radius
        self._push(encoder, image[None], wave_steps(image.shape[:2], radius))
        (stream,) = encoder.finish()
        return stream, encoder.information()

    def decode_wave(self, stream: memoryview, shape: tuple[int, int]) -> NDArray[np.uint8]:
        """Decode uint8 [H, W, 3] of `shape` [H, W]."""
        decoder, radius = entropy.Decoder([stream], LANES), self.network.shape.radius
        (image,) = self._pop(decoder, (1, *shape), wave_steps(shape, radius))
        decoder.finish()
        return np.asarray(image)

    def _push(
        self,
        encoder: entropy.Encoder,
        images: NDArray[np.uint8],
        steps: Iterable[Step],
        conditions: NDArray[np.uint8] | None = None,
    ) -> None:
        starts, ends = self.network.intervals(images, conditions)
        for step in reversed(list(steps)):
            for colour in reversed(range(COLOURS)):
                start, end = (side[*step.places, colour] for side in (starts, ends))
                # An interval as the middle one of three symbols, or the last: 2^16 is no uint16.
                rows = np.zeros((encoder.num_images, 3), np.uint16)  # idle lanes: the last owns every slot
                values = np.full(encoder.num_images, 2, np.uint16)
                last = end == 1 << BITS
                rows[step.lane, 1], rows[step.lane, 2] = np.where(last, 0, start), np.where(last, start, end)
                values[step.lane] = np.where(last, 2, 1)
                encoder.push_rows(rows, BITS, values)

    def _pop(
        self,
        decoder: entropy.Decoder,
        shape: tuple[int, int, int],
        steps: Iterable[Step],
        conditions: NDArray[np.uint8] | None = None,
    ) -> NDArray[np.uint8]:
        walk = self.network.walk(shape, conditions)
        for step in steps:
            for rows in walk.rows(step.places):
                every = np.zeros((decoder.num_images, 256), np.uint16)
                every[step.lane] = rows
                walk.take(decoder.pop_rows(every, BITS)[step.lane])
        return walk.images


@dataclass(frozen=True)
class Step:
    """Pixels that are coded at the same time, and the lane of each, no two the same: int64 [places]."""

    lane: NDArray[np.int64]
    places: Places


def batch_steps(shape: tuple[int, ...]) -> Iterator[Step]:
    """Images of `shape` [N, H, W] in step, each of them a lane, in raster order."""
    number, height, width = shape
    lane = np.arange(number)
    for row, column in np.ndindex(height, width):
        yield Step(lane, (lane, np.full(number, row), np.full(number, column)))


def wave_steps(shape: tuple[int, ...], radius: int) -> Iterator[Step]:
    """One image of `shape` [H, W] whose rows are the lanes: docs/FORMAT-entropy.md, section 7."""
    height, width = shape
    lag = radius + 1
    turn = max(width + radius, LANES * lag)
    row = np.arange(height)
    begin = row // LANES * turn + row % LANES * lag
    for step in range(begin[-1] + width):
        column = step - begin
        there = row[(column >= 0) & (column < width)]
        there = there[np.argsort(there % LANES)]
        if len(there):
            yield Step(there % LANES, (np.zeros_like(there), there, column[there]))
