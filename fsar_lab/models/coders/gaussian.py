"""Discretised Gaussian observation model."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from fsar_lab.config.schema import GaussianConfig

Tap = tuple[int, int, int]
LEVELS = 255  # steps of the data range [0, 1]
EPSILON = 1e-7  # floor of a probability in the training loss (METHOD 2.1)


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
    inverse = torch.exp(-log_scale)
    level = x.to(mean.dtype)
    centre = level / LEVELS - mean
    upper = (centre + 0.5 / LEVELS) * inverse
    lower = (centre - 0.5 / LEVELS) * inverse
    # Both edges are mirrored into the lower tail, where the difference of two cdfs keeps its digits.
    flip = centre > 0
    high = torch.where(flip, -lower, upper)
    low = torch.where(flip, -upper, lower)
    high = high.masked_fill(torch.where(flip, level == 0, level == LEVELS), math.inf)
    low = low.masked_fill(torch.where(flip, level == LEVELS, level == 0), -math.inf)
    root = math.sqrt(0.5)
    mass = 0.5 * (torch.erfc(-high * root) - torch.erfc(-low * root))
    return -torch.log(mass + EPSILON)


class Gaussian(nn.Module):
    """p(x | theta): mean and log sigma per sub-pixel (METHOD 2.1), independent of other pixels.

    Args:
        config: how the mean is read from theta, and the grid of scales that the tables will have.
        colours: colour planes.
    """

    taps: tuple[tuple[Tap, ...], ...] = ((), (), ())

    def __init__(self, config: GaussianConfig, colours: int = 3) -> None:
        super().__init__()
        self.config = config
        self.colours = colours

    @property
    def out_channels(self) -> int:
        """Channels that the synthesis network must give: (mean, log sigma) per colour."""
        return 2 * self.colours

    def split(self, theta: Tensor) -> tuple[Tensor, Tensor]:
        """theta [N, 2C, H, W] (mean, log sigma; per colour) -> base mean and log sigma, [N, C, H, W]."""
        n, _, h, w = theta.shape
        raw, log_scale = theta.view(n, self.colours, 2, h, w).unbind(2)
        mean = torch.sigmoid(raw) if self.config.sigmoid_mean else raw
        return mean, log_scale.clamp(self.config.log_scale_min, self.config.log_scale_max)

    def shift(self, x: Tensor) -> Tensor | float:
        """What causal pixels add to the mean; nothing here. x: uint8 [N, C, H, W]."""
        del x
        return 0.0

    def nats(self, theta: Tensor, x: Tensor) -> Tensor:
        """Code length of uint8 x [N, C, H, W] given theta [N, 2C, H, W], in nats per sub-pixel."""
        mean, log_scale = self.split(theta)
        mean = (mean + self.shift(x)).clamp(1e-6, 1 - 1e-6)
        return gaussian_nats(x, mean, log_scale)

    @torch.no_grad()
    def fit(self, x: Tensor) -> Tensor:
        """Start from training pixels: returns the synthesis head's starting bias [2C].

        Args:
            x: uint8 [N, C, H, W] training images.
        """
        values = x.to(torch.float64) / LEVELS
        mean = values.mean((0, 2, 3))
        deviation = (values - mean.view(1, -1, 1, 1)).square().mean((0, 2, 3)).sqrt()
        raw = torch.logit(mean.clamp(0.01, 0.99)) if self.config.sigmoid_mean else mean
        return torch.stack([raw, deviation.clamp_min(1e-3).log()], 1).flatten().float()
