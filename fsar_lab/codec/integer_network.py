"""Networks whose every operation is exact integer arithmetic, and the proof that float32 carries them.

One layer computes, for output channel o (docs/ARCHITECTURE.md, section 5):

    acc_o = bias_o + sum_{i,dy,dx} weight_{o,i,dy,dx} * a_{i,y+dy,x+dx} + skip_multiplier_o * s_o
    out_o = clamp((acc_o + half_o) >> shift_o, low_o, high_o),     half_o = 2^(shift_o - 1), 0 if shift_o = 0

with an arithmetic shift, i.e. rounding half up. The scales of weights and activations are chosen at
export so that requantisation is a shift per channel: no multiplier is needed, and every number on
the way stays below 2^24, hence is exact in float32 as well as in int32. Padding is with zeros.

This module is plain NumPy data and checks; `engine_torch` runs the networks, `quantise` makes them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fsar_lab.errors import CodingError

EXACT = 1 << 24  # integers below this, and their sums below this, are exact in float32
MAX_ACTIVATION = (1 << 15) - 1  # activations fit int16
MAX_SHIFT = 23
KINDS = ("conv", "transposed", "shuffle")
ENLARGING = ("transposed", "shuffle")  # kinds whose output is twice as high and wide

Array = NDArray[np.int64]


class NetworkError(CodingError):
    """An integer network is inconsistent or its sums are not proven exact."""


@dataclass(frozen=True)
class Layer:
    """One convolution (or transposed convolution) with its requantisation.

    A "shuffle" layer is a convolution to 4 C channels, clamped, of which channel 4 c + 2 p + q becomes pixel
    (2 y + p, 2 x + q) of channel c, as in torch.nn.PixelShuffle. It has no skip.

    Attributes:
        name: as error messages call it.
        kind: "conv", "transposed" (4x4, stride 2, padding 1 only) or "shuffle" (1x1 or 3x3, stride 1).
        weight: int16 [out, in, k, k]; out[Y] takes weight[k] * a[Y * stride - padding + k] for "conv",
            out[y * stride - padding + k] receives weight[k] * a[y] for "transposed".
        bias: int32 [out], without the rounding half.
        shift: uint8 [out], 0..23.
        low, high: int16 [out], clamp bounds of the output.
        stride, padding: equal for rows and columns.
        skip: number of the activation that is added (0 = the network's input, i = output of layer
            i - 1), or None.
        skip_multiplier: int32 [out]; zeros without a skip.
    """

    name: str
    kind: str
    weight: NDArray[np.int16]
    bias: NDArray[np.int32]
    shift: NDArray[np.uint8]
    low: NDArray[np.int16]
    high: NDArray[np.int16]
    stride: int
    padding: int
    skip: int | None
    skip_multiplier: NDArray[np.int32]


@dataclass(frozen=True)
class IntegerNetwork:
    """A chain of layers with skips. `low` and `high` (int16 [in]) bound the input activations."""

    low: NDArray[np.int16]
    high: NDArray[np.int16]
    layers: tuple[Layer, ...]

    def activation_bounds(self, number: int) -> tuple[NDArray[np.int16], NDArray[np.int16]]:
        """Bounds of activation `number` (0 = input, i = output of layer i - 1)."""
        if number == 0:
            return self.low, self.high
        layer = self.layers[number - 1]
        if layer.kind != "shuffle":
            return layer.low, layer.high
        return layer.low.reshape(-1, 4).min(1), layer.high.reshape(-1, 4).max(1)


@dataclass(frozen=True)
class CodeTable:
    """Codebook look-up and the first 1x1 layer in one: activations = clamp(sum_g values[g, k_g]).

    Attributes:
        values: int16 [G, K, C].
        low, high: int16 [C].
    """

    values: NDArray[np.int16]
    low: NDArray[np.int16]
    high: NDArray[np.int16]


@dataclass(frozen=True)
class CodeSearch:
    """Nearest codeword: k_g = argmax_k (sum_d weight[g, k, d] * y[g * D + d] + bias[g, k]), lowest k on ties.

    weight is 2 E and bias -|E|^2, in one common unit. weight: int16 [G, K, D]; bias: int32 [G, K].
    """

    weight: NDArray[np.int16]
    bias: NDArray[np.int32]


def magnitude(low: NDArray[np.int16], high: NDArray[np.int16]) -> Array:
    """Largest absolute value per channel."""
    return np.maximum(np.abs(low.astype(np.int64)), np.abs(high.astype(np.int64)))


def half(shift: NDArray[np.uint8]) -> Array:
    """What is added before shifting, so that halves round up: int64, 0 where nothing is shifted."""
    return (np.int64(1) << shift.astype(np.int64)) >> 1


def layer_bound(layer: Layer, inputs: Array, skip: Array | None) -> int:
    """No partial sum of the layer, in any order of summation, exceeds this.

    Args:
        layer: whose weights are looked at.
        inputs: magnitude of each input channel.
        skip: magnitude of each channel of the added activation, or None.
    """
    weight = np.abs(layer.weight.astype(np.int64)).sum((2, 3))
    total = weight @ inputs + np.abs(layer.bias.astype(np.int64)) + half(layer.shift)
    if skip is not None:
        total = total + np.abs(layer.skip_multiplier.astype(np.int64)) * skip
    return int(total.max())


def search_bound(search: CodeSearch, y: Array) -> int:
    """No partial sum of the search exceeds this; y: magnitudes [G * D]."""
    groups, _, dim = search.weight.shape
    sums = np.abs(search.weight.astype(np.int64)) * y.reshape(groups, 1, dim)
    return int((sums.sum(2) + np.abs(search.bias.astype(np.int64))).max())


def check_network(network: IntegerNetwork, what: str) -> None:
    """Raise NetworkError, naming the layer, unless shapes fit and every partial sum is below 2^24."""
    _check_bounds(network.low, network.high, len(network.low), f"{what}: input")
    halvings = [0]  # of the sides of every activation so far
    for number, layer in enumerate(network.layers):
        name = f"{what}: layer {layer.name}"
        inputs = magnitude(*network.activation_bounds(number))
        _check_layer(layer, len(inputs), name)
        halved = int(layer.stride == 2)  # _check_layer knows strides of 1 and 2 only
        halvings.append(halvings[-1] + (-1 if layer.kind in ENLARGING else halved))
        skip = None
        if layer.skip is not None:
            if not 0 <= layer.skip <= number:
                raise NetworkError(f"{name} adds an activation that does not exist yet")
            skip = magnitude(*network.activation_bounds(layer.skip))
            if len(skip) != len(layer.bias):
                raise NetworkError(f"{name} adds an activation of another width")
            if halvings[layer.skip] != halvings[number + 1]:
                raise NetworkError(f"{name} adds an activation of another size")
        bound = layer_bound(layer, inputs, skip)
        if bound >= EXACT:
            raise NetworkError(f"{name}: partial sums may reach {bound:,}; only below 2^24 are they exact")


def _check_bounds(low: NDArray[np.int16], high: NDArray[np.int16], channels: int, name: str) -> None:
    if (
        low.shape != (channels,)
        or high.shape != (channels,)
        or low.dtype != np.int16
        or high.dtype != np.int16
    ):
        raise NetworkError(f"{name}: clamp bounds have the wrong shape or type")
    if (low > high).any() or (magnitude(low, high) > MAX_ACTIVATION).any():
        raise NetworkError(f"{name}: clamp bounds are not a range of int16")


def _check_layer(layer: Layer, inputs: int, name: str) -> None:
    """Shapes and types of one layer."""
    if layer.kind not in KINDS or layer.weight.ndim != 4 or layer.weight.dtype != np.int16:
        raise NetworkError(f"{name} is of an unknown kind or its weights have the wrong type")
    outputs, channels, rows, columns = layer.weight.shape
    geometry = (rows, layer.stride, layer.padding)
    known = {
        "conv": [(1, 1, 0), (3, 1, 1), (4, 2, 1)],
        "transposed": [(4, 2, 1)],
        "shuffle": [(1, 1, 0), (3, 1, 1)],
    }[layer.kind]
    if channels != inputs or rows != columns or geometry not in known:
        raise NetworkError(
            f"{name}: weights {layer.weight.shape} with (side, stride, padding) {geometry} do not fit"
        )
    if layer.kind == "shuffle" and (outputs % 4 != 0 or layer.skip is not None):
        raise NetworkError(f"{name}: a shuffled layer needs four outputs for each channel, and no skip")
    vectors = ((layer.bias, np.int32), (layer.shift, np.uint8), (layer.skip_multiplier, np.int32))
    if (
        any(v.shape != (outputs,) or v.dtype != dtype for v, dtype in vectors)
        or (layer.shift > MAX_SHIFT).any()
    ):
        raise NetworkError(f"{name}: bias, shift or skip multiplier have the wrong shape, type or range")
    _check_bounds(layer.low, layer.high, outputs, name)


def check_table(table: CodeTable) -> None:
    """Raise NetworkError unless the look-up has fitting shapes and exact sums."""
    if table.values.ndim != 3 or table.values.dtype != np.int16 or min(table.values.shape) < 1:
        raise NetworkError("code table: wrong shape or type")
    _check_bounds(table.low, table.high, table.values.shape[2], "code table")


def check_search(search: CodeSearch, y: Array) -> None:
    """Raise NetworkError unless the search fits y (magnitudes [G * D]) and its sums are below 2^24."""
    weight, bias = search.weight, search.bias
    if (
        weight.ndim != 3
        or weight.dtype != np.int16
        or bias.dtype != np.int32
        or bias.shape != weight.shape[:2]
    ):
        raise NetworkError("codeword search: wrong shape or type")
    if weight.shape[0] * weight.shape[2] != len(y):
        raise NetworkError(f"codeword search: {weight.shape} does not fit {len(y)} channels of y")
    if search_bound(search, y) >= EXACT:
        raise NetworkError("codeword search: partial sums may reach 2^24, where they are no longer exact")
