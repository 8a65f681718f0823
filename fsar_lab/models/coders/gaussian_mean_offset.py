"""Gaussian whose mean is subtracted before coding, so that tables are needed for scales alone (PILC)."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from fsar_lab.models.coders.gaussian import Gaussian, gaussian_nats
from fsar_lab.models.coders.location_scale import EPSILON, LEVELS

MIDDLE = 128  # the residual's code of no deviation


class GaussianMeanOffset(Gaussian):
    """r = (x - g + 128) mod 256 with g = round(255 mean), coded under N(128, (255 sigma)^2) (METHOD 2.2).

    The trick of PILC's AI-ANS (arXiv:2206.05279): one table per scale instead of one per
    pair. It costs what rounding the mean to a grey level costs, and the mass that wraps around.

    Training uses the mean as it is, for a rounded one has no gradient, and no tails: the mass of
    [x - 1/2, x + 1/2] under N(255 mean, (255 sigma)^2). Evaluation gives what coding costs: the mass of r,
    with the tails at r = 0 and r = 255.
    """

    def nats(self, theta: Tensor, x: Tensor) -> Tensor:
        """Code length of uint8 x [N, C, H, W] given theta [N, 2C, H, W], in nats per sub-pixel."""
        mean, log_scale = self.split(theta)
        mean = mean.clamp(1e-6, 1 - 1e-6)
        if not self.training:
            level = torch.floor(mean * LEVELS + 0.5)  # halves go up, as in the integer codec
            residual = torch.remainder(x.to(mean.dtype) - level + MIDDLE, LEVELS + 1)
            return gaussian_nats(residual, torch.full_like(mean, MIDDLE / LEVELS), log_scale)
        distance = (x.to(mean.dtype) / LEVELS - mean).abs()  # by symmetry, in the tail that keeps its digits
        unit = torch.exp(-log_scale) * math.sqrt(0.5)
        near, far = (distance - 0.5 / LEVELS) * unit, (distance + 0.5 / LEVELS) * unit
        return -torch.log(0.5 * (torch.erfc(near) - torch.erfc(far)) + EPSILON)
