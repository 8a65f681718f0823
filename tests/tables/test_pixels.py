"""Pixel tables: what docs/ARCHITECTURE.md promises of them."""

from __future__ import annotations

import math

import numpy as np
import pytest

from fsar_lab.entropy import PixelModel
from fsar_lab.errors import ExportError
from fsar_lab.tables import pixels


def test_fine_cdfs() -> None:
    grid = pixels.scale_grid(-7.0, 0.0, 64)
    assert len(grid) == 64 and grid[0] == -7.0 and grid[-1] == 0.0
    cdf = pixels.fine_cdfs(grid)
    assert cdf.shape == (64, 2045) and cdf.dtype == np.uint16
    assert (np.diff(cdf.astype(int), axis=1) >= 0).all() and cdf.max() <= 65536 - 256
    assert (cdf[:, 1022] == 32640).all()  # Phi(0) = 1/2 of the total
    assert np.abs(cdf.astype(int) + cdf[:, ::-1] - 65280).max() <= 1  # symmetric up to rounding
    assert np.array_equal(cdf, pixels.fine_cdfs(grid))


@pytest.mark.parametrize("scale", [0, 20, 40, 63])
@pytest.mark.parametrize("mean", [0, 1, 510, 1019, 1020])
def test_distribution_is_the_folded_gaussian(scale: int, mean: int) -> None:
    grid = pixels.scale_grid(-7.0, 0.0, 64)
    row = pixels.fine_cdfs(grid)[scale].astype(int)
    edges = np.array([0] + [row[4 * j - 2 - mean + 1022] + j for j in range(1, 256)] + [65536])
    counts = np.diff(edges)
    assert counts.min() >= 1 and counts.sum() == 65536
    sigma = math.exp(grid[scale])
    phi = (
        [0.0]
        + [0.5 * math.erfc(-(4 * j - 2 - mean) / 1020 / sigma / math.sqrt(2)) for j in range(1, 256)]
        + [1.0]
    )
    assert np.abs(counts / 65536 - np.diff(phi)).max() < 256 / 65536 + 2e-5  # 256 counts are kept back


def test_mean_lut() -> None:
    sigmoid, linear = pixels.mean_lut(True), pixels.mean_lut(False)
    assert sigmoid.dtype == linear.dtype == np.int16 and len(sigmoid) == len(linear) == 4096
    assert sigmoid[2048] == linear[2048] == 510 * 16
    assert sigmoid[2048 + 256] == round(1020 * 16 / (1 + math.exp(-1)))
    assert (np.diff(sigmoid.astype(int)) >= 0).all() and sigmoid[0] >= 0 and sigmoid[-1] <= 1020 * 16
    assert linear[2048 + 1024] == 1020 * 16 and linear[2048 - 1024] == 0
    for sigmoid_mean, table in ((True, sigmoid), (False, linear)):
        unit, zero = pixels.logit_unit(sigmoid_mean)
        value = zero + unit * 300
        expected = 1 / (1 + math.exp(-value)) if sigmoid_mean else value
        assert abs(table[2048 + 300] / 16 / 1020 - expected) < 1e-4


def test_linear_ar_reaches_the_coder() -> None:
    """A weight of one on the left neighbour predicts exactly that neighbour."""
    taps = (((0, 0, -1),),) * 3
    weights, bias = pixels.linear_ar(taps, np.ones((3, 1)), np.full(3, -0.5))
    assert weights.tolist() == [4 << 16] * 3 and bias.tolist() == [-510 << 16] * 3
    cdf, lut = pixels.fine_cdfs(pixels.scale_grid(-4, 0, 2)), pixels.mean_lut(True)
    model = PixelModel(cdf, lut, taps, [[int(w)] for w in weights], bias.tolist())
    image = np.random.default_rng(0).integers(0, 256, (1, 3, 5, 3), np.uint8)
    mean = model.mean_index(image, np.zeros((1, 3, 3, 5), np.int16))
    assert np.array_equal(mean[0, :, :, 1:], 4 * image[0].transpose(2, 0, 1)[:, :, :-1].astype(int))
    assert (mean[..., 0] == 0).all()


@pytest.mark.parametrize("value", [math.nan, math.inf, 1e9])
def test_hopeless_weights_are_refused(value: float) -> None:
    with pytest.raises(ExportError):
        pixels.linear_ar((((0, 0, -1),),), np.array([[value]]), np.zeros(1))
