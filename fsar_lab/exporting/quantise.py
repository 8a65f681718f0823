"""One float network to one integer network: scales, calibration and the 2^24 proof.

Symbols: activation channel i is s_i * a_i with integer a_i; weights of output channel o are
W * s_i = t_o * w with integer w, so an accumulator of channel o counts units of t_o. The output scale
is s_o = t_o * 2^shift_o: every channel's scale follows its weights', and the next layer's weights
absorb it. Requantisation is then a mere shift, and costs at most one bit of activation precision.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from fsar_lab.codec.integer_network import EXACT, MAX_SHIFT, IntegerNetwork, Layer, half, layer_bound
from fsar_lab.errors import ExportError
from fsar_lab.exporting.fold import FoldedLayer
from fsar_lab.exporting.round_weights import Activation, Float, Weights, round_weights

LEVELS = (
    4095,
    2047,
    1023,
    511,
    255,
    127,
    63,
    31,
    15,
)  # activation levels; the finest that is proven is taken
HEAD_LEVELS = 1023  # of a head's input; its weights get the bits that are left


@dataclass(frozen=True)
class Options:
    """How to quantise.

    Attributes:
        weight_bits: of every layer but a head, which takes what the proof allows.
        margin: clamp bounds are this many times the largest value seen in calibration.
        fill: part of 2^24 that may be planned for when activation levels are chosen; biases are
            corrected later and need the rest.
    """

    weight_bits: int = 10  # what 8 to 12 bits cost: docs/RESULTS.md
    margin: float = 1.1
    fill: float = 0.95


@dataclass(frozen=True)
class Raw:
    """A layer without requantisation and what it gives on the calibration images.

    Attributes:
        layer: shift and bounds are not set.
        unit: of the accumulators, [out].
        real: float accumulators before the ReLU, [N, out, H', W'].
        integer: integer accumulators, bias included.
    """

    layer: Layer
    unit: Float
    real: Tensor
    integer: Tensor


def _channels(values: NDArray[np.generic]) -> Tensor:
    """[C] -> float32 [1, C, 1, 1]."""
    return torch.from_numpy(np.asarray(values, np.float32)).view(1, -1, 1, 1)


def raw_layer(layer: FoldedLayer, weights: Weights, bias: Float, what: str) -> Layer:
    """A layer without its requantisation.

    Raises:
        ExportError: biases beyond the exact range.
    """
    if not np.isfinite(bias).all() or np.abs(bias).max() >= EXACT:
        raise ExportError(f"{what}: layer {layer.name}: a bias lies beyond 2^24; the network is degenerate")
    zeros = np.zeros(len(bias))
    return Layer(
        name=layer.name,
        kind=layer.kind,
        weight=weights.values,
        bias=np.rint(bias).astype(np.int32),
        shift=zeros.astype(np.uint8),
        low=zeros.astype(np.int16),
        high=zeros.astype(np.int16),
        stride=layer.stride,
        padding=layer.padding,
        skip=layer.skip,
        skip_multiplier=weights.skip_multiplier,
    )


def prove(layer: Layer, source: Activation, skip: Activation | None, what: str) -> None:
    """Raise ExportError, naming the layer, unless every partial sum stays below 2^24."""
    bound = layer_bound(layer, source.limit, None if skip is None else skip.limit)
    if bound >= EXACT:
        raise ExportError(
            f"{what}: layer {layer.name}: partial sums may reach {bound:,}, but only below "
            "2^24 = 16,777,216 are they exact; train with weight decay or a narrower backbone"
        )


class Use(Protocol):
    """What a network's output is made into, by sums in its units, before another network takes it."""

    def reach(self, real: Tensor) -> Float:
        """Largest magnitudes on the way, given the output's real values [N, C, H, W]: [C]."""

    def fits(self, scale: Float) -> bool:
        """Whether the other network is proven exact if the output has this scale [C]."""


