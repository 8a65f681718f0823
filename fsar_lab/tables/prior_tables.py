"""A trained prior as few integer tables: every context where they can be enumerated, classes where not."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from fsar_lab.codec.prior import PRODUCT_BITS, PriorTables
from fsar_lab.tables import latents
from fsar_lab.tables.classes import StateClasses, reduce_states
from fsar_lab.tables.compact import STRENGTH, compact_tables
from fsar_lab.tables.normalise import normalise

if TYPE_CHECKING:
    from torch import Tensor

    from fsar_lab.models.priors.fsar import FSAR

MERGE_LOSS_PPM = 5000  # of the latents' entropy, what merging contexts may lose before tables are fitted anew
MAX_ENUMERATED = 1 << 26  # counts in all contexts together: above, states are reduced to classes
CLASS_COUNTS = 1 << 25  # the same once they are reduced
SAMPLED_CONTEXTS = 1 << 18  # of a group, of training images, in which the network is asked


def fsar_tables(prior: FSAR, codebooks: Tensor, indices: NDArray[np.int64]) -> PriorTables:
    """The tables of a finite-state prior.

    Args:
        prior: trained.
        codebooks: [G, K, D], whose vectors are the contexts.
        indices: int64 [n, G, h, w] of training images.
    """
    size, order = prior.codebook_size, len(prior.offsets)
    contexts = prior.groups * (size + 1) ** order
    if contexts <= latents.MAX_CONTEXTS and contexts * size <= MAX_ENUMERATED:
        return _compact(latents.fsar_counts(prior, codebooks), prior.offsets, indices, None)
    samples = [_sample(prior, indices, group) for group in range(prior.groups)]
    most = max(prior.groups << order, min(latents.MAX_CONTEXTS, CLASS_COUNTS // size))
    classes = reduce_states(prior, codebooks, samples, most)
    rows = [class_rows(prior, codebooks, group, classes, samples[group]) for group in range(prior.groups)]
    counts = normalise(np.concatenate(rows), latents.BITS)
    return _compact(counts, prior.offsets, indices, classes)


def static_tables(p: NDArray[np.float64], indices: NDArray[np.int64], bits: int) -> PriorTables:
    """The tables of a static prior p [G, K]: one for each group, or fewer where they are alike.

    Here what training images show comes first: groups that are trained alike may be used differently.
    """
    seen = [np.bincount(group.reshape(-1), minlength=p.shape[1]) for group in indices.swapaxes(0, 1)]
    return _compact(normalise(np.stack(seen) + STRENGTH * p, bits), (), indices, None, bits)


def _compact(
    counts: NDArray[np.uint32],
    offsets: tuple[latents.Offset, ...],
    indices: NDArray[np.int64],
    classes: StateClasses | None,
    bits: int = latents.BITS,
) -> PriorTables:
    """Few tables for the contexts' counts [G * C, K], refined by what training images show."""
    groups = indices.shape[1]
    of, class_counts = (None, ()) if classes is None else (classes.of, classes.counts)
    contexts = latents.contexts_of(indices, offsets, counts.shape[1], of, class_counts)
    compact = compact_tables(counts, contexts, indices, MERGE_LOSS_PPM, PRODUCT_BITS)
    return PriorTables(
        features=compact.features,
        basis=compact.basis,
        bias=compact.bias,
        context_map=compact.context_map.reshape(groups, -1),
        bits=bits,
        offsets=offsets,
        classes=of,
        class_counts=class_counts,
    )


def _sample(prior: FSAR, indices: NDArray[np.int64], group: int) -> NDArray[np.int64]:
    """States int64 [M, o] of a group's contexts at random places of training images."""
    n, _, height, width = indices.shape
    rng = np.random.default_rng(group)
    count = min(SAMPLED_CONTEXTS, n * height * width)
    places = np.sort(rng.choice(n * height * width, count, replace=False))
    columns = [latents.states_of(indices, offset)[:, group].reshape(-1)[places] for offset in prior.offsets]
    states = np.stack(columns, 1)
    return states[rng.permutation(count)]


def class_rows(
    prior: FSAR, codebooks: Tensor, group: int, classes: StateClasses, sample: NDArray[np.int64]
) -> NDArray[np.float32]:
    """The network's distribution in every class context of a group: float32 [C, K].

    The mean over the contexts of the sample that fall into it; where none does, that of the most frequent
    states of its classes.
    """
    rows = np.zeros((classes.contexts, prior.codebook_size), np.float32)
    distinct, times = np.unique(sample, axis=0, return_counts=True)
    place = classes.context(group, distinct)
    order = np.argsort(place, kind="stable")
    distinct, times, place = distinct[order], times[order], place[order]
    for start in range(0, len(distinct), latents.CHUNK_STATES):
        part = slice(start, start + latents.CHUNK_STATES)
        p = latents.probabilities(prior, codebooks, group, distinct[part]) * times[part, None]
        there, first = np.unique(place[part], return_index=True)
        rows[there] += np.add.reduceat(p, first, axis=0).astype(np.float32)
    empty = np.setdiff1d(np.arange(classes.contexts), place)
    for start in range(0, len(empty), latents.CHUNK_STATES):
        unseen = empty[start : start + latents.CHUNK_STATES]
        rows[unseen] = latents.probabilities(prior, codebooks, group, classes.representative(group, unseen))
    rows /= rows.sum(1, keepdims=True)
    return rows
