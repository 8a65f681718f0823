"""Causal networks in PyTorch: docs/FORMAT-entropy.md, section 11, with the bits of the entropy coder's own.

Matrix products are of float64: sums stay below 2^30, so that they are exact in any order, on any device and
with any number of threads. All else is int64. Encoding sees all pixels at once; decoding goes pixel after
pixel, all images in step, and hands the entropy coder every distribution as a row.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from fsar_lab import entropy
from fsar_lab.codec.causal_net import CausalNetTables
from fsar_lab.codec.parts import Parameters
from fsar_lab.entropy.causal import COLOURS, EXPONENTIALS, SCALES, STEPS

BITS = 16
PIXELS = 1 << 14  # that are encoded at a time, at most (but one image): bounds the memory
LOWEST, HIGHEST = -2048, 6143  # means, in 1/16 grey levels
AROUND = ((-1, -1), (-1, 0), (-1, 1), (0, -1), (0, 0))  # what a spatial block sees: row, column
# Block and its bytes [..., width] -> the bytes of all places that it sees [..., taps * width].
Neighbours = Callable[[int, Tensor], Tensor]


class CausalNetCoder:
    """Pushes and pops pixels. Raises NetworkError for a network that breaks the rules."""

    def __init__(self, part: CausalNetTables, device: str) -> None:
        part.check(None)
        self.network = Network(part, device)

    @property
    def expanded_nbytes(self) -> int:
        """Bytes of tables as they are held for coding."""
        return self.network.nbytes

    def push(
        self, encoder: entropy.Encoder, images: NDArray[np.uint8], parameters: Parameters | None
    ) -> None:
        """Code uint8 [N, H, W, 3]."""
        assert parameters is None
        number, height, width, _ = images.shape
        if height * width == 0:
            return
        size = max(1, PIXELS // (height * width))
        parts = [self.network.intervals(images[i : i + size]) for i in range(0, number, size)]
        starts, ends = (np.concatenate(side) for side in zip(*parts, strict=True))
        # An interval as the middle one of three symbols, or the last: 2^16, where that ends, is no uint16.
        last = ends == 1 << BITS
        rows = np.stack([np.zeros_like(starts), np.where(last, 0, starts), np.where(last, starts, ends)], 2)
        rows, values = rows.astype(np.uint16), np.where(last, 2, 1).astype(np.uint16)
        for position in reversed(range(COLOURS * height * width)):
            row, value = rows[:, position], values[:, position]
            encoder.push_rows(np.ascontiguousarray(row), BITS, np.ascontiguousarray(value))

    def pop(
        self, decoder: entropy.Decoder, parameters: Parameters | None, shape: tuple[int, int, int]
    ) -> NDArray[np.uint8]:
        """Decode uint8 [N, H, W, 3]."""
        assert parameters is None
        return self.network.walk(shape, lambda rows: decoder.pop_rows(rows, BITS))


@dataclass
class Mixture:
    """Distributions of one colour: means, inverse scales and weights, int64 [..., M]."""

    mean: Tensor
    inverse: Tensor
    weight: Tensor


class Network:
    """The rule itself; `intervals` and `walk` are its two roads."""

    def __init__(self, part: CausalNetTables, device: str) -> None:
        self.shape, self.device = part.shape, torch.device(device)
        arrays = {name: self._whole(part.arrays[name]) for name in part.shape.arrays}
        self.arrays = arrays
        self.offsets = [
            (y, x)
            for y in range(-self.shape.radius, 1)
            for x in range(-self.shape.radius, self.shape.radius + 1)
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

    def _whole(self, array: NDArray[Any]) -> Tensor:
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

    def _look(self, window: Tensor, neighbours: Neighbours) -> tuple[Tensor, Tensor]:
        """Windows [..., 4 · places] -> `own` [..., 3, hidden] and `l` [..., 3]."""
        width, blocks = self.shape.width, self.shape.blocks
        first = self._apply("first", window)
        h, linear = first[..., :width], first[..., width:].clamp(LOWEST, HIGHEST)
        for block in range(blocks):
            u = _byte(h, self.arrays["stream_shift"][block])
            v = self._apply(f"inner.{block}", neighbours(block, u)).clamp(0, 255)
            h = h + self._apply(f"outer.{block}", v)
        own = self._apply("neck", _byte(h, self.arrays["stream_shift"][blocks]))
        return own.reshape(*own.shape[:-1], COLOURS, self.shape.hidden), linear

    def _mixture(self, colour: int, own: Tensor, linear: Tensor, before: Tensor) -> Mixture:
        """Of `own` [..., hidden] of a colour, `l` [..., 3] and the samples before it, int64 [..., colour]."""
        arrays, size = self.arrays, self.shape.mixtures
        errors = 16 * before - linear[..., :colour]
        near = errors.clamp(-2048, 2047).unsqueeze(-2)
        shove = (arrays["colour"][colour, :, :colour] * near).sum(-1)
        hidden = _byte(own + _shifted(shove, 12), arrays["own_shift"][colour])
        out = self._apply(f"head.{colour}", hidden)
        logits, offsets, scales = out[..., :size], out[..., size : 2 * size], out[..., 2 * size :]
        pull = _shifted((arrays["couple"][colour, :colour] * errors).sum(-1, keepdim=True), 14)
        mean = (linear[..., colour : colour + 1] + pull + offsets).clamp(LOWEST, HIGHEST)
        below = (logits.amax(-1, keepdim=True) - logits).clamp(max=EXPONENTIALS - 1)
        exponentials = arrays["exponentials"][below]
        total = exponentials.sum(-1, keepdim=True)
        reciprocal = torch.div(1 << 30, 128 * (total >> 7) + 128, rounding_mode="floor")
        others = (exponentials[..., 1:] * reciprocal) >> 15
        weight = torch.cat([(1 << 15) - others.sum(-1, keepdim=True), others], -1)
        return Mixture(mean, arrays["inverse"][scales.clamp(0, SCALES - 1)], weight)

    def _cumulative(self, mixture: Mixture, j: Tensor) -> Tensor:
        """C(j) of j [..., J], 0 <= j <= 256, int64."""
        z = (16 * j.unsqueeze(-1) - 8 - mixture.mean.unsqueeze(-2)) * mixture.inverse.unsqueeze(-2)
        i = (z + (STEPS // 2 << 11)).clamp(0, (STEPS << 11) - 1)
        low, high = self.arrays["sigmoid"][i >> 11], self.arrays["sigmoid"][(i >> 11) + 1]
        values = low + ((high - low) * (i & 2047) >> 11)
        inner = j + ((mixture.weight.unsqueeze(-2) * values).sum(-1) >> 15)
        return torch.where(j == 0, 0, torch.where(j == 256, 1 << BITS, inner))

    # --- encoding: all at once ------------------------------------------------------------------------

    @torch.inference_mode()
    def intervals(self, images: NDArray[np.uint8]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """uint8 [N, H, W, 3] -> where the slots of every sample begin and end, [N, 3 · H · W] each."""
        number, height, width, _ = images.shape
        radius, samples = self.shape.radius, self._whole(images)
        pixels = self._empty(number, height, width)
        pixels[:, radius:, radius : radius + width] = _inside(samples)
        window = torch.cat(
            [pixels[:, radius + y :, radius + x :][:, :height, :width] for y, x in self.offsets], -1
        )

        def neighbours(block: int, u: Tensor) -> Tensor:
            del block
            if not self.shape.spatial:
                return u
            padded = torch.nn.functional.pad(u, (0, 0, 1, 1, 1, 0))
            return torch.cat([padded[:, 1 + y :, 1 + x :][:, :height, :width] for y, x in AROUND], -1)

        own, linear = self._look(window, neighbours)
        sides = []
        for colour in range(COLOURS):
            mixture = self._mixture(colour, own[..., colour, :], linear, samples[..., :colour])
            sample = samples[..., colour : colour + 1]
            sides.append(self._cumulative(mixture, torch.cat([sample, sample + 1], -1)))
        both = torch.stack(sides, -2).flatten(1, -2).cpu().numpy()
        return both[..., 0], both[..., 1]

    # --- decoding: pixel after pixel ------------------------------------------------------------------

    @torch.inference_mode()
    def walk(
        self, shape: tuple[int, int, int], decode: Callable[[NDArray[np.uint16]], NDArray[np.uint16]]
    ) -> NDArray[np.uint8]:
        """All images of `shape` [N, H, W] in step; `decode` has the rows of a sample, [N, 256], decoded."""
        number, height, width = shape
        radius, spatial = self.shape.radius, self.shape.spatial
        pixels = self._empty(number, height, width)
        seen = self.shape.blocks, number, height + 1, width + 2, self.shape.width
        streams = torch.zeros(seen, dtype=torch.int64, device=self.device)
        every = torch.arange(256, device=self.device).expand(number, 256)
        for y in range(height):
            for x in range(width):

                def neighbours(block: int, u: Tensor, y: int = y + 1, x: int = x + 1) -> Tensor:
                    if not spatial:
                        return u
                    streams[block, :, y, x] = u
                    return torch.cat([streams[block, :, y + dy, x + dx] for dy, dx in AROUND], -1)

                window = torch.cat(
                    [pixels[:, y + radius + dy, x + radius + dx] for dy, dx in self.offsets], -1
                )
                own, linear = self._look(window, neighbours)
                samples = torch.zeros((number, 0), dtype=torch.int64, device=self.device)
                for colour in range(COLOURS):
                    mixture = self._mixture(colour, own[:, colour], linear, samples)
                    rows = self._cumulative(mixture, every).cpu().numpy().astype(np.uint16)
                    sample = self._whole(decode(rows))
                    samples = torch.cat([samples, sample.unsqueeze(-1)], -1)
                pixels[:, y + radius, x + radius] = _inside(samples)
        inside = pixels[:, radius:, radius : radius + width, :COLOURS]
        return np.ascontiguousarray(inside.cpu().numpy().astype(np.uint8))

    def _empty(self, number: int, height: int, width: int) -> Tensor:
        """Nothing but what is outside, int64 [N, H + r, W + 2 r, 4]."""
        radius = self.shape.radius
        outside = self._whole(np.array([128, 128, 128, 0]))
        return outside.repeat(number, height + radius, width + 2 * radius, 1)


def _inside(samples: Tensor) -> Tensor:
    """Pixels [..., 3] with the fourth number of those that are there, 64."""
    return torch.nn.functional.pad(samples, (0, 1), value=64)


def _shifted(x: Tensor, shift: Tensor | int) -> Tensor:
    """R(x, shift) of int64."""
    half = (1 << shift) >> 1 if isinstance(shift, int) else torch.ones_like(shift) << shift >> 1
    return (x + half) >> shift


def _byte(x: Tensor, shift: Tensor) -> Tensor:
    """B(x, shift)."""
    return _shifted(x, shift).clamp(0, 255)
