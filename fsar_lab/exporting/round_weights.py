"""Float weights of one layer to integers, with the clipping that loses least."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from fsar_lab.exporting.fold import FoldedLayer

Float = NDArray[np.float64]
CLIPS = np.linspace(0.5, 1.0, 26)  # candidates for the largest weight that is kept


@dataclass
class Activation:
    """An activation of the float and of the integer network on the calibration images.

    Attributes:
        real: float32 [N, C, H, W].
        integer: float32 [N, C, H, W] holding integers.
        scale: float64 [C], real = scale * integer.
        limit: int64 [C], largest integer.
        signed: integers lie in [-limit, limit], else in [0, limit].
    """

    real: Tensor
    integer: Tensor
    scale: Float
    limit: NDArray[np.int64]
    signed: bool

    @property
    def bounds(self) -> tuple[NDArray[np.int16], NDArray[np.int16]]:
        """Clamp bounds (low, high)."""
        return (-self.limit * self.signed).astype(np.int16), self.limit.astype(np.int16)

    def power(self) -> Float:
        """Mean square of each channel's integers."""
        result: Float = self.integer.double().square().mean((0, 2, 3)).numpy()
        return result


@dataclass(frozen=True)
class Weights:
    """Integer weights of one layer: W * s_in = unit[o] * values, and skip = unit[o] * skip_multiplier[o]."""

    values: NDArray[np.int16]
    unit: Float
    skip_multiplier: NDArray[np.int32]


def round_weights(
    layer: FoldedLayer, scale: Float, power: Float, skip: Activation | None, bits: int
) -> Weights:
    """Per-channel integer weights with the clipping that loses least.

    Args:
        layer: float layer.
        scale: of the input channels, [in].
        power: mean square of each input channel's integers, weighs the rounding errors.
        skip: the added activation, enters the accumulator with an integer multiplier.
        bits: of signed weights.
    """
    if layer.kind == "shuffle":
        return _shuffle_weights(layer, scale, power, bits)
    real = layer.weight.numpy() * scale[None, :, None, None]
    largest = np.abs(real).max((1, 2, 3))
    limit = 2 ** (bits - 1) - 1

    def rounded(unit: Float) -> Float:
        result: Float = np.clip(np.rint(real / unit[:, None, None, None]), -limit, limit)
        return result

    widest = np.where(largest > 0, largest, 1.0) / limit
    skip_scale = np.zeros(len(widest)) if skip is None else skip.scale
    skip_power = np.zeros(len(widest)) if skip is None else skip.power()
    best, unit = np.full(len(widest), np.inf), widest
    for clip in CLIPS:
        # A unit that divides the skip's scale makes the skip exact, but a small skip must not shrink it.
        free = widest * clip
        for trial in (free, skip_scale / np.maximum(np.rint(skip_scale / free), 1)) if skip else (free,):
            error = ((rounded(trial) * trial[:, None, None, None] - real) ** 2).sum((2, 3)) @ power
            error += (np.rint(skip_scale / trial) * trial - skip_scale) ** 2 * skip_power
            unit, best = np.where(error < best, trial, unit), np.minimum(error, best)
    multiplier = np.rint(skip_scale / unit).astype(np.int32)
    return Weights(rounded(unit).astype(np.int16), unit, multiplier)


def _shuffle_weights(layer: FoldedLayer, scale: Float, power: Float, bits: int) -> Weights:
    """One unit for the four outputs that become one channel: rounded as one output of four times the taps."""
    outputs, inputs, side, _ = layer.weight.shape
    together = layer.weight.view(-1, 4, inputs, side, side).permute(0, 2, 1, 3, 4)
    joint = replace(layer, kind="conv", weight=together.reshape(-1, inputs, 4 * side, side))
    weights = round_weights(joint, scale, power, None, bits)
    values = weights.values.reshape(-1, inputs, 4, side, side).transpose(0, 2, 1, 3, 4)
    return Weights(
        np.ascontiguousarray(values.reshape(layer.weight.shape)),
        np.repeat(weights.unit, 4),
        np.zeros(outputs, np.int32),
    )
