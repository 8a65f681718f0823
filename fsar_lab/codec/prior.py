"""The latents' distribution as integer tables, and how they are coded with it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fsar_lab import entropy

Offset = tuple[int, int, int]


@dataclass(frozen=True)
class PriorTables:
    """Counts of every state of every group.

    Attributes:
        counts: uint32 [G * (K+1)^o, K], rows sum to 2^bits; group slowest, then the first offset.
        bits: logarithm of a row's sum.
        groups: G. codebook_size: K.
        offsets: the o causal neighbours (group, row, column); none for a prior without context.
    """

    counts: NDArray[np.uint32]
    bits: int
    groups: int
    codebook_size: int
    offsets: tuple[Offset, ...]

    def sums_fit(self) -> bool:
        """Whether there is one row for each state and every row sums to 2^bits, no count being zero."""
        rows = self.groups * (self.codebook_size + 1) ** len(self.offsets)
        if self.counts.shape != (rows, self.codebook_size) or self.counts.min() < 1:
            return False
        return bool((self.counts.sum(1, dtype=np.uint64) == 1 << self.bits).all())


class LatentCoder:
    """Pushes and pops indices [N, G, h, w] with one prior."""

    def __init__(self, prior: PriorTables) -> None:
        self.groups = prior.groups
        self.tables = entropy.Tables(prior.counts, prior.bits)
        self.fsar = None
        if prior.offsets:
            self.fsar = entropy.FSARModel(self.tables, prior.offsets, prior.groups, prior.codebook_size)

    def push(self, encoder: entropy.Encoder, indices: NDArray[np.uint16]) -> None:
        """Code indices, uint16 [N, G, h, w]."""
        if self.fsar is not None:
            encoder.push_fsar(self.fsar, indices)
        else:
            flat = indices.reshape(len(indices), -1)
            encoder.push_indexed(self.tables, flat, self._index(indices.shape))

    def pop(self, decoder: entropy.Decoder, shape: tuple[int, int, int, int]) -> NDArray[np.uint16]:
        """Decode indices of `shape` [N, G, h, w]."""
        if self.fsar is not None:
            return decoder.pop_fsar(self.fsar, shape)
        return decoder.pop_indexed(self.tables, self._index(shape)).reshape(shape)

    def _index(self, shape: tuple[int, ...]) -> NDArray[np.uint32]:
        """Without context the table is the group's: uint32 [N, G * h * w]."""
        group = np.repeat(np.arange(self.groups, dtype=np.uint32), shape[2] * shape[3])
        return np.tile(group, (shape[0], 1))
