"""Gaussian latents for bits-back coding."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from fsar_lab.config.schema import GaussianLatentsConfig
from fsar_lab.models.quantizers.base import Quantized


class GaussianLatents(nn.Module):
    """z = mu + sigma eps, q(z|x) = N(mu, sigma^2), p(z) = N(0, 1) (METHOD 3, bits-back; arXiv:1312.6114).

    The analysis network gives mu, then log sigma^2; the synthesis network sees z. Bits-back coding pays
    KL(q || p) = (mu^2 + sigma^2 - 1 - log sigma^2) / 2 for each latent (arXiv:1901.04866); there are no
    symbols.
    """

    def __init__(self, config: GaussianLatentsConfig) -> None:
        super().__init__()
        self.latent_channels = config.channels

    def posterior(self, y: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log variance, [N, C, h, w] each, of y [N, 2C, h, w]."""
        mean, log_variance = y.chunk(2, 1)
        return mean, log_variance

    def forward(self, y: Tensor) -> Quantized:
        """Draw z [N, C, h, w] for y [N, 2C, h, w], in evaluation too: only then is the cost the coded one."""
        mean, log_variance = self.posterior(y)
        z = mean + (0.5 * log_variance).exp() * torch.randn_like(mean)
        n, _, h, w = y.shape
        return Quantized(
            indices=torch.zeros((n, 0, h, w), dtype=torch.int64, device=y.device),
            vectors=z,
            samples=z.unsqueeze(1),
            selection=None,
            loss=y.new_zeros(()),
            loss_per_element=y.new_zeros(()),
            nats=0.5 * (mean.square() + log_variance.exp() - 1.0 - log_variance),
        )
