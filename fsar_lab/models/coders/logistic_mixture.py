"""Mixture of discretised logistics per sub-pixel."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from fsar_lab.config.schema import LogisticMixtureConfig
from fsar_lab.models.coders.location_scale import EPSILON, moments
from fsar_lab.models.coders.logistic import Logistic, logistic_mass

SPREAD = 1.2247  # sqrt(3/2): means at -d, 0, d times this have the variance d^2


class LogisticMixture(nn.Module):
    """p(x) = sum_k w_k L(x; mean_k, s_k), k = 1..3, for every sub-pixel, independent of other pixels.

    The observation model of PixelCNN++ (arXiv:1701.05517, eq. 2) without its autoregression over pixels and
    colours. Each L is discretised, with its tails at 0 and 255. theta holds four pairs for each colour:
    three of (mean, log scale), and (a_1, a_2), where w = softmax(a_1, a_2, 0) and a is clamped to
    [-weight_range, weight_range].

    Coded from integers: weights look up a table of exponentials, cdf rows are the weighted sums of the
    components' fine cdfs (`codec.pixels_mixture`).
    """

    COMPONENTS = 3

    def __init__(self, config: LogisticMixtureConfig, colours: int = 3) -> None:
        super().__init__()
        self.config = config
        self.colours = colours

    @property
    def out_channels(self) -> int:
        """Channels that the synthesis network must give: four pairs per colour."""
        return 8 * self.colours

    def split(self, theta: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """theta [N, 8C, H, W] -> means, log scales and log weights, all [N, C, 3, H, W]."""
        n, _, h, w = theta.shape
        config, pairs = self.config, theta.view(n, self.colours, 4, 2, h, w)
        mean, log_scale = pairs[:, :, :3].unbind(3)
        given = pairs[:, :, 3].clamp(-config.weight_range, config.weight_range)
        logits = torch.cat([given, torch.zeros_like(given[:, :, :1])], 2)
        log_scale = log_scale.clamp(config.log_scale_min, config.log_scale_max)
        return mean.clamp(1e-6, 1 - 1e-6), log_scale, torch.log_softmax(logits, 2)

    def nats(self, theta: Tensor, x: Tensor) -> Tensor:
        """Code length of uint8 x [N, C, H, W] given theta [N, 8C, H, W], in nats per sub-pixel."""
        mean, log_scale, log_weight = self.split(theta)
        mass = logistic_mass(x.unsqueeze(2).expand(mean.shape), mean, log_scale)
        return -torch.log((log_weight.exp() * mass).sum(2) + EPSILON)

    @torch.no_grad()
    def fit(self, x: Tensor) -> Tensor:
        """Start from training pixels: returns the synthesis head's starting bias [8C].

        Components lie below, at and above the mean, so that each has something to do.

        Args:
            x: uint8 [N, C, H, W] training images.
        """
        mean, deviation = moments(x)
        means = torch.stack([mean - SPREAD * deviation / 2, mean, mean + SPREAD * deviation / 2], 1)
        scale = (deviation * 0.75**0.5 / Logistic.deviation).log()  # within components; a quarter is between
        pairs = torch.stack([means.clamp(0.02, 0.98), scale[:, None].expand_as(means)], 2)
        return torch.cat([pairs, torch.zeros_like(pairs[:, :1])], 1).flatten().float()
