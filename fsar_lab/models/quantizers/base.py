"""What every vector quantizer shares: codebooks, nearest-neighbour search and dead-code restart."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.distributed as dist
from torch import Tensor, nn

from fsar_lab.config.schema import VectorQuantizerConfig


@dataclass
class Quantized:
    """Result of quantizing y [N, G*D, h, w].

    Attributes:
        indices: int64 [N, G, h, w], symbols 0..K-1.
        vectors: float [N, G*D, h, w], what the synthesis network sees (straight-through to y).
        samples: float [N, G, D, h, w], codebook vectors before the output straight-through: the
            contexts of an autoregressive prior (METHOD 4.2).
        selection: float [G, N*h*w, K] relaxed one-hot selection that carries the rate gradient, or None.
        loss: nats summed over everything, the quantizer's own terms (commitment and the like).
        loss_per_element: a further term that is a mean over elements, not to be divided by the
            number of sub-pixels (VQ-VAE's losses, METHOD 3).
        nats: cost of each symbol under the quantizer's own density (prior=none), shaped as `indices`.
        hard: float [N, G*D, h, w], codebook vectors whose distortion is mixed in, or None.
        soft_share: share of the distortion that `vectors` keep beside `hard`.
        rate_is_fixed: no gradient of the rate is wanted, neither here nor in the prior.
    """

    indices: Tensor
    vectors: Tensor
    samples: Tensor
    selection: Tensor | None
    loss: Tensor
    loss_per_element: Tensor
    nats: Tensor | None = None
    hard: Tensor | None = None
    soft_share: float = 1.0
    rate_is_fixed: bool = False


def without_gradient(x: Tensor) -> Tensor:
    """x with gradients of zero: unlike detach(), which leaves parameters without any, and DDP waiting."""
    return x.detach() + 0.0 * x


class VectorQuantizer(nn.Module):
    """G codebooks of K vectors of D numbers; `y` is split group-major over channels.

    Args:
        config: sizes and the restart rule.
        init_range: codebook entries start uniform in [-init_range, init_range]; None is 1 / K.
    """

    usage: Tensor

    def __init__(self, config: VectorQuantizerConfig, init_range: float | None) -> None:
        super().__init__()
        self.groups, self.codebook_size, self.dim = config.groups, config.codebook_size, config.dim
        self.restart = config.restart
        shape = (self.groups, self.codebook_size, self.dim)
        reach = 1.0 / self.codebook_size if init_range is None else init_range
        self.codebooks = nn.Parameter(torch.empty(shape).uniform_(-reach, reach))
        self.register_buffer("usage", torch.zeros(self.groups, self.codebook_size), persistent=False)

    def rows(self, y: Tensor) -> Tensor:
        """[N, G*D, h, w] -> [G, N*h*w, D]."""
        n, _, h, w = y.shape
        split = y.reshape(n, self.groups, self.dim, h * w)
        return split.permute(1, 0, 3, 2).reshape(self.groups, -1, self.dim)

    def images(self, rows: Tensor, like: Tensor) -> Tensor:
        """[G, N*h*w, D] -> [N, G, D, h, w], the shape of `like` [N, G*D, h, w]."""
        n, _, h, w = like.shape
        return rows.view(self.groups, n, h, w, self.dim).permute(1, 0, 4, 2, 3)

    def affinity(self, rows: Tensor, scale: float = 1.0) -> Tensor:
        """scale * (row . e - |e|^2 / 2) for [G, M, D] rows -> [G, M, K], largest for the nearest codeword.

        It is -scale/2 times the squared distance, up to a constant per row.
        """
        half = (0.5 * scale) * self.codebooks.square().sum(-1).unsqueeze(1)
        return torch.baddbmm(half, rows, self.codebooks.transpose(1, 2), beta=-1.0, alpha=scale)

    def nearest(self, rows: Tensor, log_weights: Tensor | None) -> Tensor:
        """Codes of [G, M, D] rows that maximise -d / 2 plus the log weights, if any: int64 [G, M]."""
        affinity = self.affinity(rows)
        if log_weights is not None:
            affinity = affinity + log_weights.unsqueeze(1)
        return affinity.argmax(-1)

    def gather(self, indices: Tensor) -> Tensor:
        """Codebook vectors of int64 [G, M] -> [G, M, D], with gradient to the codebooks."""
        base = torch.arange(self.groups, device=indices.device).unsqueeze(1) * self.codebook_size
        return nn.functional.embedding(indices + base, self.codebooks.flatten(0, 1))

    def index_images(self, indices: Tensor, like: Tensor) -> Tensor:
        """[G, N*h*w] -> [N, G, h, w]."""
        n, _, h, w = like.shape
        return indices.view(self.groups, n, h, w).transpose(0, 1)

    def index_rows(self, indices: Tensor) -> Tensor:
        """[N, G, h, w] -> [G, N*h*w]."""
        return indices.transpose(0, 1).reshape(self.groups, -1)

    @torch.no_grad()
    def lookup(self, indices: Tensor) -> Tensor:
        """Indices [N, G, h, w] -> codebook vectors [N, G*D, h, w]."""
        n, _, h, w = indices.shape
        vectors = self.gather(self.index_rows(indices))
        return vectors.view(self.groups, n, h, w, self.dim).permute(1, 0, 4, 2, 3).reshape(n, -1, h, w)

    @torch.no_grad()
    def count_usage(self, indices: Tensor) -> None:
        """Add the codes of one batch [N, G, h, w] to the usage since the last restart."""
        flat = self.index_rows(indices)
        self.usage.scatter_add_(1, flat, torch.ones_like(flat, dtype=self.usage.dtype))

    @torch.no_grad()
    def restart_dead(self, y: Tensor) -> None:
        """Move every code that is hardly used onto a random encoder output of `y`; forget the usage.

        Runs without a host synchronisation; under DDP all processes agree on usage and new entries.
        """
        rows = self.rows(y)
        pick = torch.randint(rows.shape[1], (self.groups, self.codebook_size, 1), device=rows.device)
        fresh = rows.gather(1, pick.expand(-1, -1, self.dim))
        if dist.is_available() and dist.is_initialized():
            dist.all_reduce(self.usage)
            dist.broadcast(fresh, 0)
        share = self.usage / self.usage.sum(1, keepdim=True).clamp_min(1.0)
        dead = share < self.restart.min_share / self.codebook_size
        self.codebooks.data.copy_(torch.where(dead.unsqueeze(-1), fresh, self.codebooks.data))
        self.usage.zero_()

    def posterior_variance(self) -> float:
        """sigma^2 of softmax(-d / 2 sigma^2), the posterior that `log_weights` are added to."""
        return 1.0

    def forward(self, y: Tensor, log_weights: Tensor | None = None) -> Quantized:
        """Quantize y [N, G*D, h, w].

        log_weights, float [G, K], is added to log-softmax(-d / 2 sigma^2): the choice that a prior which
        drops states prefers (METHOD 5).
        """
        raise NotImplementedError