class Quantiser:
    """Builds one integer network, running it on the calibration images as it grows.

    Args:
        chain: folded float layers.
        options: see Options.
        what: "analysis" or "synthesis", for messages.
        head: the last layer chooses its weights to fit its input and given output units.
    """

    def __init__(self, chain: list[FoldedLayer], options: Options, what: str, head: bool = False) -> None:
        self.chain, self.options, self.what, self.head = chain, options, what, head
        self.layers: list[Layer] = []
        self.activations: list[Activation] = []

    def start(self, activation: Activation) -> None:
        """Set the network's input."""
        self.activations = [activation]

    def network(self) -> IntegerNetwork:
        """What has been built."""
        low, high = self.activations[0].bounds
        return IntegerNetwork(low, high, tuple(self.layers))

    def fits(self, number: int, scale: Float, limit: NDArray[np.int64], power: Float) -> bool:
        """Whether layer `number` is proven exact if its input has these scales and limits."""
        if self.head and number + 1 == len(self.chain):
            return int(limit.max()) <= HEAD_LEVELS
        layer = self.chain[number]
        skip = None if layer.skip is None else self.activations[layer.skip]
        weights = round_weights(layer, scale, power, skip, self.options.weight_bits)
        bias = layer.bias.numpy() / weights.unit
        if np.abs(bias).max() >= EXACT:
            return False
        trial = raw_layer(layer, weights, bias, self.what)
        return layer_bound(trial, limit, None if skip is None else skip.limit) < self.options.fill * EXACT

    def accumulate(self, weights: Weights, layer: FoldedLayer) -> tuple[Tensor, Tensor]:
        """(float accumulators before the ReLU, integer accumulators without bias), [N, out, H', W'].

        Calibration statistics only: the integer side here need not be exact.
        """
        source = self.activations[-1]
        skip = None if layer.skip is None else self.activations[layer.skip]
        real = layer(source.real, None if skip is None else skip.real)
        plain = replace(
            layer, weight=torch.from_numpy(weights.values.astype(np.float64)), bias=layer.bias * 0
        )
        integer = plain(source.integer, None)
        if skip is not None:
            integer = integer + skip.integer * _channels(weights.skip_multiplier)
        return real, integer

    def convolution(self, weights: Weights | None = None, zero: Float | float = 0.0) -> Raw:
        """Next layer without requantisation, its bias corrected for the mean error of all before it.

        Args:
            weights: of a layer whose units are given; otherwise they are chosen here.
            zero: real value of an output of 0.
        """
        layer, source = self.chain[len(self.layers)], self.activations[-1]
        skip = None if layer.skip is None else self.activations[layer.skip]
        if weights is None:
            weights = round_weights(layer, source.scale, source.power(), skip, self.options.weight_bits)
        real, integer = self.accumulate(weights, layer)
        target = (real.double().mean((0, 2, 3)).numpy() - zero) / weights.unit
        raw = raw_layer(layer, weights, target - integer.double().mean((0, 2, 3)).numpy(), self.what)
        prove(raw, source, skip, self.what)
        return Raw(raw, weights.unit, real, integer + _channels(raw.bias))

    def step(self, levels: tuple[int, ...] = LEVELS, use: Use | None = None) -> None:
        """Add the next layer with an output of at most `levels`, as many as the layer after it allows.

        Args:
            levels: candidates, the finest first.
            use: of the last layer's output, if that is not the end of it.
        """
        number = len(self.layers)
        layer = self.chain[number]
        raw = self.convolution()
        real = raw.real.relu() if layer.relu else raw.real
        reach = self.reach(real)
        if use is not None:
            reach = np.maximum(reach, use.reach(real))
        together = 4 if layer.kind == "shuffle" else 1  # channels that become one have one scale
        reach = np.repeat(reach.reshape(-1, together).max(1), together)
        power = real.double().square().mean((0, 2, 3)).numpy().reshape(-1, together).mean(1)
        for level in levels:
            shift = np.clip(np.ceil(np.log2(reach / (raw.unit * level))), 0, MAX_SHIFT)
            scale = (raw.unit * np.exp2(shift))[::together]
            limit = np.minimum(np.ceil(reach[::together] / scale), level).astype(np.int64)
            if number + 1 < len(self.chain):
                fine = self.fits(number + 1, scale, limit, power / scale**2)
            else:
                fine = use is None or use.fits(scale)
            if fine:
                break
        else:
            raise ExportError(
                f"{self.what}: what follows layer {layer.name}: sums stay below 2^24 with no number "
                "of activation levels; use a narrower backbone"
            )
        output = Activation(layer.shuffled(real), raw.integer, scale, limit, not layer.relu)
        bounds = (np.repeat(bound, together) for bound in output.bounds)
        output.integer = layer.shuffled(self.finish(raw, shift.astype(np.uint8), *bounds))
        self.activations.append(output)
        self._free()

    def finish(
        self, raw: Raw, shift: NDArray[np.uint8], low: NDArray[np.int16], high: NDArray[np.int16]
    ) -> Tensor:
        """Append the layer with this requantisation; returns its integer outputs."""
        layer = replace(raw.layer, shift=shift, low=low, high=high)
        skip = None if layer.skip is None else self.activations[layer.skip]
        prove(layer, self.activations[-1], skip, self.what)
        self.layers.append(layer)
        scaled = (raw.integer + _channels(half(shift))) * _channels(np.exp2(-shift.astype(np.float64)))
        return scaled.floor().clamp(_channels(low), _channels(high))

    def _free(self) -> None:
        """Drop the images of activations that nobody needs any more; keep their scales."""
        needed = {layer.skip for layer in self.chain[len(self.layers) :]} | {len(self.layers)}
        for number, activation in enumerate(self.activations):
            if number not in needed:
                activation.real = activation.integer = torch.empty(0)

    def reach(self, real: Tensor) -> Float:
        """Largest magnitude per channel that is kept; channels that are never active get a small one."""
        largest = real.abs().amax((0, 2, 3)).double().numpy() * self.options.margin
        return np.maximum(largest, max(float(largest.max()) * 1e-4, 1e-9))
