"""The pixel distribution in integers: fine cdfs, mean look-up and AR weights.

docs/ARCHITECTURE.md, "Pixel distribution in integers", gives the arithmetic that reads these tables.
All of them are made once, at export; a decoder only reads stored integers.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from fsar_lab.errors import ExportError
from fsar_lab.tables.normalise import normalise

FINE = 1020  # fine steps of the data range [0, 1]: four per grey level
REACH = 1022  # the cdf is stored for t in [-REACH, REACH] fine steps
CDF_TOTAL = (1 << 16) - 256  # 256 counts are kept back, one for each grey level
LUT_UNITS = 16  # base means are stored in 1/16 of a fine step
LOGITS = 4096  # length of the mean look-up; index = logit + 2048
SIGMOID_UNIT = 1.0 / 256.0  # one integer logit step of a sigmoid mean
LINEAR_UNIT = 1.0 / 2048.0  # one step of a linear mean, counted from 1/2: covers [-0.5, 1.5)
WEIGHT_ONE = 1 << 16  # AR weights and biases are in 2^-16 fine steps

Tap = tuple[int, int, int]


def scale_grid(log_scale_min: float, log_scale_max: float, num_scales: int) -> NDArray[np.float64]:
    """Natural logarithms of the scales, evenly spaced, ends included."""
    return np.linspace(log_scale_min, log_scale_max, num_scales)


def upper_tail(distribution: str, z: float) -> float:
    """Mass of the distribution of mean 0 and scale 1 beyond z; keeps its digits for z > 0."""
    if distribution == "gaussian":
        return 0.5 * math.erfc(z * math.sqrt(0.5))
    if distribution == "logistic":
        return 1.0 / (1.0 + math.exp(z)) if z < 700 else 0.0
    raise ExportError(f"no tables for pixels that are {distribution}")


def fine_cdfs(
    log_scales: NDArray[np.float64], distribution: str = "gaussian", total: int = CDF_TOTAL
) -> NDArray[np.uint16]:
    """round(cdf(t / 1020 / scale) * total) for every scale, uint16 [S, 2045]."""
    t = np.arange(-REACH, REACH + 1) / FINE
    rows = [
        [upper_tail(distribution, -value) for value in t * math.exp(-log_scale)]
        for log_scale in log_scales.tolist()
    ]
    # Rounding is monotonic, but the tail need not be to the last bit: make sure.
    counts = np.floor(np.asarray(rows) * total + 0.5)
    return np.maximum.accumulate(np.clip(counts, 0, total), axis=1).astype(np.uint16)


def offset_counts(log_scales: NDArray[np.float64], bits: int) -> NDArray[np.uint32]:
    """Gaussian mass of residual codes 0..255 around 128, tails at both ends, as counts: uint32 [S, 256]."""
    edges = (np.arange(1, 256) - 0.5 - 128) / 255
    tails = [
        [1.0, *(upper_tail("gaussian", value) for value in edges * math.exp(-log_scale)), 0.0]
        for log_scale in log_scales.tolist()
    ]
    return normalise(-np.diff(np.asarray(tails), axis=1), bits)


def weight_exponentials(weight_range: float) -> NDArray[np.int32]:
    """exp(a) for the logits a = (i - 128) / 128 * weight_range of a mixture's weights, i = 0..255: int32.

    In one unit, the largest just below 2^30.
    """
    logits = ((np.arange(256) - 128) / 128 * weight_range).tolist()
    scale = (2**30 - 1) / math.exp(logits[-1])
    return np.asarray([round(math.exp(a) * scale) for a in logits], np.int32)


def mean_lut(sigmoid_mean: bool) -> NDArray[np.int16]:
    """Base mean in 1/16 fine step for every integer logit, int16 [4096].

    A sigmoid mean has logits in units of 1/256. A linear mean is counted from 1/2 in units of
    1/2048 and not clamped here: the coder clamps the sum with the AR part.
    """
    logit = np.arange(-LOGITS // 2, LOGITS // 2)
    if sigmoid_mean:
        mean = np.asarray([1.0 / (1.0 + math.exp(-value)) for value in (logit * SIGMOID_UNIT).tolist()])
    else:
        mean = 0.5 + logit * LINEAR_UNIT
    return np.floor(mean * (FINE * LUT_UNITS) + 0.5).astype(np.int16)


def logit_unit(sigmoid_mean: bool) -> tuple[float, float]:
    """(unit, zero) of the integer logit: float mean output = zero + unit * logit."""
    return (SIGMOID_UNIT, 0.0) if sigmoid_mean else (LINEAR_UNIT, 0.5)


def linear_ar(
    taps: tuple[tuple[Tap, ...], ...], weight: NDArray[np.floating], bias: NDArray[np.floating]
) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """AR weights and bias, trained on pixels in [0, 1], in the coder's fixed point.

    Args:
        taps: per colour.
        weight: float [colours, T] with T taps per colour (T may be 0).
        bias: float [colours].

    Returns:
        int32 [taps in all] and int32 [colours].

    Raises:
        ExportError: not finite, or too large for the coder's int32.
    """
    flat = np.concatenate([np.asarray(weight, np.float64)[c, : len(t)] for c, t in enumerate(taps)])
    fixed_weight = np.rint(flat * (FINE / 255) * WEIGHT_ONE)
    fixed_bias = np.rint(np.asarray(bias, np.float64) * FINE * WEIGHT_ONE)
    for name, values in (("weights", fixed_weight), ("bias", fixed_bias)):
        if not np.isfinite(values).all() or np.abs(values).max(initial=0) >= 2**30:
            raise ExportError(
                f"the linear AR's {name} do not fit the coder's fixed point; train with another seed"
            )
    return fixed_weight.astype(np.int32), fixed_bias.astype(np.int32)
