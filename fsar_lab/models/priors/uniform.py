"""The uniform prior: every symbol costs log K."""

from __future__ import annotations

import math

from torch import Tensor, nn

from fsar_lab.config.schema import UniformConfig
from fsar_lab.models.quantizers.base import Quantized


class Uniform(nn.Module):
    """p(k) = 1/K."""

    offsets: tuple[tuple[int, int, int], ...] = ()

    def __init__(self, config: UniformConfig, groups: int, codebook_size: int, dim: int) -> None:
        super().__init__()
        del config, dim
        self.groups, self.codebook_size = groups, codebook_size

    def nats(self, quantized: Quantized, codebooks: Tensor) -> Tensor:
        """Code length per symbol [N, G, h, w]; no gradient, since the selection sums to one."""
        del codebooks
        n, g, h, w = quantized.indices.shape
        return quantized.vectors.new_full((n, g, h, w), math.log(self.codebook_size))
