"""What every coder has whose pixels follow one shifted and stretched distribution each."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor, nn

from fsar_lab.config.schema import LocationScaleConfig

Tap = tuple[int, int, int]
LEVELS = 255  # steps of the data range [0, 1]
EPSILON = 1e-7  # floor of a probability in the training loss (METHOD 2.1)


def window(x: Tensor, mean: Tensor, log_scale: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Edges of each grey level's interval in units of the scale, mirrored into the lower tail.

    There, the difference of two cdfs keeps its digits. The distribution must be symmetric.

    Args:
        x: uint8 grey levels, any shape.
        mean, log_scale: float of the same shape, data range [0, 1].

    Returns:
        low, high: float, the mass of the interval is cdf(high) - cdf(low).
        bottom, top: bool, where the tail below `low` or above `high` belongs to the level, too.
    """
    inverse = torch.exp(-log_scale)
    level = x.to(mean.dtype)
    centre = level / LEVELS - mean
    upper = (centre + 0.5 / LEVELS) * inverse
    lower = (centre - 0.5 / LEVELS) * inverse
    flip = centre > 0
    high = torch.where(flip, -lower, upper)
    low = torch.where(flip, -upper, lower)
    bottom = torch.where(flip, level == LEVELS, level == 0)
    top = torch.where(flip, level == 0, level == LEVELS)
    return low, high, bottom, top


class LocationScale(nn.Module):
    """p(x | theta) from one (mean, log scale) pair per sub-pixel (METHOD 2.1), independent of other pixels.

    A subclass says which distribution it is.

    Args:
        config: how the mean is read from theta, and the grid of scales that the tables will have.
        colours: colour planes.

    Attributes:
        distribution: its name, as `tables.pixels` knows it.
        deviation: standard deviation of the distribution of scale 1.
    """

    taps: tuple[tuple[Tap, ...], ...] = ((), (), ())
    distribution: ClassVar[str]
    deviation: ClassVar[float]

    def __init__(self, config: LocationScaleConfig, colours: int = 3) -> None:
        super().__init__()
        self.config = config
        self.colours = colours

    @property
    def out_channels(self) -> int:
        """Channels that the synthesis network must give: (mean, log scale) per colour."""
        return 2 * self.colours

    @staticmethod
    def density(x: Tensor, mean: Tensor, log_scale: Tensor) -> Tensor:
        """-ln of the mass of each grey level's interval, tails folded: as `window` has its arguments."""
        raise NotImplementedError

    def split(self, theta: Tensor) -> tuple[Tensor, Tensor]:
        """theta [N, 2C, H, W] (mean, log scale; per colour) -> base mean and log scale, [N, C, H, W]."""
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
        return self.density(x, mean, log_scale)

    @torch.no_grad()
    def fit(self, x: Tensor) -> Tensor:
        """Start from training pixels: returns the synthesis head's starting bias [2C].

        Args:
            x: uint8 [N, C, H, W] training images.
        """
        mean, deviation = moments(x)
        raw = torch.logit(mean.clamp(0.01, 0.99)) if self.config.sigmoid_mean else mean
        return torch.stack([raw, (deviation / self.deviation).log()], 1).flatten().float()


def moments(x: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation of every colour of uint8 x [N, C, H, W]: float64 [C], data range [0, 1]."""
    values = x.to(torch.float64) / LEVELS
    mean = values.mean((0, 2, 3))
    deviation = (values - mean.view(1, -1, 1, 1)).square().mean((0, 2, 3)).sqrt()
    return mean, deviation.clamp_min(1e-3)
