"""Discretised Gaussian observation model."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from fsar_lab.models.coders.location_scale import EPSILON, LEVELS, LocationScale, Tap, window

__all__ = ["EPSILON", "LEVELS", "Gaussian", "Tap", "gaussian_nats"]


def gaussian_nats(x: Tensor, mean: Tensor, log_scale: Tensor) -> Tensor:
    """-ln of the mass that N(mean, exp(log_scale)^2) puts on each grey level's interval.

    The mass beyond the data range belongs to 0 and 255, here as in the integer tables, so that the
    256 probabilities sum to one.

    Args:
        x: uint8 grey levels, any shape.
        mean, log_scale: float of the same shape, data range [0, 1].

    Returns:
        nats, same shape.
    """
    low, high, bottom, top = window(x, mean, log_scale)
    high = high.masked_fill(top, math.inf)
    low = low.masked_fill(bottom, -math.inf)
    root = math.sqrt(0.5)
    mass = 0.5 * (torch.erfc(-high * root) - torch.erfc(-low * root))
    return -torch.log(mass + EPSILON)


class Gaussian(LocationScale):
    """Discretised N(mean, sigma^2) per sub-pixel, METHOD 2.1; theta gives mean and log sigma.

    Coded with one fine integer cdf per scale of the grid: docs/ARCHITECTURE.md, section 5.
    """

    distribution = "gaussian"
    deviation = 1.0

    @staticmethod
    def density(x: Tensor, mean: Tensor, log_scale: Tensor) -> Tensor:
        """See `gaussian_nats`."""
        return gaussian_nats(x, mean, log_scale)
