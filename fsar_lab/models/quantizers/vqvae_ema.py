"""VQ-VAE whose codebooks follow the encoder by moving averages."""

from __future__ import annotations

import torch
import torch.distributed as dist
from torch import Tensor

from fsar_lab.config.schema import VQVAEEMAConfig
from fsar_lab.models.quantizers.base import Quantized, VectorQuantizer


class VQVAEEMA(VectorQuantizer):
    """Nearest neighbour with straight-through gradient; codebooks without gradient (arXiv:1711.00937, A.1).

    For code k, with the rows y_1..y_n of a batch that chose it and decay d:

        N_k <- d N_k + (1 - d) n,   m_k <- d m_k + (1 - d) sum_i y_i,
        E_k = m_k / N'_k,   N'_k = (N_k + eps) / (N + K eps) N,   N = sum_k N_k  (Laplace smoothing).

    The only loss is the commitment |y - sg(E)|^2, a mean over elements that is not divided by the number of
    sub-pixels (METHOD 3). Under DDP all processes average over all rows. Averages start as if every code had
    been chosen once, at its place.
    """

    counts: Tensor
    sums: Tensor

    def __init__(self, config: VQVAEEMAConfig) -> None:
        super().__init__(config, init_range=None)
        self.config = config
        self.codebooks.requires_grad_(False)
        self.register_buffer("counts", torch.ones(self.groups, self.codebook_size))
        self.register_buffer("sums", self.codebooks.detach().clone())

    def _smoothed(self) -> Tensor:
        """Laplace-smoothed counts [G, K, 1], with the counts' sum."""
        total, epsilon = self.counts.sum(1, keepdim=True), self.config.epsilon
        smoothed = (self.counts + epsilon) / (total + self.codebook_size * epsilon) * total
        return smoothed.unsqueeze(-1)

    @torch.no_grad()
    def follow(self, rows: Tensor, indices: Tensor) -> None:
        """Move the averages, and the codebooks with them, by rows [G, M, D] that chose codes [G, M]."""
        count = torch.zeros_like(self.counts)
        count.scatter_add_(1, indices, torch.ones_like(indices, dtype=count.dtype))
        total = torch.zeros_like(self.sums)
        total.scatter_add_(1, indices.unsqueeze(-1).expand_as(rows), rows)
        if dist.is_available() and dist.is_initialized():
            dist.all_reduce(count)
            dist.all_reduce(total)
        self.counts.lerp_(count, 1.0 - self.config.decay)
        self.sums.lerp_(total, 1.0 - self.config.decay)
        self.codebooks.data.copy_(self.sums / self._smoothed())

    @torch.no_grad()
    def restart_dead(self, y: Tensor) -> None:
        """As every vector quantizer; the averages then stand at the new places."""
        super().restart_dead(y)
        self.sums.copy_(self.codebooks * self._smoothed())

    def forward(self, y: Tensor, log_weights: Tensor | None = None) -> Quantized:
        """Quantize y [N, G*D, h, w], see the base class; in training the codebooks move afterwards."""
        rows = self.rows(y)
        indices = self.nearest(rows.detach(), log_weights)
        hard = self.gather(indices)
        if self.training:
            self.follow(rows.detach(), indices)
        return Quantized(
            indices=self.index_images(indices, y),
            vectors=y + (self.images(hard, y).reshape(y.shape) - y).detach(),
            samples=self.images(hard, y),
            selection=None,
            loss=y.new_zeros(()),
            loss_per_element=self.config.commitment_weight * (rows - hard).square().mean(),
        )
