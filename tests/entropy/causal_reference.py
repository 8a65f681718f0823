"""The rule of entropy_c.h, "Causal networks", in NumPy's 64-bit integers, place after place."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import Any

import numpy as np

from fsar_lab import entropy

Arrays = dict[str, Any]


def shifted(x: Any, n: Any) -> Any:
    """R(x, n): numbers are far from 63 bits."""
    return (np.asarray(x, np.int64) + ((1 << np.asarray(n, np.int64)) >> 1)) >> np.asarray(n, np.int64)


def byte(x: Any, n: Any) -> Any:
    """B(x, n)."""
    return np.clip(shifted(x, n), 0, 255)


def random_shape(rng: np.random.Generator, pair: bool | None = None) -> entropy.CausalShape:
    """A small network; of pairs or not by chance unless `pair` says."""
    fours = [4, 8, 12, 20]
    shape = entropy.CausalShape(
        radius=int(rng.integers(1, 4)),
        width=int(rng.choice(fours)),
        blocks=int(rng.integers(0, 3)),
        inner=int(rng.choice(fours)),
        spatial=bool(rng.integers(2)),
        hidden=int(rng.choice(fours[:3])),
        mixtures=int(rng.integers(1, 7)),
        conditions=int(rng.choice([0, 0, 4, 12])),
    )
    drawn = bool(rng.integers(2))
    return replace(shape, conditions=0, pair=True) if (drawn if pair is None else pair) else shape


def random_arrays(rng: np.random.Generator, shape: entropy.CausalShape) -> Arrays:
    """Numbers with which most activations are neither 0 nor 255 and most means are within the range."""
    z = (np.arange(entropy.causal.STEPS + 1) - entropy.causal.STEPS / 2) / 32
    arrays: Arrays = {
        "inverse": np.maximum(1, 49000 * 0.94 ** np.arange(entropy.causal.SCALES)).astype(np.int32),
        "sigmoid": np.rint(65280 / (1 + np.exp(-z))).astype(np.uint16),
        "exponentials": np.rint(32768 * np.exp(-np.arange(entropy.causal.EXPONENTIALS) / 64)).astype(
            np.uint16
        ),
    }
    ranges = {
        "weights": (-30, 31),
        "bias": (-3000, 9000),
        "shift": (3, 7),
        "stream_shift": (0, 5),
        "own_shift": (0, 5),
        "first": (-2000, 2600),
        "colour": (-9000, 9000),
        "couple": (-16000, 16000),
    }
    for name, (dtype, size) in shape.arrays.items():
        if name in ranges:
            arrays[name] = rng.integers(*ranges[name], size).astype(dtype)
    arrays["bias"][: shape.width + shape.samples] <<= 6
    arrays["shift"][: shape.width + shape.samples] += 5
    return arrays


class Reference:
    """One network; `cumulative` is what a decoder needs of one sample."""

    def __init__(self, shape: entropy.CausalShape, arrays: Arrays) -> None:
        self.shape, self.arrays = shape, {name: a.astype(np.int64) for name, a in arrays.items()}
        self.pixels = 2 if shape.pair else 1  # of a place
        self.matrices, at, row = {}, 0, 0
        every = np.concatenate([self.arrays["first"].ravel(), self.arrays["weights"]])
        for name, rows, columns in shape.matrices:
            weights = every[at : at + rows * columns].reshape(rows, columns)
            at, stop = at + rows * columns, row + rows
            self.matrices[name] = (weights, self.arrays["bias"][row:stop], self.arrays["shift"][row:stop])
            row = stop

    def result(self, name: str, inputs: Any) -> tuple[Any, Any]:
        """Sums of a matrix with its bias, and their shifts."""
        weights, bias, shift = self.matrices[name]
        return weights @ inputs + bias, shift

    def own(self, image: Any, conditions: Any = None) -> tuple[Any, Any]:
        """`own` [H, places, samples, hidden] and the linear predictions [H, places, samples] of one image,
        uint8 [H, W, 3], with conditions uint8 [H, places, conditions]."""
        shape, a = self.shape, self.arrays
        height, width = len(image), -(-image.shape[1] // self.pixels)
        said = np.zeros((height, width, 0), np.int64) if conditions is None else conditions.astype(np.int64)
        r, rho = shape.radius, shape.reach
        outside = np.array([128, 128, 128, 0] * self.pixels, np.int64)
        places = np.tile(outside, (height + r, width + 2 * rho, 1))
        for y, x in np.ndindex(image.shape[:2]):
            at = 4 * (x % self.pixels)
            places[y + r, x // self.pixels + rho, at : at + 4] = [*image[y, x], 64]
        offsets = [(y, x) for y in range(-r, 1) for x in range(-rho, rho + 1) if (y, x) < (0, 0)]
        blocks = [(-1, -1), (-1, 0), (-1, 1), (0, -1), (0, 0)] if shape.spatial else [(0, 0)]
        streams = np.zeros((shape.blocks, height + 1, width + 2, shape.width), np.int64)
        own = np.zeros((height, width, shape.samples, shape.hidden), np.int64)
        linear = np.zeros((height, width, shape.samples), np.int64)
        for y in range(height):
            for x in range(width):
                window = np.stack([places[y + r + dy, x + rho + dx] for dy, dx in offsets])
                all_first = shifted(*self.result("first", np.concatenate([window.ravel(), said[y, x]])))
                h = all_first[: shape.width]
                linear[y, x] = np.clip(all_first[shape.width :], -2048, 6143)
                for b in range(shape.blocks):
                    streams[b, y + 1, x + 1] = byte(h, a["stream_shift"][b])
                    seen = [streams[b, y + 1 + dy, x + 1 + dx] for dy, dx in blocks]
                    v = byte(*self.result(f"inner.{b}", np.concatenate(seen)))
                    h = h + shifted(*self.result(f"outer.{b}", v))
                neck = shifted(*self.result("neck", byte(h, a["stream_shift"][shape.blocks])))
                own[y, x] = neck.reshape(shape.samples, shape.hidden)
        return own, linear

    def cumulative(self, sample: int, own: Any, linear: Any, before: list[int]) -> list[int]:
        """C(0) .. C(256) of one sample of a place with own [samples, hidden] and linear [samples]."""
        a, k = self.arrays, self.shape.mixtures
        errors = [16 * x - int(linear[b]) for b, x in enumerate(before)]
        near = [min(max(e, -2048), 2047) for e in errors]
        shove = sum(
            (a["colour"][sample, :, b] * e for b, e in enumerate(near)), np.zeros(self.shape.hidden, np.int64)
        )
        hidden = byte(own[sample] + shifted(shove, 12), a["own_shift"][sample])
        out = shifted(*self.result(f"head.{sample}", hidden))
        pull = sum(int(a["couple"][sample, b]) * e for b, e in enumerate(errors))
        mean = np.clip(linear[sample] + shifted(pull, 14) + out[k : 2 * k], -2048, 6143)
        below = np.minimum(out[:k].max() - out[:k], entropy.causal.EXPONENTIALS - 1)
        t = a["exponentials"][below]
        w = (t * ((1 << 30) // (128 * (int(t.sum()) >> 7) + 128))) >> 15
        w[0] = 32768 - w[1:].sum()
        inverse = a["inverse"][np.clip(out[2 * k :], 0, entropy.causal.SCALES - 1)]
        j = np.arange(1, 256)[:, None]
        i = np.clip((16 * j - 8 - mean) * inverse + 384 * 2048, 0, 768 * 2048 - 1)
        low, high = a["sigmoid"][i >> 11], a["sigmoid"][(i >> 11) + 1]
        value = low + (((high - low) * (i & 2047)) >> 11)
        inner = j[:, 0] + ((w * value).sum(1) >> 15)
        return [0, *map(int, inner), 65536]

    def intervals(self, image: Any, conditions: Any = None) -> list[tuple[int, int]]:
        """Start and count of every sample, in the order of decoding."""
        own, linear = self.own(image, conditions)
        pairs = []
        for y, x in np.ndindex(own.shape[:2]):
            # Where a pair's right pixel is outside the image, these are three samples.
            place = image[y, self.pixels * x : self.pixels * (x + 1)].ravel().tolist()
            for c, value in enumerate(place):
                table = self.cumulative(c, own[y, x], linear[y, x], place[:c])
                assert all(b > a for a, b in itertools.pairwise(table))
                pairs.append((table[value], table[value + 1] - table[value]))
        return pairs
