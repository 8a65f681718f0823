"""The static prior: how often each code is used, learned."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from fsar_lab.config.schema import CodeFreqConfig
from fsar_lab.models.priors.fsar import cost_of
from fsar_lab.models.quantizers.base import Quantized


class CodeFreq(nn.Module):
    """p_g(k) = softmax(w_g)_k: the finite-state prior of order 0 (METHOD 3, "learned pmf per group").

    Coded with one table for each group, counted in training images.

    Args:
        config: whether the coded symbols get the rate's gradient.
        groups: G. codebook_size: K.
    """

    offsets: tuple[tuple[int, int, int], ...] = ()

    def __init__(self, config: CodeFreqConfig, groups: int, codebook_size: int, dim: int) -> None:
        super().__init__()
        del dim
        self.groups, self.codebook_size = groups, codebook_size
        self.detach_posterior = config.detach_posterior
        self.logits = nn.Parameter(torch.zeros(groups, codebook_size))

    def nats(self, quantized: Quantized, codebooks: Tensor) -> Tensor:
        """Code length per symbol [N, G, h, w]."""
        del codebooks
        n, _, h, w = quantized.indices.shape
        table = torch.log_softmax(self.logits, -1)
        parts = []
        for group in range(self.groups):
            symbols = quantized.indices[:, group].flatten()
            selection = None
            if quantized.selection is not None and not self.detach_posterior:
                selection = quantized.selection[group]
            parts.append(cost_of(symbols, table, torch.full_like(symbols, group), selection).view(n, h, w))
        return torch.stack(parts, 1)
