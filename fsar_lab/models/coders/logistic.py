"""Discretised logistic observation model."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from fsar_lab.models.coders.location_scale import EPSILON, LocationScale, window


def logistic_mass(x: Tensor, mean: Tensor, log_scale: Tensor) -> Tensor:
    """Mass of a logistic distribution on each grey level's interval (PixelCNN++, arXiv:1701.05517, eq. 2).

    With z = (v - mean) / exp(log_scale), sigmoid(z) is the cdf. The mass beyond the data range belongs to
    0 and 255, so that the 256 probabilities sum to one.

    Args:
        x: uint8 grey levels, any shape.
        mean, log_scale: float of the same shape, data range [0, 1].
    """
    low, high, bottom, top = window(x, mean, log_scale)
    return torch.sigmoid(high).masked_fill(top, 1.0) - torch.sigmoid(low).masked_fill(bottom, 0.0)


class Logistic(LocationScale):
    """Discretised logistic distribution per sub-pixel (METHOD 2.1); theta gives mean and log scale.

    Coded as the Gaussian is, from other fine cdfs.
    """

    distribution = "logistic"
    deviation = math.pi / math.sqrt(3)

    @staticmethod
    def density(x: Tensor, mean: Tensor, log_scale: Tensor) -> Tensor:
        """-ln of `logistic_mass`."""
        return -torch.log(logistic_mass(x, mean, log_scale) + EPSILON)
