"""Integer networks by their definition, in NumPy int64, and random ones at the edge of what is allowed."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fsar_lab.codec.integer_network import (
    EXACT,
    CodeSearch,
    CodeTable,
    IntegerNetwork,
    Layer,
    half,
    magnitude,
)

Array = NDArray[np.int64]
GEOMETRIES = {"conv1": ("conv", 1, 1, 0), "conv3": ("conv", 3, 1, 1), "down": ("conv", 4, 2, 1),
              "up": ("transposed", 4, 2, 1), "shuffle1": ("shuffle", 1, 1, 0),
              "shuffle3": ("shuffle", 3, 1, 1)}  # fmt: skip


def convolve(layer: Layer, x: Array) -> Array:
    """Sums of products, [N, H, W, in] -> [N, H', W', out]: one product for every tap."""
    n, h, w, _ = x.shape
    outputs, _, size, _ = layer.weight.shape
    weight, p, s = layer.weight.astype(np.int64), layer.padding, layer.stride
    if layer.kind == "transposed":
        acc = np.zeros((n, 2 * h + 2, 2 * w + 2, outputs), np.int64)
        for a in range(4):
            for b in range(4):
                acc[:, a : a + 2 * h : 2, b : b + 2 * w : 2] += x @ weight[:, :, a, b].T
        return acc[:, 1:-1, 1:-1]
    padded = np.pad(x, ((0, 0), (p, p), (p, p), (0, 0)))
    rows, columns = (h + 2 * p - size) // s + 1, (w + 2 * p - size) // s + 1
    acc = np.zeros((n, rows, columns, outputs), np.int64)
    for a in range(size):
        for b in range(size):
            acc += padded[:, a : a + s * rows : s, b : b + s * columns : s][:, :rows, :columns] @ (
                weight[:, :, a, b].T
            )
    return acc


def run(network: IntegerNetwork, x: NDArray[Any]) -> Array:
    """[N, H, W, C] -> the last layer's [N, H', W', C']."""
    activations = [x.astype(np.int64)]
    for layer in network.layers:
        acc = convolve(layer, activations[-1]) + layer.bias
        if layer.skip is not None:
            acc = acc + layer.skip_multiplier.astype(np.int64) * activations[layer.skip]
        y = np.clip((acc + half(layer.shift)) >> layer.shift.astype(np.int64), layer.low, layer.high)
        if layer.kind == "shuffle":
            large = np.empty((len(y), 2 * y.shape[1], 2 * y.shape[2], y.shape[3] // 4), np.int64)
            for phase in range(4):
                large[:, phase // 2 :: 2, phase % 2 :: 2] = y[..., phase::4]
            y = large
        activations.append(y)
    return activations[-1]


def search(search: CodeSearch, y: Array) -> NDArray[np.uint16]:
    """[N, h, w, G * D] -> [N, G, h, w]."""
    groups, _, dim = search.weight.shape
    parts = [
        (y[..., g * dim : (g + 1) * dim] @ search.weight[g].astype(np.int64).T + search.bias[g]).argmax(-1)
        for g in range(groups)
    ]
    return np.stack(parts, 1).astype(np.uint16)


def look_up(table: CodeTable, indices: NDArray[np.uint16]) -> Array:
    """[N, G, h, w] -> [N, h, w, C]."""
    total = sum(table.values[g].astype(np.int64)[indices[:, g]] for g in range(len(table.values)))
    return np.clip(total, table.low, table.high)


def bounds(rng: np.random.Generator, channels: int, limit: int) -> tuple[NDArray[Any], NDArray[Any]]:
    """Clamp bounds of which one reaches the limit."""
    low = -rng.integers(0, limit + 1, channels)
    high = rng.integers(0, limit + 1, channels)
    high[rng.random(channels) < 0.5] = limit
    return low.astype(np.int16), high.astype(np.int16)


def random_layer(
    rng: np.random.Generator,
    geometry: str,
    reach: Array,
    outputs: int,
    skip: int | None = None,
    skip_reach: Array | None = None,
    limit: int = 2000,
    largest: int = 511,
) -> Layer:
    """A layer one of whose outputs has sums that reach 2^24 - 1 exactly; some weights are as large as int16.

    Args:
        rng: random numbers.
        geometry: one of GEOMETRIES.
        reach: magnitudes of the input's channels.
        outputs: channels.
        skip, skip_reach: activation that is added, and its magnitudes.
        limit: of the output.
        largest: usual size of a weight.
    """
    kind, size, stride, padding = GEOMETRIES[geometry]
    weight = rng.integers(-largest, largest + 1, (outputs, len(reach), size, size))
    weight[rng.random(weight.shape) < 0.2] = 0
    if rng.random() < 0.5:
        weight[0, 0, 0, 0] = -32768
    room = EXACT // 2
    sums = np.abs(weight).sum((2, 3)) @ reach
    for o in np.flatnonzero(sums > room):  # shrink what is too large, towards zero
        weight[o] = np.sign(weight[o]) * (np.abs(weight[o]) * room // sums[o])
    sums = np.abs(weight).sum((2, 3)) @ reach
    shift = rng.integers(0, 24, outputs).astype(np.uint8) if rng.random() < 0.5 else (
        rng.integers(0, 12, outputs).astype(np.uint8)
    )  # fmt: skip
    multiplier = np.zeros(outputs, np.int32)
    used = sums + half(shift)
    if skip_reach is not None:
        multiplier = rng.integers(-(EXACT // 4), EXACT // 4, outputs) // np.maximum(skip_reach, 1)
        used = used + np.abs(multiplier) * skip_reach
    left = EXACT - 1 - used
    bias = np.array([rng.integers(-(x // 64) - 1, x // 64 + 1) if x > 0 else 0 for x in left])
    bias[-1] = max(0, left[-1]) * rng.choice([-1, 1])
    low, high = bounds(rng, outputs, limit)
    return Layer("made", kind, weight.astype(np.int16), bias.astype(np.int32), shift, low, high, stride,
                 padding, skip, multiplier.astype(np.int32))  # fmt: skip


def random_network(
    rng: np.random.Generator,
    channels: int,
    plan: list[tuple[str, int, int | None]],
    limits: tuple[int, ...] = (32767, 4095, 255),
    source: tuple[NDArray[np.int16], NDArray[np.int16]] | None = None,
) -> IntegerNetwork:
    """A network of (geometry, outputs, skip) layers; `source` are given bounds of its input."""
    low, high = source or bounds(rng, channels, int(rng.choice(limits)))
    reaches = [magnitude(low, high)]
    layers: list[Layer] = []
    for geometry, outputs, skip in plan:
        added = None if skip is None else reaches[skip]
        limit = int(rng.choice(limits))
        layers.append(
            random_layer(
                rng, geometry, reaches[-1], outputs, skip, added, limit, int(rng.choice([9, 511, 9000]))
            )
        )
        reaches.append(magnitude(*IntegerNetwork(low, high, tuple(layers)).activation_bounds(len(layers))))
    return IntegerNetwork(low, high, tuple(layers))


def random_input(
    rng: np.random.Generator, network: IntegerNetwork, shape: tuple[int, int, int]
) -> NDArray[np.int16]:
    """Activations within the bounds, many of them at the bounds. shape: N, H, W."""
    low, high = network.low.astype(np.int64), network.high.astype(np.int64)
    x = rng.integers(low, high + 1, (*shape, len(low)))
    edge = rng.random(x.shape)
    x = np.where(edge < 0.2, low, np.where(edge > 0.8, high, x))
    return x.astype(np.int16)
