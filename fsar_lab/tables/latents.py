"""A trained prior's probabilities in every state, borders included, and what images say about them."""

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
MAX_TABLE_ENTRIES = 1 << 28  # 1 GB of uint32 counts before merging: larger priors are refused
MAX_CONTEXTS = 1 << 20  # of the entropy coder's map
CHUNK_STATES = 4096

Offset = tuple[int, int, int]


def all_states(order: int, codebook_size: int, start: int, stop: int) -> NDArray[np.int64]:
    """Context states of a group's contexts start..stop-1, first offset slowest: int64 [n, order]."""
    radix = codebook_size + 1
    number = np.arange(start, stop, dtype=np.int64)
    return np.stack([number // radix**i % radix for i in reversed(range(order))], 1)


def states_of(indices: NDArray[np.integer], offset: Offset) -> NDArray[np.int64]:
    """State of the neighbour at `offset` of every symbol of indices [N, G, h, w]: int64, likewise shaped."""
    _, groups, height, width = indices.shape
    dg, dy, dx = offset
    state = np.zeros(indices.shape, np.int64)
    if abs(dy) < height and abs(dx) < width and -dg < groups:
        ys, yd = slice(max(dy, 0), height + min(dy, 0)), slice(max(-dy, 0), height - max(dy, 0))
        xs, xd = slice(max(dx, 0), width + min(dx, 0)), slice(max(-dx, 0), width - max(dx, 0))
        state[:, -dg:, yd, xd] = indices[:, : groups + dg, ys, xs].astype(np.int64) + 1
    return state


def contexts_of(
    indices: NDArray[np.integer],
    offsets: tuple[Offset, ...],
    codebook_size: int,
    classes: NDArray[np.uint16] | None = None,
    class_counts: tuple[int, ...] = (),
) -> NDArray[np.int64]:
    """The context of every symbol of indices [N, G, h, w]: int64, likewise shaped.

    Numbered over all groups: group * C + the mixed radix of the states, or of their classes [G, o, K+1] if
    there are any; C = (K+1)^o, or the product of the numbers of classes.
    """
    groups = np.arange(indices.shape[1])[:, None, None]
    context = np.zeros(indices.shape, np.int64) + groups
    for tap, offset in enumerate(offsets):
        state, radix = states_of(indices, offset), codebook_size + 1
        if classes is not None:
            state, radix = classes[groups, tap, state].astype(np.int64), class_counts[tap]
        context = context * radix + state
    return context


def probabilities(
    prior: FSAR, codebooks: Tensor, group: int, states: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Softmax of the trained network of `group` in the given states [M, o]: float64 [M, K].

    The network itself runs in its own precision, the softmax in float64.

    Raises:
        ExportError: they are not finite.
    """
    import torch

    with torch.no_grad():
        logits = prior.logits(torch.from_numpy(states).to(codebooks.device), group, codebooks)
        result: NDArray[np.float64] = torch.softmax(logits.double(), -1).cpu().numpy()
    if not np.isfinite(result).all():
        raise ExportError(f"the prior's network of group {group} gives values that are not finite")
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
    if prior.groups * states * k > MAX_TABLE_ENTRIES or prior.groups * states > MAX_CONTEXTS:
        raise ExportError(
            f"an order-{order} prior over {k} symbols has {prior.groups * states:,} contexts of {k} counts; "
            "use a smaller codebook_size or fewer prior.offsets"
        )
    counts = np.empty((prior.groups * states, k), np.uint32)
    for group in range(prior.groups):
        for start in range(0, states, CHUNK_STATES):
            stop = min(states, start + CHUNK_STATES)
            rows = probabilities(prior, codebooks, group, all_states(order, k, start, stop))
            counts[group * states + start : group * states + stop] = normalise(rows, bits)
    return counts


def code_length(
    counts: NDArray[np.uint32], table: NDArray[np.integer], symbols: NDArray[np.integer]
) -> float:
    """Bits of symbols, each under the row of `counts` that `table` (of the same shape) names."""
    total = float(counts[0].sum())
    return float((np.log2(total) - np.log2(counts[table.ravel(), symbols.ravel()])).sum())
