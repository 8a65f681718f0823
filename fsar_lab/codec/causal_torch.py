"""Causal networks in PyTorch: docs/FORMAT-entropy.md, section 11, with the integers of the entropy coder.

A place, for which the network is asked once, is one pixel or, with `pair`, two of a row. Matrix products are
of float64: sums stay below 2^30, so that they are exact in any order, on any device and with any number of
threads. All else is int64. Encoding sees all places at once, decoding those of a step.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from fsar_lab.codec.causal_net import CausalNetTables
from fsar_lab.entropy.causal import COLOURS, EXPONENTIALS, SCALES, STEPS

BITS = 16
PIXELS = 1 << 14  # that are encoded at a time, at most (but one row): bounds the memory
LOWEST, HIGHEST = -2048, 6143  # means, in 1/16 grey levels
AROUND = ((-1, -1), (-1, 0), (-1, 1), (0, -1), (0, 0))  # what a spatial block sees: row, column
# Block and its bytes [..., width] -> the bytes of all places that it sees [..., taps * width].
Neighbours = Callable[[int, Tensor], Tensor]
Places = tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]  # image, row, column


@dataclass
class Mixture:
    """Distributions of one sample: means, inverse scales and weights, int64 [..., M]."""

    mean: Tensor
    inverse: Tensor
    weight: Tensor


class Network:
    """The rule itself; `intervals` and `walk` are the encoder's and the decoder's roads."""

    def __init__(self, part: CausalNetTables, device: str) -> None:
        self.shape, self.device = part.shape, torch.device(device)
        self.pixels = self.shape.samples // COLOURS  # of a place
        arrays = {name: self.whole(part.arrays[name]) for name in part.shape.arrays}
        self.arrays = arrays
        self.offsets = [
            (y, x)
            for y in range(-self.shape.radius, 1)
            for x in range(-self.shape.reach, self.shape.reach + 1)
            if (y, x) < (0, 0)
        ]
        every = torch.cat([arrays["first"].flatten(), arrays["weights"]]).double()
        self.matrices: dict[str, tuple[Tensor, Tensor, Tensor]] = {}
        weight = output = 0
        for name, rows, columns in self.shape.matrices:
            matrix = every[weight : weight + rows * columns].reshape(rows, columns).T.contiguous()
            these = slice(output, output + rows)
            self.matrices[name] = (matrix, arrays["bias"][these].double(), arrays["shift"][these])
            weight, output = weight + rows * columns, output + rows

    def whole(self, array: NDArray[Any]) -> Tensor:
        """An array of integers as int64."""
        return torch.tensor(array.astype(np.int64), device=self.device)

    @property
    def nbytes(self) -> int:
        """Bytes of all that is held."""
        matrices = [tensor for each in self.matrices.values() for tensor in each]
        return sum(tensor.nbytes for tensor in [*self.arrays.values(), *matrices])

    # --- the rule -------------------------------------------------------------------------------------

    def _apply(self, name: str, inputs: Tensor) -> Tensor:
        """R(matrix · inputs + bias, shift): integers [..., columns] -> int64 [..., rows]."""
        matrix, bias, shift = self.matrices[name]
        return _shifted((inputs.double() @ matrix + bias).long(), shift)

    def look(self, window: Tensor, neighbours: Neighbours) -> tuple[Tensor, Tensor]:
        """Windows and conditions [..., inputs] -> `own` [..., S, hidden] and `l` [..., S], S samples."""
        width, blocks = self.shape.width, self.shape.blocks
        first = self._apply("first", window)
        h, linear = first[..., :width], first[..., width:].clamp(LOWEST, HIGHEST)
        for block in range(blocks):
            u = _byte(h, self.arrays["stream_shift"][block])
            v = self._apply(f"inner.{block}", neighbours(block, u)).clamp(0, 255)
            h = h + self._apply(f"outer.{block}", v)
        own = self._apply("neck", _byte(h, self.arrays["stream_shift"][blocks]))
        return own.reshape(*linear.shape, self.shape.hidden), linear

    def mixture(self, sample: int, own: Tensor, linear: Tensor, before: Tensor) -> Mixture:
        """Of `own` [..., hidden] of a sample, `l` [..., S] and those before it, int64 [..., sample]."""
        arrays, size = self.arrays, self.shape.mixtures
        errors = 16 * before - linear[..., :sample]
        near = errors.clamp(-2048, 2047).unsqueeze(-2)
        shove = (arrays["colour"][sample, :, :sample] * near).sum(-1)
        hidden = _byte(own + _shifted(shove, 12), arrays["own_shift"][sample])
        out = self._apply(f"head.{sample}", hidden)
        logits, offsets, scales = out[..., :size], out[..., size : 2 * size], out[..., 2 * size :]
        pull = _shifted((arrays["couple"][sample, :sample] * errors).sum(-1, keepdim=True), 14)
        mean = (linear[..., sample : sample + 1] + pull + offsets).clamp(LOWEST, HIGHEST)
        below = (logits.amax(-1, keepdim=True) - logits).clamp(max=EXPONENTIALS - 1)
        exponentials = arrays["exponentials"][below]
        total = exponentials.sum(-1, keepdim=True)
        reciprocal = torch.div(1 << 30, 128 * (total >> 7) + 128, rounding_mode="floor")
        others = (exponentials[..., 1:] * reciprocal) >> 15
        weight = torch.cat([(1 << 15) - others.sum(-1, keepdim=True), others], -1)
        return Mixture(mean, arrays["inverse"][scales.clamp(0, SCALES - 1)], weight)

    def cumulative(self, mixture: Mixture, j: Tensor) -> Tensor:
        """C(j) of j [..., J], 0 <= j <= 256, int64."""
        z = (16 * j.unsqueeze(-1) - 8 - mixture.mean.unsqueeze(-2)) * mixture.inverse.unsqueeze(-2)
        i = (z + (STEPS // 2 << 11)).clamp(0, (STEPS << 11) - 1)
        low, high = self.arrays["sigmoid"][i >> 11], self.arrays["sigmoid"][(i >> 11) + 1]
        values = low + ((high - low) * (i & 2047) >> 11)
        inner = j + ((mixture.weight.unsqueeze(-2) * values).sum(-1) >> 15)
        return torch.where(j == 0, 0, torch.where(j == 256, 1 << BITS, inner))

    # --- encoding: all at once ------------------------------------------------------------------------

    def intervals(
        self, images: NDArray[np.uint8], conditions: NDArray[np.uint8] | None = None
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Where the slots of every sample begin and end: uint8 [N, H, W, 3] -> int64 of the same shape.

        conditions: of the places, uint8 [N, H, columns, conditions]; None if there are none.
        """
        number, height, width, _ = images.shape
        conditions = self._said(images.shape[:3], conditions)
        both = np.empty((2, *images.shape), np.int64)
        size = max(1, min(height, PIXELS // max(1, width)))
        some = max(1, PIXELS // max(1, size * width))
        for first in range(0, number, some):
            samples = self.whole(images[first : first + some])
            places = self.empty(*samples.shape[:3])
            self.inside(places)[:, :, :width] = _there(samples)
            said = self.whole(conditions[first : first + some])
            for top in range(0, height, size):
                rows = slice(top, min(top + size, height))
                both[:, first : first + some, rows] = self._strip(places, said, rows)[..., :width, :]
        return both[0], both[1]

    def _said(self, shape: tuple[int, ...], conditions: NDArray[np.uint8] | None) -> NDArray[np.uint8]:
        """Conditions of images of `shape` [N, H, W], [N, H, columns, conditions]."""
        places = (*shape[:2], self.columns(shape[2]))
        if conditions is None:
            conditions = np.empty((*places, 0), np.uint8)
        if conditions.shape != (*places, self.shape.conditions):
            raise ValueError(f"conditions must have shape {[*places, self.shape.conditions]}")
        return conditions

    def _strip(self, places: Tensor, said: Tensor, rows: slice) -> NDArray[np.int64]:
        """Begin and end of the samples of some rows of `places` [n, ...], also of pixels that are outside.

        Returns:
            int64 [2, n, rows, columns · pixels of a place, 3].
        """
        # Every block sees a row farther up. The first of these rows are wrong, and none of those wanted.
        above = min(rows.start, self.shape.blocks) if self.shape.spatial else 0
        radius, reach = self.shape.radius, self.shape.reach
        top, height, columns = rows.start - above, rows.stop - rows.start + above, said.shape[2]
        window = [places[:, top + radius + y :, reach + x :][:, :height, :columns] for y, x in self.offsets]
        seen = torch.cat([*window, said[:, top : rows.stop]], -1)

        def neighbours(block: int, u: Tensor) -> Tensor:
            del block
            if not self.shape.spatial:
                return u
            padded = torch.nn.functional.pad(u, (0, 0, 1, 1, 1, 0))
            return torch.cat([padded[:, 1 + y :, 1 + x :][:, :height, :columns] for y, x in AROUND], -1)

        own, linear = (part[:, above:] for part in self.look(seen, neighbours))
        pixels = self.inside(places)[:, rows, :, :COLOURS]
        samples = pixels.reshape(linear.shape)
        sides = []
        for sample in range(self.shape.samples):
            mixture = self.mixture(sample, own[..., sample, :], linear, samples[..., :sample])
            value = samples[..., sample : sample + 1]
            sides.append(self.cumulative(mixture, torch.cat([value, value + 1], -1)))
        both = torch.stack(sides, -1).movedim(-2, 0).reshape(2, *pixels.shape)
        return np.asarray(both.cpu().numpy(), np.int64)

    def walk(self, shape: tuple[int, int, int], conditions: NDArray[np.uint8] | None = None) -> Walk:
        """A decoder's way through images of `shape` [N, H, W]; conditions as `intervals` has them."""
        return Walk(self, shape, self.whole(self._said(shape, conditions)))

    def columns(self, width: int) -> int:
        """Places of a row of pixels; the last one may have pixels that are outside."""
        return -(-width // self.pixels)

    def inside(self, places: Tensor) -> Tensor:
        """A view of the pixels of the places that are not padding, [N, H, columns · pixels of a place, 4]."""
        reach = self.shape.reach
        own = places[:, self.shape.radius :, reach : places.shape[2] - reach]
        return own.view(*own.shape[:2], own.shape[2] * self.pixels, 4)

    def empty(self, number: int, height: int, width: int) -> Tensor:
        """Nothing but what is outside, int64 [N, H + r, columns + 2 reach, 4 · pixels of a place]."""
        outside = self.whole(np.array([128, 128, 128, 0] * self.pixels))
        columns = self.columns(width) + 2 * self.shape.reach
        return outside.repeat(number, height + self.shape.radius, columns, 1)


class Walk:
    """Places decoded step after step.

    `look` goes to those of a step, `rows` asks for the samples of one pixel of them, `take` is told each.
    """

    def __init__(self, network: Network, shape: tuple[int, int, int], said: Tensor) -> None:
        self.network, self.said, (number, height, self.width) = network, said, shape
        self.places = network.empty(*shape)
        self.pixels = network.inside(self.places)
        seen = network.shape.blocks, number, height + 1, said.shape[2] + 2, network.shape.width
        self.streams = torch.zeros(seen, dtype=torch.int64, device=network.device)

    def look(self, places: Places) -> None:
        """Ask the network for the places of one step; columns count places."""
        network, radius, reach = self.network, self.network.shape.radius, self.network.shape.reach
        image, row, column = self.at = tuple(map(network.whole, places))

        def neighbours(block: int, u: Tensor) -> Tensor:
            if not network.shape.spatial:
                return u
            stream = self.streams[block]
            stream[image, row + 1, column + 1] = u
            return torch.cat([stream[image, row + 1 + y, column + 1 + x] for y, x in AROUND], -1)

        window = [self.places[image, row + radius + y, column + reach + x] for y, x in network.offsets]
        seen = torch.cat([*window, self.said[image, row, column]], -1)
        self.own, self.linear = network.look(seen, neighbours)
        self.samples = torch.zeros_like(self.linear)

    def rows(
        self, pixel: int, which: NDArray[np.int64]
    ) -> Iterator[tuple[NDArray[np.uint16], NDArray[np.int64]]]:
        """C(0) ... C(255) and the mean of one pixel of some of the places, colour after colour.

        Args:
            pixel: number of the pixel in its place; those before it are decoded.
            which: the places that have it, ascending, among those of the step.

        Yields:
            uint16 [places, 256]; grey levels, rounded down, int64 [places].
        """
        network, these, first = self.network, self.network.whole(which), COLOURS * pixel
        own, linear, samples = (part[these] for part in (self.own, self.linear, self.samples))
        every = torch.arange(256, device=network.device).expand(len(which), 256)
        for sample in range(first, first + COLOURS):
            mixture = network.mixture(sample, own[:, sample], linear, samples[:, :sample])
            mean = (((mixture.mean + 2048) * mixture.weight).sum(-1) >> 19) - 128
            yield network.cumulative(mixture, every).cpu().numpy().astype(np.uint16), mean.cpu().numpy()
            samples[:, sample] = self.taken
        self.samples[these] = samples
        image, row, column = (part[these] for part in self.at)
        self.pixels[image, row, column * network.pixels + pixel] = _there(samples[:, first : first + COLOURS])

    def take(self, samples: NDArray[np.uint16]) -> None:
        """The samples of the rows last asked for, [places]."""
        self.taken = self.network.whole(samples)

    @property
    def images(self) -> NDArray[np.uint8]:
        """What is decoded, uint8 [N, H, W, 3]."""
        inside = self.pixels[:, :, : self.width, :COLOURS]
        return np.ascontiguousarray(inside.cpu().numpy().astype(np.uint8))


def _there(samples: Tensor) -> Tensor:
    """Pixels [..., 3] with the fourth number of those that are there, 64."""
    return torch.nn.functional.pad(samples, (0, 1), value=64)


def _shifted(x: Tensor, shift: Tensor | int) -> Tensor:
    """R(x, shift) of int64."""
    half = (1 << shift) >> 1 if isinstance(shift, int) else torch.ones_like(shift) << shift >> 1
    return (x + half) >> shift


def _byte(x: Tensor, shift: Tensor) -> Tensor:
    """B(x, shift)."""
    return _shifted(x, shift).clamp(0, 255)
