"""States of the neighbours reduced to classes, for priors with more contexts than can be enumerated.

Two states of a neighbour belong together if the trained network says about the same with either, whatever
the other neighbours are. So every state s is put into some contexts that occur in training images, and
described by the square roots of the distributions that the network gives there. Half the squared distance of
two such descriptions is the mean squared Hellinger distance, a fourth of the divergence for states that are
alike. States are merged pair by pair, always the pair that loses least, weighted by how often they occur
(Ward 1963); the state "outside" stays alone. How many classes each neighbour gets follows from what its
merges lose: while the contexts are too many, the neighbour gives up a class that loses least for each bit of
the context's number that it saves.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from fsar_lab.tables.latents import probabilities

if TYPE_CHECKING:
    from torch import Tensor

    from fsar_lab.models.priors.fsar import FSAR

REFERENCES = 64  # contexts into which a state is put
DESCRIPTION_VALUES = 1 << 24  # fewer references than that if descriptions become larger
FEWEST = 2  # classes of a neighbour: outside and inside


@dataclass(frozen=True)
class StateClasses:
    """Classes of the neighbours' states.

    Attributes:
        of: uint16 [G, o, K+1], the class of every state; class 0 is "outside" alone.
        counts: classes of each of the o neighbours, the same in all groups.
        common: for each neighbour int64 [G, count], the most frequent state of every class.
    """

    of: NDArray[np.uint16]
    counts: tuple[int, ...]
    common: tuple[NDArray[np.int64], ...]

    @property
    def contexts(self) -> int:
        """Contexts of a group."""
        return int(np.prod(self.counts))

    def context(self, group: int, states: NDArray[np.int64]) -> NDArray[np.int64]:
        """Context within the group of states [M, o]: int64 [M]."""
        number = np.zeros(len(states), np.int64)
        for tap, count in enumerate(self.counts):
            number = number * count + self.of[group, tap][states[:, tap]]
        return number

    def representative(self, group: int, contexts: NDArray[np.int64]) -> NDArray[np.int64]:
        """The most frequent states of a group's contexts [M]: int64 [M, o]."""
        columns = []
        for count, common in zip(self.counts[::-1], self.common[::-1], strict=True):
            columns.append(common[group][contexts % count])
            contexts = contexts // count
        return np.stack(columns[::-1], 1)


def reduce_states(
    prior: FSAR, codebooks: Tensor, samples: list[NDArray[np.int64]], limits: list[int]
) -> list[StateClasses]:
    """For each limit, classes such that all groups together have at most so many contexts.

    Classes of a lower limit are unions of those of a higher one.

    Args:
        prior: trained. codebooks: [G, K, D].
        samples: for each group the states int64 [M, o] of contexts drawn from training images.
        limits: descending, contexts of all groups, at least G * 2^o.
    """
    size, order = prior.codebook_size, len(prior.offsets)
    trees = [
        [_tree(prior, codebooks, group, tap, samples[group]) for tap in range(order)]
        for group in range(prior.groups)
    ]
    # losses[tap][c - 1]: what is lost with c classes, all groups together
    losses = [np.sum([taps[tap].losses for taps in trees], 0) for tap in range(order)]
    counts, results = [size + 1] * order, []
    for limit in limits:
        while prior.groups * math.prod(counts) > limit:
            prices = [
                (losses[tap][count - 2] - losses[tap][count - 1]) / math.log(count / (count - 1))
                if count > FEWEST
                else np.inf
                for tap, count in enumerate(counts)
            ]
            counts[int(np.argmin(prices))] -= 1
        results.append(_cut(trees, counts))
    return results


def _cut(trees: list[list[_Tree]], counts: list[int]) -> StateClasses:
    """The classes when each neighbour has as many as `counts` says."""
    of = np.stack([[tree.cut(count) for tree, count in zip(taps, counts, strict=True)] for taps in trees])
    common = tuple(
        np.stack([_most_frequent(of[g, tap], taps[tap].weights, count) for g, taps in enumerate(trees)])
        for tap, count in enumerate(counts)
    )
    return StateClasses(of.astype(np.uint16), tuple(counts), common)


