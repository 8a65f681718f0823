"""Runs the networks of several resolutions on top of any engine's plain networks: the same bits on each.

`residual_networks` says what is computed. What stands between the networks (searches, look-ups, sums and
clamps) is NumPy: next to nothing, but for the search among thousands of codewords.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from fsar_lab.codec.integer_network import CodeSearch, IntegerNetwork
from fsar_lab.codec.parts import Parameters
from fsar_lab.codec.residual_networks import INPUT_LIMIT, ResidualNetworks
from fsar_lab.errors import SymbolRangeError

BLOCK_SCORES = 1 << 19  # of a search at a time: they stay in the cache

# int16 [N, H, W, C] -> int16 [N, H', W', C']
Run = Callable[[NDArray[np.int16]], NDArray[np.int16]]


class Analysis:
    """Images to indices.

    Args:
        networks: of all levels.
        make: an engine's plain network, int16 [N, H, W, C] to int16 [N, H', W', C'].
    """

    def __init__(self, networks: ResidualNetworks, make: Callable[[IntegerNetwork], Run]) -> None:
        self.levels = networks.levels
        self.runs = [make(level.down) for level in self.levels]
        self.searches = [_search_matrix(level.search) for level in self.levels]

    def __call__(self, images: NDArray[np.uint8]) -> NDArray[np.uint16]:
        """uint8 [N, H, W, 3] -> indices uint16 [N, groups, h, w]."""
        rest = images.astype(np.int16) * 2 - INPUT_LIMIT
        found: list[NDArray[np.uint16]] = []
        for number, (level, run, search) in enumerate(
            zip(self.levels, self.runs, self.searches, strict=True)
        ):
            z = run(rest)
            index = _nearest(z, search)
            found.append(index)
            if level.words is not None:
                bounds = self.levels[number + 1].down
                left = z - _sums(level.words, index, side_by_side=True)
                rest = np.clip(left, bounds.low, bounds.high).astype(np.int16)
        return fold_indices(found)


class Synthesis:
    """Indices to distribution parameters.

    Args:
        networks: of all levels.
        make: as for Analysis.
    """

    def __init__(self, networks: ResidualNetworks, make: Callable[[IntegerNetwork], Run]) -> None:
        self.levels, self.counts = networks.levels, networks.group_counts
        self.runs = [make(level.up) for level in self.levels]

    def __call__(self, indices: NDArray[np.uint16]) -> Parameters:
        """Indices uint16 [N, groups, h, w] -> (logit int16, scale index uint8), both [N, 3, H, W]."""
        side: NDArray[np.int16] | None = None
        parts = unfold_indices(indices, self.counts)
        for level, run, index in zip(self.levels[::-1], self.runs[::-1], parts[::-1], strict=True):
            if index.max(initial=0) >= level.table.values.shape[1]:
                raise SymbolRangeError("synthesis: an index is not below the size of the codebook")
            total = _sums(level.table.values, index)
            if side is not None:
                total += side
            side = run(np.clip(total, level.table.low, level.table.high).astype(np.int16))
        assert side is not None
        planes = side.transpose(0, 3, 1, 2)
        return np.ascontiguousarray(planes[:, 0::2]), planes[:, 1::2].astype(np.uint8, order="C")


def _search_matrix(search: CodeSearch) -> NDArray[np.float32]:
    """What vectors and a one behind each are multiplied with, [G, D + 1, K].

    Every sum of products is an integer below 2^24, hence exact in float32 in any order.
    """
    both = np.concatenate([search.weight, search.bias[:, :, None]], 2)
    return np.ascontiguousarray(both.swapaxes(1, 2), np.float32)


def _nearest(z: NDArray[np.int16], matrix: NDArray[np.float32]) -> NDArray[np.uint16]:
    """The best code of every group, the first of equals: z [N, h, w, G * D] -> uint16 [N, G, h, w]."""
    n, h, w, _ = z.shape
    groups, dim, size = matrix.shape
    rows = np.ones((n * h * w, groups, dim), np.float32)
    rows[:, :, :-1] = z.reshape(-1, groups, dim - 1)
    best = np.empty((groups, len(rows)), np.uint16)
    block = max(1, BLOCK_SCORES // size)
    scores = np.empty((block, size), np.float32)
    for group in range(groups):
        for start in range(0, len(rows), block):
            part = np.ascontiguousarray(rows[start : start + block, group])
            found = np.matmul(part, matrix[group], out=scores[: len(part)])
            best[group, start : start + block] = found.argmax(1)
    return np.ascontiguousarray(best.reshape(groups, n, h, w).swapaxes(0, 1))


def _sums(
    values: NDArray[np.int16], index: NDArray[np.uint16], side_by_side: bool = False
) -> NDArray[np.int32]:
    """Entries [G, K, C] of indices [N, G, h, w]: summed over groups, [N, h, w, C], or as [N, h, w, G * C]."""
    chosen = [table[index[:, group]].astype(np.int32) for group, table in enumerate(values)]
    if side_by_side:
        return np.concatenate(chosen, 3)
    total: NDArray[np.int32] = chosen[0]
    for other in chosen[1:]:
        total += other
    return total


def fold_indices(levels: list[NDArray[np.uint16]]) -> NDArray[np.uint16]:
    """[N, G, h * 2^j, w * 2^j] of every level, j = L-1 .. 0, to [N, groups, h, w]."""
    h, w = levels[-1].shape[2:]
    parts = []
    for level in levels:
        n, groups, rows, columns = level.shape
        blocks = level.reshape(n, groups, h, rows // h, w, columns // w)
        parts.append(blocks.transpose(0, 1, 3, 5, 2, 4).reshape(n, -1, h, w))
    return np.concatenate(parts, 1)


def unfold_indices(indices: NDArray[np.uint16], counts: tuple[int, ...]) -> list[NDArray[np.uint16]]:
    """The inverse of `fold_indices`, given how many indices each level has at a position."""
    n, _, h, w = indices.shape
    levels, groups, start = [], counts[-1], 0
    for count in counts:
        side = 1 << (count // groups).bit_length() // 2  # count = groups * 4^j
        blocks = indices[:, start : start + count].reshape(n, groups, side, side, h, w)
        levels.append(blocks.transpose(0, 1, 4, 2, 5, 3).reshape(n, groups, h * side, w * side))
        start += count
    return levels
