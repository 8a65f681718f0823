"""A trained prior as few integer tables: every context where they can be enumerated, classes where not."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from fsar_lab.codec.prior import PRODUCT_BITS, PriorTables
from fsar_lab.tables import latents
from fsar_lab.tables.classes import StateClasses, reduce_states
from fsar_lab.tables.compact import STRENGTH, Compact, best_tables, compact_tables
from fsar_lab.tables.normalise import normalise

if TYPE_CHECKING:
    from torch import Tensor

    from fsar_lab.models.priors.fsar import FSAR

MERGE_LOSS_PPM = 5000  # of the latents' entropy, what merging contexts may lose before tables are fitted anew
MAX_ENUMERATED = 1 << 26  # counts in all contexts together: above, states are reduced to classes
COARSE_COUNTS = 1 << 25  # the same of the classes from which the tables are made
SAMPLED_CONTEXTS = 1 << 21  # of a group, of training images, in which the network is asked


def fsar_tables(prior: FSAR, codebooks: Tensor, indices: NDArray[np.int64]) -> PriorTables:
    """The tables of a finite-state prior.

    Args:
        prior: trained.
        codebooks: [G, K, D], whose vectors are the contexts.
        indices: int64 [n, G, h, w] of training images.
    """
    size, order = prior.codebook_size, len(prior.offsets)
    contexts = prior.groups * (size + 1) ** order
    if contexts > latents.MAX_CONTEXTS or contexts * size > MAX_ENUMERATED:
        return _tables_of_classes(prior, codebooks, indices)
    numbers = latents.contexts_of(indices, prior.offsets, size)
    compact = compact_tables(
        latents.fsar_counts(prior, codebooks), numbers, indices, MERGE_LOSS_PPM, PRODUCT_BITS
    )
    return _joined(compact, compact.context_map, prior.groups, prior.offsets, latents.BITS)


def static_tables(p: NDArray[np.float64], indices: NDArray[np.int64], bits: int) -> PriorTables:
    """The tables of a static prior p [G, K]: one for each group, or fewer where they are alike.

    Here what training images show comes first: groups that are trained alike may be used differently.
    """
    seen = [np.bincount(group.reshape(-1), minlength=p.shape[1]) for group in indices.swapaxes(0, 1)]
    counts = normalise(np.stack(seen) + STRENGTH * p, bits)
    numbers = latents.contexts_of(indices, (), p.shape[1])
    compact = compact_tables(counts, numbers, indices, MERGE_LOSS_PPM, PRODUCT_BITS)
    return _joined(compact, compact.context_map, len(p), (), bits)


def _joined(
    compact: Compact,
    context_map: NDArray[np.uint16],
    groups: int,
    offsets: tuple[latents.Offset, ...],
    bits: int,
    classes: StateClasses | None = None,
) -> PriorTables:
    return PriorTables(
        features=compact.features,
        basis=compact.basis,
        bias=compact.bias,
        context_map=context_map.reshape(groups, -1),
        bits=bits,
        offsets=offsets,
        classes=None if classes is None else classes.of,
        class_counts=() if classes is None else classes.counts,
    )


def _tables_of_classes(prior: FSAR, codebooks: Tensor, indices: NDArray[np.int64]) -> PriorTables:
    """Tables from coarse classes, of which every context has a distribution; then a map of fine ones.

    A fine context that occurs goes to the table that suits it best, any other to that of the coarse context
    which it is a part of.
    """
    groups, size = prior.groups, prior.codebook_size
    samples = [_sample(prior, indices, group) for group in range(groups)]
    fewest = groups << len(prior.offsets)
    most = max(fewest, latents.MAX_CONTEXTS), max(fewest, COARSE_COUNTS // size)
    fine, coarse = reduce_states(prior, codebooks, samples, [most[0], min(most)])
    rows = [class_rows(prior, codebooks, group, coarse, samples[group]) for group in range(groups)]
    numbers = latents.contexts_of(indices, prior.offsets, size, coarse.of, coarse.counts)
    counts = normalise(np.concatenate(rows), latents.BITS)
    compact = compact_tables(counts, numbers, indices, MERGE_LOSS_PPM, PRODUCT_BITS)
    del rows, counts
    numbers = latents.contexts_of(indices, prior.offsets, size, fine.of, fine.counts)
    maps = []
    for group in range(groups):
        whole = fine.representative(group, np.arange(fine.contexts))
        table = compact.context_map[group * coarse.contexts + coarse.context(group, whole)]
        own = numbers[:, group].reshape(-1) - group * fine.contexts
        seen = _Seen(own, indices[:, group].reshape(-1), size)
        for contexts, p in sampled_rows(prior, codebooks, group, fine, samples[group]):
            weights = seen.counts(contexts) + np.float32(STRENGTH) * p
            table[contexts] = best_tables(
                weights, (compact.features, compact.basis, compact.bias), PRODUCT_BITS
            )
        maps.append(table)
    return _joined(compact, np.concatenate(maps), groups, prior.offsets, latents.BITS, fine)


class _Seen:
    """Symbols [M] by context [M], for counting those of some contexts at a time."""

    def __init__(self, contexts: NDArray[np.int64], symbols: NDArray[np.int64], size: int) -> None:
        order = np.argsort(contexts, kind="stable")
        self.contexts, self.symbols, self.size = contexts[order], symbols[order], size

    def counts(self, contexts: NDArray[np.int64]) -> NDArray[np.float32]:
        """How often each symbol occurs in each of the ascending contexts [m]: float32 [m, K]."""
        start, stop = (np.searchsorted(self.contexts, contexts, side) for side in ("left", "right"))
        row = np.repeat(np.arange(len(contexts)), stop - start)
        place = np.concatenate([np.arange(a, b) for a, b in zip(start, stop, strict=True)])
        flat = np.bincount(row * self.size + self.symbols[place], minlength=len(contexts) * self.size)
        return flat.reshape(-1, self.size).astype(np.float32)


def _sample(prior: FSAR, indices: NDArray[np.int64], group: int) -> NDArray[np.int64]:
    """States int64 [M, o] of a group's contexts at random places of training images."""
    n, _, height, width = indices.shape
    rng = np.random.default_rng(group)
    count = min(SAMPLED_CONTEXTS, n * height * width)
    places = np.sort(rng.choice(n * height * width, count, replace=False))
    columns = [latents.states_of(indices, offset)[:, group].reshape(-1)[places] for offset in prior.offsets]
    return np.stack(columns, 1)[rng.permutation(count)]


