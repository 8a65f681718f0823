"""What a model costs and how it uses its codebooks, summed exactly over batches and processes."""

from __future__ import annotations

import math
from typing import Any

import fsar_lab._torchvision_guard  # noqa: F401  isort: skip

import torch
from torch import Tensor
from torchmetrics import Metric


class BitsPerDimension(Metric):
    """Bits per 8-bit sample of one part of the code (pixels, latents, or both): a cross-entropy, not bytes.

    Sums are float64, so that the mean over a million images of float32 costs does not drift, and they
    are added over processes: with unequal shares the result is still that of a single process.
    """

    full_state_update = False
    higher_is_better = False
    is_differentiable = False
    nats: Tensor
    sub_pixels: Tensor

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.add_state("nats", torch.zeros((), dtype=torch.float64), dist_reduce_fx="sum")
        self.add_state("sub_pixels", torch.zeros((), dtype=torch.int64), dist_reduce_fx="sum")

    def update(self, nats: Tensor, sub_pixels: int) -> None:
        """Add one batch, without waiting for the device.

        Args:
            nats: Costs in nats, float of any shape; their sum counts.
            sub_pixels: Number of 8-bit samples (N·C·H·W) that these costs code.
        """
        self.nats += nats.detach().sum(dtype=torch.float64)
        self.sub_pixels += sub_pixels

    def compute(self) -> Tensor:
        """Bits per sub-pixel, float64 scalar; NaN before the first update."""
        return self.nats / (self.sub_pixels.double() * math.log(2.0))


class CodebookUsage(Metric):
    """Histogram of the indices of every group.

    Args:
        groups: G, number of codebooks.
        codebook_size: K, vectors in each.
    """

    full_state_update = False
    is_differentiable = False
    histogram: Tensor

    def __init__(self, groups: int, codebook_size: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        histogram = torch.zeros(groups, codebook_size, dtype=torch.int64)
        self.add_state("histogram", histogram, dist_reduce_fx="sum")

    def update(self, indices: Tensor) -> None:
        """Count int64 indices [N, G, h, w], each in 0..K-1; `bincount` would wait for the device."""
        flat = indices.transpose(0, 1).flatten(1)
        self.histogram.scatter_add_(1, flat, torch.ones_like(flat))

    def compute(self) -> dict[str, Tensor]:
        """How the codebooks were used, all float64.

        Returns:
            `perplexity_per_group`: [G], exp of the entropy of the index frequencies, the number of equally
            likely codes that would carry as much (1 before the first update); `perplexity`: its mean;
            `dead_codes`: codes of all groups together that were never chosen.
        """
        counts = self.histogram.double()
        share = counts / counts.sum(1, keepdim=True).clamp_min(1.0)
        perplexity = torch.special.entr(share).sum(1).exp()
        dead = (counts == 0).sum().double()
        return {"perplexity_per_group": perplexity, "perplexity": perplexity.mean(), "dead_codes": dead}
