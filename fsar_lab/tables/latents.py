"""A trained prior to integer tables, one for every state, borders included."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from fsar_lab.errors import ExportError
from fsar_lab.tables.normalise import normalise

if TYPE_CHECKING:
    from torch import Tensor

    from fsar_lab.models.priors.fsar import FSAR

BITS = 14  # at 10 bits the floor of one count costs 3.5-5 % of the latents, at 14 below 0.1 %
MAX_TABLE_ENTRIES = 1 << 28  # 1 GB of uint32 counts: larger priors are refused, at export and on loading
CHUNK_STATES = 4096


def uniform_counts(groups: int, codebook_size: int, bits: int = BITS) -> NDArray[np.uint32]:
    """One uniform table for each group: uint32 [G, K]."""
    return normalise(np.ones((groups, codebook_size)), bits)


def all_states(order: int, codebook_size: int, start: int, stop: int) -> NDArray[np.int64]:
    """Context states of a group's tables start..stop-1, first offset slowest: int64 [stop - start, order]."""
    radix = codebook_size + 1
    number = np.arange(start, stop, dtype=np.int64)
    return np.stack([number // radix**i % radix for i in reversed(range(order))], 1)


def state_probabilities(
    prior: FSAR, codebooks: Tensor, group: int, start: int, stop: int
) -> NDArray[np.float64]:
    """Softmax of the trained network in states start..stop-1 of `group`: float64 [stop - start, K].

    The network itself runs in its own precision, the softmax in float64.
    """
    import torch

    with torch.no_grad():
        states = torch.from_numpy(all_states(len(prior.offsets), prior.codebook_size, start, stop))
        logits = prior.logits(states.to(codebooks.device), group, codebooks)
        result: NDArray[np.float64] = torch.softmax(logits.double(), -1).cpu().numpy()
    return result


def fsar_counts(prior: FSAR, codebooks: Tensor, bits: int = BITS) -> NDArray[np.uint32]:
    """Counts for every state of every group: uint32 [G * (K+1)^o, K].

    Args:
        prior: trained FSAR prior (METHOD 4).
        codebooks: [G, K, D], whose vectors are the contexts.
        bits: logarithm of every row's sum.

    Raises:
        ExportError: too many states for a table, or a network whose output is not finite.
    """
    k, order = prior.codebook_size, len(prior.offsets)
    states = (k + 1) ** order
    if prior.groups * states * k > MAX_TABLE_ENTRIES:
        raise ExportError(
            f"an order-{order} prior over {k} symbols has {prior.groups * states:,} tables of {k} entries; "
            "use a smaller codebook_size or fewer prior.offsets"
        )
    counts = np.empty((prior.groups * states, k), np.uint32)
    for group in range(prior.groups):
        for start in range(0, states, CHUNK_STATES):
            stop = min(states, start + CHUNK_STATES)
            probabilities = state_probabilities(prior, codebooks, group, start, stop)
            if not np.isfinite(probabilities).all():
                raise ExportError(f"the prior's network of group {group} gives values that are not finite")
            counts[group * states + start : group * states + stop] = normalise(probabilities, bits)
    return counts