@dataclass(frozen=True)
class _Tree:
    """Merges of one neighbour's K states.

    Attributes:
        merges: int64 [K-1, 2], which two of the groups so far become one, the second joining the first.
        losses: float [K+1], entry c - 1: what is lost with c classes, "outside" included.
        weights: float [K+1], how often each state occurs.
    """

    merges: NDArray[np.int64]
    losses: NDArray[np.float64]
    weights: NDArray[np.float64]

    def cut(self, count: int) -> NDArray[np.int64]:
        """The class of every state, int64 [K+1], when there are `count`."""
        leader = np.arange(len(self.merges) + 1)
        for kept, gone in self.merges[: len(leader) + 1 - count]:
            leader[leader == gone] = kept
        inside = np.unique(leader, return_inverse=True)[1].reshape(-1)
        return np.concatenate([[0], inside + 1])


def _tree(prior: FSAR, codebooks: Tensor, group: int, tap: int, sample: NDArray[np.int64]) -> _Tree:
    """Merge the states of neighbour `tap` of `group` by what they say."""
    size = prior.codebook_size
    weights = (
        np.bincount(sample[:, tap], minlength=size + 1).astype(np.float64) + 1e-3
    )  # a state never seen has hardly a say
    count = max(2, min(REFERENCES, DESCRIPTION_VALUES // size**2, len(sample)))
    references = sample[np.linspace(0, len(sample) - 1, count).astype(np.int64)]
    described = np.empty((size, count * size), np.float32)
    for number, reference in enumerate(references):
        states = np.repeat(reference[None], size, 0)
        states[:, tap] = np.arange(1, size + 1)
        p = probabilities(prior, codebooks, group, states)
        described[:, number * size : (number + 1) * size] = np.sqrt(p)
    merges, losses = ward(described, weights[1:])
    curve = np.concatenate([np.cumsum(losses)[::-1], [0.0]]) / (count * weights.sum())
    return _Tree(merges, np.concatenate([[np.inf], curve]), weights)


def ward(
    points: NDArray[np.float32], weights: NDArray[np.float64]
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Merge points pairwise, always the two whose union adds least weighted squared distance to its mean.

    Args:
        points: float32 [n, d]. weights: float64 [n], positive.

    Returns:
        merges: int64 [n-1, 2], numbers of the points that stand for the two, the second then gone.
        costs: float64 [n-1], what each merge adds.
    """
    n = len(points)
    square = (points.astype(np.float64) ** 2).sum(1)
    distance = np.maximum(square[:, None] + square - 2 * (points @ points.T).astype(np.float64), 0)
    weights = weights.astype(np.float64).copy()
    cost = distance * (weights[:, None] * weights / (weights[:, None] + weights))
    np.fill_diagonal(cost, np.inf)
    merges, costs = np.empty((n - 1, 2), np.int64), np.empty(n - 1)
    for number in range(n - 1):
        kept, gone = sorted(divmod(int(cost.argmin()), n))
        merges[number], costs[number] = (kept, gone), cost[kept, gone]
        # Lance & Williams 1967
        joint = weights[kept] + weights[gone]
        row = (weights[kept] + weights) * cost[kept] + (weights[gone] + weights) * cost[gone]
        row = (row - weights * cost[kept, gone]) / (joint + weights)
        weights[kept], weights[gone] = joint, 0.0
        row[~np.isfinite(cost[kept]) | ~np.isfinite(cost[gone])] = np.inf  # themselves and what is gone
        cost[kept], cost[:, kept] = row, row
        cost[gone], cost[:, gone] = np.inf, np.inf
    return merges, costs


def _most_frequent(classes: NDArray[np.int64], weights: NDArray[np.float64], count: int) -> NDArray[np.int64]:
    """The state of greatest weight in each class: int64 [count]."""
    order = np.argsort(weights, kind="stable")
    result = np.zeros(count, np.int64)
    result[classes[order]] = order  # the last one written has the greatest weight
    return result
