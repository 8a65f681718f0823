"""Gaussian posteriors over real latents, cut into bins that can be coded: the latents of bits-back coding."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from fsar_lab.config.schema import GaussianLatentsConfig
from fsar_lab.models.quantizers.base import Quantized

BINS = 256  # on the integer pixel distributions' grid, four fine steps a bin


def kl_to_standard_normal(mean: Tensor, log_scale: Tensor) -> Tensor:
    """KL(N(mean, exp(log_scale)^2) || N(0, 1)) of each latent, in nats; any shape."""
    return 0.5 * (mean.square() + torch.exp(2 * log_scale) - 1) - log_scale


class GaussianLatents(nn.Module):
    """q(z | x) = N(mean, sigma^2), p(z) = N(0, 1), one of each for every channel and position.

    METHOD 3, row bits-back: y holds C means, then C log variances; z = mean + sigma * eps with
    sigma = exp(log variance / 2), reparametrised (arXiv:1312.6114), and the rate is the KL divergence, which
    is what bits-back coding really spends (arXiv:1901.04866). log sigma is clamped to the grid that the
    integer tables have, here as there, so that what is trained is what is coded.

    Coded are bins, 256 of equal width, their centres evenly spread over [-limit, limit]. Equal width, not
    equal mass under the prior, because a posterior then is the same integer cdf wherever its mean lies, and
    because equal masses make the outermost bins wider than a whole posterior. In evaluation z is the centre
    of its bin and the noise comes from a seed of its own, so that figures can be repeated.

    Args:
        config: channels, range of the bins and of log sigma.
    """

    dim = 1  # every bin stands for one number

    def __init__(self, config: GaussianLatentsConfig) -> None:
        super().__init__()
        self.config = config
        self.latent_channels = config.channels
        self.groups, self.codebook_size = config.channels, BINS
        self.step = 2 * config.limit / (BINS - 1)

    def split(self, y: Tensor) -> tuple[Tensor, Tensor]:
        """y [N, 2C, h, w] (C means, C log variances) -> mean and clamped log sigma, each [N, C, h, w]."""
        mean, log_variance = y.chunk(2, 1)
        return mean, (0.5 * log_variance).clamp(self.config.log_scale_min, self.config.log_scale_max)

    def bin(self, z: Tensor) -> Tensor:
        """The bin in which each z lies, the outer ones reaching to infinity: int64, same shape."""
        return ((z + self.config.limit) / self.step).round().clamp(0, BINS - 1).long()

    def lookup(self, indices: Tensor) -> Tensor:
        """Bins -> their centres, float of the same shape."""
        return indices.float() * self.step - self.config.limit

    def centres(self) -> Tensor:
        """The bins as codebooks [C, 256, 1]."""
        return self.lookup(torch.arange(BINS)).view(1, -1, 1).repeat(self.groups, 1, 1)

    def _noise(self, like: Tensor) -> Tensor:
        if self.training:
            return torch.randn_like(like)
        generator = torch.Generator(like.device).manual_seed(0)
        return torch.randn(like.shape, generator=generator, dtype=like.dtype, device=like.device)

    def forward(self, y: Tensor) -> Quantized:
        """Sample the posteriors that y [N, 2C, h, w] describes; the nats are their divergences."""
        mean, log_scale = self.split(y)
        z = mean + torch.exp(log_scale) * self._noise(mean)
        indices = self.bin(z.detach())
        if not self.training:
            z = self.lookup(indices).to(z.dtype)
        return Quantized(
            indices=indices,
            vectors=z,
            samples=z.unsqueeze(2),
            selection=None,
            loss=y.new_zeros(()),
            loss_per_element=y.new_zeros(()),
            nats=kl_to_standard_normal(mean, log_scale),
        )
