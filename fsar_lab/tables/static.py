"""Static tables, one for each group, from a density that the quantizer owns."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fsar_lab.codec.prior import PRODUCT_BITS, PriorTables
from fsar_lab.tables.compact import compact_tables
from fsar_lab.tables.latents import contexts_of
from fsar_lab.tables.normalise import normalise

# The most that a table can have. Most channels of scalars hardly ever leave their mode: with 14 bits the
# floor of one count for every other symbol would cost 0.006 bit a latent, several times for each sub-pixel.
BITS = 16


def static_prior(probabilities: NDArray[np.float64], indices: NDArray[np.int64]) -> PriorTables:
    """The prior of order 0 of groups whose symbols have these probabilities, refined by counting.

    Args:
        probabilities: [G, K], rows sum to one.
        indices: [n, G, h, w] of training images.

    Raises:
        ExportError: probabilities too far apart for 16-bit factors.
    """
    counts = normalise(probabilities, BITS)
    contexts = contexts_of(indices, (), counts.shape[1])  # without neighbours: the group alone
    compact = compact_tables(counts, contexts, indices, 0, PRODUCT_BITS)
    by_group = compact.context_map.reshape(-1, 1)
    return PriorTables(compact.features, compact.basis, compact.bias, by_group, BITS, ())
