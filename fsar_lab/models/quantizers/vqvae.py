"""The classic VQ-VAE quantizer (arXiv:1711.00937)."""

from __future__ import annotations

from torch import Tensor

from fsar_lab.config.schema import VQVAEConfig
from fsar_lab.models.quantizers.base import Quantized, VectorQuantizer


class VQVAE(VectorQuantizer):
    """Nearest neighbour with straight-through gradient and the two stop-gradient losses of eq. 3.

    Both losses are means over elements and are not divided by the number of sub-pixels (METHOD 3).
    """

    def __init__(self, config: VQVAEConfig) -> None:
        super().__init__(config, init_range=1.0 / config.codebook_size)
        self.codebook_weight = config.codebook_weight
        self.commitment_weight = config.commitment_weight

    def forward(self, y: Tensor, log_weights: Tensor | None = None) -> Quantized:
        """Quantize y [N, G*D, h, w], see the base class."""
        rows = self.rows(y)
        indices = self.nearest(rows.detach(), log_weights)
        hard = self.gather(indices)
        codebook = (rows.detach() - hard).square().mean()
        commitment = (rows - hard.detach()).square().mean()
        return Quantized(
            indices=self.index_images(indices, y),
            vectors=y + (self.images(hard, y).reshape(y.shape) - y).detach(),
            samples=self.images(hard, y),
            selection=None,
            loss=y.new_zeros(()),
            loss_per_element=self.codebook_weight * codebook + self.commitment_weight * commitment,
        )
