"""How many bits integer tables get, and what they cost."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from entropy_bench.sources import Array
from entropy_bench.workloads import IndexedWorkload
from fsar_lab.entropy.build import counts_from_weights
from fsar_lab.entropy.tables import Layout

WEIGHT_BITS = 40  # probabilities become integers of this many bits before they become counts


@dataclass(frozen=True)
class Precision:
    """Tables sum to 2^bits; with an escape, symbols too rare for a count share one.

    `layout` is how the decoder finds a symbol, see `entropy.Tables`.
    """

    bits: int
    escape: bool = False
    layout: Layout = "auto"

    def counts(self, tables: Array) -> Array:
        """Probabilities [M, K] to uint32 [M, K], or [M, K + 1] with an escape."""
        weights = np.rint(tables.astype(np.float64) * (1 << WEIGHT_BITS)).astype(np.uint64)
        return counts_from_weights(weights, self.bits, "escape" if self.escape else "every")

    def cost(self, workload: IndexedWorkload) -> float:
        """Bits that the workload's symbols take with these tables."""
        counts, symbols = self.counts(workload.tables), workload.tables.shape[1]
        own = counts[workload.index, workload.symbols]
        bits = self.bits - np.log2(np.maximum(own, 1))
        if self.escape:
            escape = counts[workload.index, symbols]
            raw = math.ceil(math.log2(symbols))
            bits = np.where(own > 0, bits, self.bits + raw - np.log2(np.maximum(escape, 1)))
        return float(bits.sum())


# The fastest whose cost stays within 0.1 %, by experiment. Escapes save bits but cost a detour where they
# occur, and more bits cost no time.
TUNED = {
    "static": Precision(13, escape=True),
    "order1": Precision(15),
    "indexed1024": Precision(14, escape=True),
    "indexed64": Precision(14, escape=True),
    "fsar_o2_k32": Precision(13),
    "fsar_o2_k256_merged": Precision(14),
    "fsar_o2_k32_single_image": Precision(12, layout="tree"),  # a lane alone waits for the cache: small rows
}


def ten_bits(workload: IndexedWorkload) -> Precision:
    """Ten bits, with an escape if that makes the symbols cost less."""
    return min((Precision(10), Precision(10, escape=True)), key=lambda choice: choice.cost(workload))
