"""Posteriors of sampled latents in integers: what bits-back coding has in place of the codeword search."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fsar_lab.codec.fields import Tensors, inflate, integer
from fsar_lab.codec.integer_network import Layer, NetworkError
from fsar_lab.codec.parts import Json, Pack
from fsar_lab.tables.pixels import FINE, REACH

BINS = 256
BITS = 15  # of a posterior: its cdf ends at 2^15 and fits 16 bits
MAX_SCALES = 256


@dataclass(frozen=True)
class Posterior:
    """q(z | x) of each latent over 256 bins, given (mean, scale) pairs from the analysis network.

    Bin j begins at C(j) = F_s[4 j - 2 - m] of 2^15, C(0) = 0, for the scale s and the mean m in quarters of a
    bin: the pixels' arithmetic (docs/ARCHITECTURE.md), but no bin has a count that it does not deserve. A
    posterior is sampled from, and one latent in a thousand far from its mean would spoil the pixels
    around it; nothing that was not sampled is ever coded with it.

    Attributes:
        cdf: uint16 [S, 2 * 1022 + 1], F_s, non-decreasing, at most 2^15.
    """

    cdf: NDArray[np.uint16]

    def check(self, head: Layer, groups: int, codebook_size: int) -> None:
        """Raise NetworkError unless the analysis network's last layer gives a pair for each latent."""
        if self.cdf.dtype != np.uint16 or self.cdf.shape[1:] != (2 * REACH + 1,):
            raise NetworkError("the posterior's cdf has the wrong shape or type")
        if (np.diff(self.cdf.astype(np.int32), axis=1) < 0).any() or self.cdf.max() > 1 << BITS:
            raise NetworkError("a cdf of the posterior decreases or exceeds its total")
        if codebook_size != BINS or len(head.low) != 2 * groups:
            raise NetworkError("the analysis network does not give a mean and a scale for each latent")
        if head.low.min() < 0 or head.high[0::2].max() > FINE or head.high[1::2].max() >= len(self.cdf):
            raise NetworkError("the analysis network's outputs do not fit the posterior's tables")

    def put(self, tensors: dict[str, NDArray[Any]], pack: Pack) -> Json:
        """Cdfs as second differences."""
        slopes = np.diff(self.cdf.astype(np.int32), axis=1, prepend=0)
        tensors["posterior.cdf"] = pack(np.diff(slopes, axis=1, prepend=0).astype(np.uint16))
        return {"scales": len(self.cdf)}

    @staticmethod
    def get(description: object, tensors: Tensors) -> Posterior:
        """What `put` stored; sums are taken modulo 2^16, as differences were."""
        scales = integer(description, "scales", 1, MAX_SCALES)
        curves = inflate(tensors, "posterior.cdf", np.uint16, (scales, 2 * REACH + 1))
        return Posterior(np.cumsum(np.cumsum(curves, 1, np.uint16), 1, np.uint16))
