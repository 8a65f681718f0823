"""The whole model: analysis, quantizer, prior, synthesis, coder."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from fsar_lab.models.backbones.shallow import Shallow
from fsar_lab.models.coders.gaussian import Gaussian
from fsar_lab.models.priors.fsar import FSAR
from fsar_lab.models.priors.uniform import Uniform
from fsar_lab.models.quantizers.base import Quantized, VectorQuantizer


@dataclass
class Output:
    """One pass over a batch; everything in nats.

    Attributes:
        pixel_nats: float [N, C, H, W], cost of each sub-pixel.
        latent_nats: float [N, G, h, w], cost of each symbol.
        loss: scalar, nats per sub-pixel, what is minimised.
        indices: int64 [N, G, h, w].
        y: encoder output [N, G*D, h, w].
    """

    pixel_nats: Tensor
    latent_nats: Tensor
    loss: Tensor
    indices: Tensor
    y: Tensor


class Compressor(nn.Module):
    """Joins a backbone, a quantizer, a prior and a coder; plain PyTorch.

    Args:
        backbone: analysis and synthesis networks.
        quantizer: y to symbols.
        prior: distribution of the indices.
        coder: distribution of the pixels.
    """

    def __init__(
        self, backbone: Shallow, quantizer: VectorQuantizer, prior: FSAR | Uniform, coder: Gaussian
    ) -> None:
        super().__init__()
        self.backbone, self.quantizer, self.prior, self.coder = backbone, quantizer, prior, coder

    @staticmethod
    def centred(x: Tensor) -> Tensor:
        """uint8 -> float in [-0.5, 0.5], the networks' input."""
        return x.float() / 255.0 - 0.5

    def forward(self, x: Tensor) -> Output:
        """uint8 x [N, C, H, W] -> costs and loss (METHOD 3: latent terms are divided by the sub-pixels)."""
        y: Tensor = self.backbone.analysis(self.centred(x))
        quantized: Quantized = self.quantizer(y)
        theta: Tensor = self.backbone.synthesis(quantized.vectors)
        pixel_nats = self.coder.nats(theta, x)
        latent_nats = self.prior.nats(quantized, self.quantizer.codebooks)
        latent_loss = (latent_nats.sum() + quantized.loss) / x.numel()
        loss = pixel_nats.mean() + latent_loss + quantized.loss_per_element
        return Output(pixel_nats, latent_nats, loss, quantized.indices, y)

    @torch.no_grad()
    def initialise(self, x: Tensor) -> None:
        """Start the coder from training pixels (uint8 [N, C, H, W]) and the head at that distribution."""
        bias = self.coder.fit(x)
        head = self.backbone.head
        assert head.bias is not None
        head.bias.copy_(bias)
        head.weight.mul_(0.1)  # near the fitted start, yet not so near that no gradient passes
