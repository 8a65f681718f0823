"""STHQ, the straight-through hardmax quantizer ("V2DVQ")."""

from __future__ import annotations

import torch
from torch import Tensor

from fsar_lab.config.schema import STHQConfig
from fsar_lab.models.quantizers.base import Quantized, VectorQuantizer


def gumbel_noise(like: Tensor, temperature: float) -> Tensor:
    """Gumbel variates over `temperature`, shaped as `like`; from uniforms, far faster than exponential_()."""
    tiny = torch.finfo(like.dtype).tiny
    noise = torch.rand_like(like).clamp_min_(tiny).log_().neg_().clamp_min_(tiny).log_()
    return noise.mul_(-1.0 / temperature)


class STHQ(VectorQuantizer):
    """Nearest neighbour forward; relaxed Gumbel selection backward (METHOD 3, row STHQ).

    With l = -|y - E|^2 / (2 sigma^2), g ~ GumbelSoftmax(l, tau) and s = onehot(argmax l) + g - sg(g):
    the synthesis network sees E_k and its gradient is copied to y (nothing reaches the codebook);
    the commitment term |y - sum_k s_k E_k|^2 / (2 sigma^2) has no stop-gradients; the rate term of the
    prior may use s through `Quantized.selection`.
    """

    def __init__(self, config: STHQConfig) -> None:
        super().__init__(config, init_range=1.0)
        self.temperature = config.gumbel_temperature
        self.variance = config.variance
        self.commitment_weight = config.commitment_weight

    def forward(self, y: Tensor, log_weights: Tensor | None = None) -> Quantized:
        """Quantize y [N, G*D, h, w], see the base; the loss is the weighted commitment term, summed, in nats."""
        rows = self.rows(y)
        # Logits already divided by the temperature: the argmax does not mind, and a pass is saved.
        logits = self.affinity(rows, 1.0 / (self.variance * self.temperature))
        if log_weights is not None:
            logits = logits + log_weights.unsqueeze(1) / self.temperature
        indices = logits.argmax(-1)
        hard = self.gather(indices)
        selection = None
        samples = hard
        if self.training:
            selection = torch.softmax(logits + gumbel_noise(logits, self.temperature), -1)
            # sum_k (g_k - sg(g_k)) E_k is zero in value and carries g's gradient; E itself gets none here.
            relaxed = torch.bmm(selection, self.codebooks.detach())
            samples = hard + (relaxed - relaxed.detach())
        commitment = (rows - samples).square().sum() * (0.5 / self.variance)
        vectors = y + (self.images(hard, y).reshape(y.shape) - y).detach()
        return Quantized(
            indices=self.index_images(indices, y),
            vectors=vectors,
            samples=self.images(samples, y),
            selection=selection,
            loss=self.commitment_weight * commitment,
            loss_per_element=y.new_zeros(()),
        )
