"""The pixel workload: images drawn from a three-tap linear AR model, METHOD's "twar"."""

from __future__ import annotations

import numpy as np

from entropy_bench.sources import Array, normal_cdf
from fsar_lab.entropy import PixelModel
from fsar_lab.entropy.pixels import FINE_STEPS, LOGIT_LEVELS

SCALES = 64
ONE = 4 << 16  # weight 1.0
RED_TAPS = [(0, -1, -1), (0, -1, 0), (0, 0, -1)]
OTHER_TAPS = [(-1, 0, 0), (-1, 0, -1), (0, 0, -1)]
RED_WEIGHTS = [-3 * ONE // 10, 6 * ONE // 10, 6 * ONE // 10]
OTHER_WEIGHTS = [8 * ONE // 10, -7 * ONE // 10, 8 * ONE // 10]


def sigmas() -> Array:
    """Standard deviation of every scale in grey levels."""
    return 255 * np.exp(np.linspace(-7, 0, SCALES))


def model_arguments() -> tuple[Array, Array, list[list[tuple[int, int, int]]], list[list[int]], list[int]]:
    """What PixelModel is made of: cdf, mean look-up, taps, weights, bias."""
    t = np.arange(FINE_STEPS) - FINE_STEPS // 2
    cdf = np.rint(normal_cdf(t / 4 / sigmas()[:, None]) * (65536 - 256)).astype(np.uint16)
    mean_lut = (8 * (np.arange(LOGIT_LEVELS) - LOGIT_LEVELS // 2)).astype(
        np.int16
    )  # half a fine step a logit
    taps = [RED_TAPS, OTHER_TAPS, OTHER_TAPS]
    return cdf, mean_lut, taps, [RED_WEIGHTS, OTHER_WEIGHTS, OTHER_WEIGHTS], [12 * ONE] * 3


def draw_images(rng: np.random.Generator, logits: Array, scales: Array) -> Array:
    """Images drawn sample by sample, all images at once: uint8 [N, H, W, C] from [N, C, H, W] each."""
    _, mean_lut, taps, weights, bias = model_arguments()
    number, colours, height, width = logits.shape
    base = mean_lut[logits + LOGIT_LEVELS // 2].astype(np.int64) * 4096 + 32768
    sigma = sigmas()[scales]
    padded = np.zeros(
        (number, height + 1, width + 1, colours), np.int64
    )  # taps reach one row, one column back
    for r in range(height):
        for c in range(width):
            for k in range(colours):
                total = base[:, k, r, c] + bias[k]
                for (dk, dr, dc), weight in zip(taps[k], weights[k], strict=True):
                    total += weight * padded[:, r + 1 + dr, c + 1 + dc, k + dk]
                mean = np.clip(total >> 16, 0, 1020) / 4
                padded[:, r + 1, c + 1, k] = np.clip(np.rint(rng.normal(mean, sigma[:, k, r, c])), 0, 255)
    return np.ascontiguousarray(padded[:, 1:, 1:], np.uint8)


def pixel_bits(model: PixelModel, images: Array, logits: Array, scales: Array) -> float:
    """Sum of -log2 p under Gaussians in floating point, tails folded into 0 and 255."""
    mean = model.mean_index(images, logits) / 4
    value, sigma = np.moveaxis(images, 3, 1).astype(np.float64), sigmas()[scales]
    upper = np.where(value == 255, 1.0, normal_cdf((value + 0.5 - mean) / sigma))
    lower = np.where(value == 0, 0.0, normal_cdf((value - 0.5 - mean) / sigma))
    return float(-np.log2(upper - lower).sum())