def sampled_rows(
    prior: FSAR, codebooks: Tensor, group: int, classes: StateClasses, sample: NDArray[np.int64]
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.float32]]]:
    """Class contexts that occur in a sample [M, o], ascending: int64 [m] and float32 [m, K] at a time.

    The distributions are the network's, the mean over the contexts of the sample that fall into each.
    """
    distinct, times = np.unique(sample, axis=0, return_counts=True)
    place = classes.context(group, distinct)
    order = np.argsort(place, kind="stable")
    distinct, times, place = distinct[order], times[order], place[order]
    start = 0
    while start < len(place):
        stop = min(start + latents.CHUNK_STATES, len(place))
        if stop < len(place):  # all of a class context at once
            stop = int(np.searchsorted(place, place[stop], "left"))
            if stop <= start:
                stop = int(np.searchsorted(place, place[start], "right"))
        part = slice(start, stop)
        p = latents.probabilities(prior, codebooks, group, distinct[part]) * times[part, None]
        there, first = np.unique(place[part], return_index=True)
        sums = np.add.reduceat(p, first, axis=0)
        yield there, (sums / sums.sum(1, keepdims=True)).astype(np.float32)
        start = stop


def class_rows(
    prior: FSAR, codebooks: Tensor, group: int, classes: StateClasses, sample: NDArray[np.int64]
) -> NDArray[np.float32]:
    """The network's distribution in every class context of a group: float32 [C, K].

    Where none of the sample falls into a context, that of the most frequent states of its classes.
    """
    rows = np.full((classes.contexts, prior.codebook_size), np.nan, np.float32)
    for contexts, p in sampled_rows(prior, codebooks, group, classes, sample):
        rows[contexts] = p
    empty = np.flatnonzero(np.isnan(rows[:, 0]))
    for start in range(0, len(empty), latents.CHUNK_STATES):
        unseen = empty[start : start + latents.CHUNK_STATES]
        rows[unseen] = latents.probabilities(prior, codebooks, group, classes.representative(group, unseen))
    return rows
