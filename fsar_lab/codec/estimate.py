"""What coding should cost: cross-entropy of the integer model before its probabilities become counts.

Reporting only; nothing here decides a bit.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from fsar_lab.codec.codec import Codec
from fsar_lab.codec.mean_offset import MIDDLE, MeanOffsetCoder, MeanOffsetTables
from fsar_lab.codec.mean_scale import MeanScaleCoder, MeanScaleTables
from fsar_lab.codec.mixture import BITS, COMPONENTS, PAIRS, MixtureCoder, MixtureTables
from fsar_lab.codec.parts import Parameters
from fsar_lab.tables.pixels import FINE, scale_grid, upper_tail

BATCH = 64  # images at a time: bounds the memory
EPSILON = 1e-7  # floor of a probability, as in the training loss
PARTS = (MeanScaleTables, MeanOffsetTables, MixtureTables)
Levels = NDArray[np.uint8]  # [N, 3, H, W]


class Masses:
    """Exact mass of every grey level for the integer model's mean and scale indices.

    The mass beyond the data range belongs to 0 and 255.

    Args:
        distribution: its name.
        log_scales: natural logarithm of each scale of the grid.
    """

    def __init__(self, distribution: str, log_scales: NDArray[np.float64]) -> None:
        # By symmetry the cdf is only taken in the upper tail, where differences keep their digits: what lies
        # beyond t = -2, -1, .. fine steps.
        lower = np.asarray(
            [
                [upper_tail(distribution, t / (FINE * math.exp(log_scale))) for t in range(-2, FINE + 3)]
                for log_scale in log_scales.tolist()
            ]
        )
        distance = np.abs(np.arange(-FINE, FINE + 1))
        self.inner = lower[:, distance] - lower[:, distance + 4]  # t - 2 and t + 2, entry 0 being t = -2
        self.edge = lower[:, : FINE + 1]  # beyond m - 2 fine steps

    def __call__(self, level: Levels, mean: NDArray[np.integer], scale: Levels) -> NDArray[np.float64]:
        """Of grey levels at mean indices (four fine steps a level), all of one shape."""
        t = 4 * level.astype(np.int64) - mean
        mass = self.inner[scale, t + FINE]
        mass = np.where(level == 0, self.edge[scale, mean], mass)
        folded: NDArray[np.float64] = np.where(level == 255, self.edge[scale, FINE - mean], mass)
        return folded


def can_estimate(codec: Codec) -> bool:
    """Whether `pixel_bits` knows the codec's pixels."""
    return isinstance(codec.model.pixels, PARTS)


def pixel_bits(codec: Codec, images: NDArray[np.uint8]) -> float:
    """Bits of the pixels under exact distributions with the integer model's indices.

    Args:
        codec: whose networks, and linear AR if there is one, give the indices.
        images: uint8 [N, H, W, 3].
    """
    facts, part = codec.model.facts, codec.model.pixels
    assert isinstance(part, PARTS)
    grid = scale_grid(facts["log_scale_min"], facts["log_scale_max"], part.scales)
    masses = Masses(facts.get("distribution", "gaussian"), grid)  # older files do not name it
    total = 0.0
    for start in range(0, len(images), BATCH):
        some = np.ascontiguousarray(images[start : start + BATCH])
        parameters = codec.synthesise(codec.analyse(some))
        total -= float(np.log2(_mass(codec, masses, some, parameters) + EPSILON).sum())
    return total


def _mass(
    codec: Codec, masses: Masses, images: NDArray[np.uint8], parameters: Parameters
) -> NDArray[np.float64]:
    """Of every sub-pixel of uint8 [N, H, W, 3]."""
    coder, level, (logits, scales) = codec.pixel_coder, images.transpose(0, 3, 1, 2), parameters
    if isinstance(coder, MeanScaleCoder):
        return masses(level, coder.model.mean_index(images, logits).astype(np.int64), scales)
    if isinstance(coder, MeanOffsetCoder):
        return masses(coder.residuals(images, logits), np.asarray(4 * MIDDLE), scales)
    assert isinstance(coder, MixtureCoder)
    mass = np.zeros(level.shape)
    w = coder.weights[logits[:, COMPONENTS::PAIRS] + 128, scales[:, COMPONENTS::PAIRS]].astype(np.int64)
    shares = (w[..., 0], w[..., 1], (1 << BITS) - w[..., 0] - w[..., 1])
    for k, share in enumerate(shares):
        mean = coder.model.mean_index(images, np.ascontiguousarray(logits[:, k::PAIRS])).astype(np.int64)
        mass += share / (1 << BITS) * masses(level, mean, scales[:, k::PAIRS])
    return mass
