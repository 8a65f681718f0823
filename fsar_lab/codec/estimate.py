"""What coding should cost: cross-entropy of the integer model before its probabilities become counts.

Reporting only; nothing here decides a bit.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from fsar_lab.codec.codec import Codec
from fsar_lab.codec.mean_scale import MeanScaleCoder
from fsar_lab.tables.pixels import FINE

BATCH = 64  # images at a time: bounds the memory
EPSILON = 1e-7  # floor of a probability, as in the training loss


def pixel_bits(codec: Codec, images: NDArray[np.uint8], log_scales: NDArray[np.float64]) -> float:
    """Bits of the pixels under exact Gaussians with the integer model's mean and scale indices.

    The mass beyond the data range belongs to 0 and 255.

    Args:
        codec: whose networks and linear AR give the indices.
        images: uint8 [N, H, W, 3].
        log_scales: natural logarithm of each scale of the grid.
    """
    coder = codec.pixel_coder
    assert isinstance(coder, MeanScaleCoder)
    cost = [_costs(math.exp(log_scale)) for log_scale in log_scales.tolist()]
    inner, zero, top = (np.stack([c[i] for c in cost]) for i in range(3))
    total = 0.0
    for start in range(0, len(images), BATCH):
        part = np.ascontiguousarray(images[start : start + BATCH])
        logits, scales = codec.synthesise(codec.analyse(part))
        mean = coder.model.mean_index(part, logits).astype(np.int64)
        level = part.transpose(0, 3, 1, 2).astype(np.int64)
        bits = inner[scales, 4 * level - mean + FINE]
        bits = np.where(level == 0, zero[scales, mean], np.where(level == 255, top[scales, mean], bits))
        total += float(bits.sum())
    return total


def _costs(sigma: float) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Bits of one scale: of grey level j at t = 4j - m in [-1020, 1020], of 0 and of 255 at mean m.

    By symmetry the cdf is only taken in the lower tail, where differences keep their digits.
    """
    step = 1.0 / (FINE * sigma)
    lower = np.asarray([0.5 * math.erfc(t * step * math.sqrt(0.5)) for t in range(-2, FINE + 3)])  # P(T > t)
    distance = np.abs(np.arange(-FINE, FINE + 1))
    inner = lower[distance] - lower[distance + 4]  # t - 2 and t + 2, entry 0 being t = -2
    edge = lower[np.arange(FINE + 1)]  # beyond m - 2 fine steps
    return _bits(inner), _bits(edge), _bits(edge[::-1])


def _bits(mass: NDArray[np.float64]) -> NDArray[np.float64]:
    return -np.log2(mass + EPSILON)
