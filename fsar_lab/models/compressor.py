"""The whole model: analysis, quantizer, prior, synthesis, coder."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from fsar_lab.models.quantizers.base import Quantized, VectorQuantizer, without_gradient


@dataclass
class Output:
    """One pass over a batch; everything in nats.

    Attributes:
        pixel_nats: float [N, C, H, W], cost of each sub-pixel.
        latent_nats: float [N, G, h, w], cost of each symbol; G = 0 without latents.
        loss: scalar, nats per sub-pixel, what is minimised.
        indices: int64 [N, G, h, w].
        y: encoder output [N, G*D, h, w]; None without a backbone.
    """

    pixel_nats: Tensor
    latent_nats: Tensor
    loss: Tensor
    indices: Tensor
    y: Tensor | None


class Compressor(nn.Module):
    """Joins a backbone, a quantizer, a prior and a coder; plain PyTorch.

    Args:
        backbone: analysis and synthesis networks; None for coders that need pixels alone.
        quantizer: y to symbols; None without a backbone.
        prior: distribution of the indices; None without latents, or if the quantizer owns their density.
        coder: distribution of the pixels.
    """

    backbone: Any
    quantizer: Any
    prior: Any
    coder: Any

    def __init__(
        self,
        backbone: nn.Module | None,
        quantizer: nn.Module | None,
        prior: nn.Module | None,
        coder: nn.Module,
    ) -> None:
        super().__init__()
        self.backbone, self.quantizer, self.prior, self.coder = backbone, quantizer, prior, coder
        self.frozen: frozenset[str] = frozenset()

    @property
    def codebooks(self) -> VectorQuantizer | None:
        """The quantizer, if it has codebooks whose use can be counted."""
        return self.quantizer if isinstance(self.quantizer, VectorQuantizer) else None

    def freeze(self, parts: Iterable[str]) -> None:
        """Leave the named parts as they are: no gradient, evaluation mode even while the rest is trained."""
        self.frozen = frozenset(parts)
        for part in self.frozen:
            getattr(self, part).requires_grad_(False).eval()

    def train(self, mode: bool = True) -> Compressor:
        """Training or evaluation mode, the latter for what is frozen."""
        super().train(mode)
        for part in self.frozen:
            getattr(self, part).eval()
        return self

    @staticmethod
    def centred(x: Tensor) -> Tensor:
        """uint8 -> float in [-0.5, 0.5], the networks' input."""
        return x.float() / 255.0 - 0.5

    def on_step(self, step: int, steps: int) -> None:
        """Tell every part that has an `on_step` that optimizer step `step` of `steps` begins."""
        for part in (self.backbone, self.quantizer, self.prior, self.coder):
            if hasattr(part, "on_step"):
                part.on_step(step, steps)

    def forward(self, x: Tensor) -> Output:
        """uint8 x [N, C, H, W] -> costs and loss (METHOD 3: latent terms are divided by the sub-pixels)."""
        if self.backbone is None:
            pixel_nats = self.coder.nats(None, x)
            none = x.new_zeros((len(x), 0, 1, 1))
            return Output(pixel_nats, none.float(), pixel_nats.mean(), none.long(), None)
        y: Tensor = self.backbone.analysis(self.centred(x))
        # A prior that drops states weighs the quantizer's choice: the same one in training and in coding.
        weights = {"log_weights": self.prior.log_weights()} if hasattr(self.prior, "log_weights") else {}
        quantized: Quantized = self.quantizer(y, **weights)
        if self.training and {"backbone", "coder"} <= self.frozen:
            pixel_nats = y.new_zeros(x.shape)  # nothing that learns depends on them: most of a step saved
        else:
            pixel_nats = self.coder.nats(self.backbone.synthesis(quantized.vectors), x)
        latent_nats = quantized.nats
        if self.prior is not None:
            latent_nats = self.prior.nats(quantized, self.quantizer.codebooks)
        assert latent_nats is not None
        rate = without_gradient(latent_nats) if quantized.rate_is_fixed else latent_nats
        latent_loss = (rate.sum() + quantized.loss) / x.numel()
        distortion = pixel_nats.mean()
        if quantized.hard is not None:
            hard = self.coder.nats(self.backbone.synthesis(quantized.hard), x).mean()
            distortion = quantized.soft_share * distortion + (1.0 - quantized.soft_share) * hard
        loss = distortion + latent_loss + quantized.loss_per_element
        return Output(pixel_nats, latent_nats, loss, quantized.indices, y)

    @torch.no_grad()
    def initialise(self, x: Tensor) -> None:
        """Start the coder from training pixels (uint8 [N, C, H, W]) and the head at that distribution."""
        bias = self.coder.fit(x)
        if self.backbone is None:
            return
        head = self.backbone.head
        assert head.bias is not None
        head.bias.copy_(bias)
        head.weight.mul_(0.1)  # near the fitted start, yet not so near that no gradient passes
