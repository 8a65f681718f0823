"""Networks that quantize at several resolutions, each what the finer ones left, in integers (McQuic).

Level 0 is the finest. With r_0 the image as 2x - 255, level l computes (docs/FORMAT-bundle.md, "Levels")

    z_l = down_l(r_l),   k_l = search_l(z_l),   r_{l+1} = clamp(z_l - sum_g words_l[g, k_l,g], bounds of down_{l+1})

and back from the coarsest

    u_l = clamp(sum_g codes_l[g, k_l,g] + up_{l+1}(u_{l+1}), bounds of up_l),

where up_0 gives the (logit, scale) pairs of the pixels. The codewords are tabulated in the units of what they
are taken from or added to, so that no sum needs a multiplier.

The indices of all levels are folded onto the coarsest grid [h, w]: level l has G * 4^(L-1-l) of them there, in
the order (group, row, column).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fsar_lab.codec import serialise
from fsar_lab.codec.fields import Tensors, damaged, inflate, member
from fsar_lab.codec.integer_network import (
    ENLARGING,
    CodeSearch,
    CodeTable,
    IntegerNetwork,
    NetworkError,
    check_network,
    check_search,
    check_table,
    magnitude,
)
from fsar_lab.codec.parts import Json, Pack, Parameters

INPUT_LIMIT = 255  # the finest level's down network sees 2x - 255
MAX_LEVELS = 4
MAX_FACTOR = 64
BLOCK_SCORES = 1 << 20  # of a search at a time: they stay in the cache

# int16 [N, H, W, C] -> int16 [N, H', W', C']
Run = Callable[[NDArray[np.int16]], NDArray[np.int16]]


@dataclass(frozen=True)
class Level:
    """One resolution.

    Attributes:
        down: what is left (the image at the finest level) to z. search: z to indices.
        words: codewords in z's units, int16 [G, K, D]; None at the coarsest level, which leaves nothing.
        table: indices to their share of u. up: u to the next finer level's u, or to the pixels' pairs.
    """

    down: IntegerNetwork
    search: CodeSearch
    words: NDArray[np.int16] | None
    table: CodeTable
    up: IntegerNetwork


@dataclass(frozen=True)
class ResidualNetworks:
    """The networks of all levels, finest first."""

    levels: tuple[Level, ...]

    @cached_property
    def factor(self) -> int:
        """Image side over the side of the coarsest level."""
        return int(np.prod([layer.stride for level in self.levels for layer in level.down.layers]))

    @property
    def code_groups(self) -> int:
        """G, codes at one position of one level."""
        return len(self.levels[0].search.weight)

    @property
    def group_counts(self) -> tuple[int, ...]:
        """Indices of each level at one position of the coarsest."""
        return tuple(self.code_groups << 2 * i for i in reversed(range(len(self.levels))))

    @property
    def groups(self) -> int:
        """Indices of all levels at one position of the coarsest."""
        return sum(self.group_counts)

    @property
    def codebook_sizes(self) -> tuple[int, ...]:
        """K of every group of the indices."""
        sizes = [level.search.weight.shape[1] for level in self.levels]
        return tuple(k for k, count in zip(sizes, self.group_counts, strict=True) for _ in range(count))

    @property
    def codebook_size(self) -> int:
        """The largest K."""
        return max(self.codebook_sizes)

    @property
    def search(self) -> CodeSearch:
        """Of the finest level."""
        return self.levels[0].search

    @property
    def synthesis(self) -> IntegerNetwork:
        """The network that gives the pixels' distribution."""
        return self.levels[0].up

    def check(self) -> None:
        """Raise NetworkError unless every part is exact and they fit each other."""
        if not 1 <= len(self.levels) <= MAX_LEVELS:
            raise NetworkError(f"{len(self.levels)} levels, there can be 1 to {MAX_LEVELS}")
        for number, level in enumerate(self.levels):
            _check_level(level, f"level {number}: ")
            shrinks = _change(level.down, f"level {number}: down", enlarging=False)
            grows = _change(level.up, f"level {number}: up", enlarging=True)
            if shrinks != grows or (number and grows != 2):
                raise NetworkError(f"level {number}: its networks change the size by different factors")
            if (level.words is None) != (number + 1 == len(self.levels)):
                raise NetworkError(f"level {number}: only the coarsest leaves nothing")
        limit = np.full(3, INPUT_LIMIT, np.int16)
        first = self.levels[0].down
        if not np.array_equal(first.high, limit) or not np.array_equal(first.low, -limit):
            raise NetworkError("the finest level does not take RGB images")
        for finer, coarser in zip(self.levels, self.levels[1:], strict=False):
            if coarser.search.weight.shape[::2] != self.search.weight.shape[::2]:
                raise NetworkError("levels disagree on groups or dimensions")
            if len(coarser.down.low) != len(finer.down.layers[-1].low):
                raise NetworkError("what a level leaves does not fit the next")
            if len(coarser.up.layers[-1].low) != len(finer.up.low):
                raise NetworkError("what a level gives does not fit the next finer one")
        if self.factor > MAX_FACTOR:
            raise NetworkError(f"images are shrunk {self.factor} times, at most {MAX_FACTOR}")

    def put(self, tensors: dict[str, NDArray[Any]], pack: Pack) -> Json:
        """Add the tensors; returns the entry of the bundle's description."""
        entries = []
        for number, level in enumerate(self.levels):
            own: dict[str, NDArray[Any]] = {}
            entry = serialise.put_codes(level.search, level.table, own, pack)
            for name, network in (("down", level.down), ("up", level.up)):
                entry[name] = serialise.put_network(network, name, own, pack)
            if level.words is not None:
                own["words"] = pack(level.words)
            tensors |= {f"levels.{number}.{name}": value for name, value in own.items()}
            entries.append(entry)
        return {"levels": entries}

    @staticmethod
    def get(description: Json, tensors: Tensors) -> ResidualNetworks:
        """What `put` stored, still to be checked."""
        entries = member(description, "levels", list)
        if not 1 <= len(entries) <= MAX_LEVELS or not all(isinstance(entry, dict) for entry in entries):
            raise damaged("levels that are none, too many or not described")
        return ResidualNetworks(
            tuple(_get_level(entry, number, len(entries), tensors) for number, entry in enumerate(entries))
        )


def _get_level(entry: Json, number: int, levels: int, tensors: Tensors) -> Level:
    prefix = f"levels.{number}."
    own = {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}
    search, table = serialise.get_codes(entry, own)
    if not isinstance(search, CodeSearch):
        raise damaged(f"level {number} has no codeword search")
    words = None
    if number + 1 < levels:
        words = inflate(own, "words", np.int16, search.weight.shape)
    return Level(
        down=serialise.get_network(entry.get("down"), "down", own),
        search=search,
        words=words,
        table=table,
        up=serialise.get_network(entry.get("up"), "up", own),
    )


def _check_level(level: Level, name: str) -> None:
    """Shapes, exactness and bounds of one level by itself."""
    check_network(level.down, f"{name}down")
    check_network(level.up, f"{name}up")
    check_table(level.table)
    last = level.down.layers[-1]
    check_search(level.search, magnitude(last.low, last.high))
    shape = level.search.weight.shape
    if level.table.values.shape[:2] != shape[:2]:
        raise NetworkError(f"{name}codeword search and code table disagree on groups or codebook size")
    if level.words is not None and (level.words.shape != shape or level.words.dtype != np.int16):
        raise NetworkError(f"{name}codeword search and codewords do not fit")
    bounds = (level.table.low, level.up.low), (level.table.high, level.up.high)
    if level.table.values.shape[2] != len(level.up.low) or not all(np.array_equal(*b) for b in bounds):
        raise NetworkError(f"{name}code table and network do not fit")


def _change(network: IntegerNetwork, name: str, enlarging: bool) -> int:
    """By how much a network that only enlarges, or only shrinks, does so."""
    ups = [2 for layer in network.layers if layer.kind in ENLARGING]
    strides = [layer.stride for layer in network.layers if layer.kind not in ENLARGING]
    if (max(strides, default=1) > 1) if enlarging else ups:
        raise NetworkError(f"{name} must {'enlarge' if enlarging else 'shrink'}")
    return int(np.prod(ups if enlarging else strides))


class Analysis:
    """Images to indices.

    Args:
        networks: of all levels.
        make: an engine's plain network, int16 [N, H, W, C] to int16 [N, H', W', C'].
    """

    def __init__(self, networks: ResidualNetworks, make: Callable[[IntegerNetwork], Run]) -> None:
        self.levels = networks.levels
        self.runs = [make(level.down) for level in self.levels]
        # Sums are integers below 2^24, hence exact in float32 in any order.
        self.searches = [
            (level.search.weight.swapaxes(1, 2).astype(np.float32), level.search.bias.astype(np.float32))
            for level in self.levels
        ]

    def __call__(self, images: NDArray[np.uint8]) -> NDArray[np.uint16]:
        """uint8 [N, H, W, 3] -> indices uint16 [N, groups, h, w]."""
        rest = images.astype(np.int16) * 2 - INPUT_LIMIT
        found: list[NDArray[np.uint16]] = []
        for number, (level, run, search) in enumerate(
            zip(self.levels, self.runs, self.searches, strict=True)
        ):
            z = run(rest)
            index = _nearest(z, *search)
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
            total = _sums(level.table.values, index)
            if side is not None:
                total += side
            side = run(np.clip(total, level.table.low, level.table.high).astype(np.int16))
        assert side is not None
        planes = side.transpose(0, 3, 1, 2)
        return np.ascontiguousarray(planes[:, 0::2]), planes[:, 1::2].astype(np.uint8, order="C")


def _nearest(
    z: NDArray[np.int16], weight: NDArray[np.float32], bias: NDArray[np.float32]
) -> NDArray[np.uint16]:
    """The best code of every group, the first of equals.

    Args:
        z: [N, h, w, G * D]. weight: [G, D, K]. bias: [G, K].

    Returns:
        uint16 [N, G, h, w].
    """
    n, h, w, _ = z.shape
    groups, dim, size = weight.shape
    rows = z.reshape(-1, groups, dim).astype(np.float32)
    best = np.empty((groups, len(rows)), np.uint16)
    block = max(1, BLOCK_SCORES // size)
    for group in range(groups):
        for start in range(0, len(rows), block):
            scores = rows[start : start + block, group] @ weight[group]
            scores += bias[group]
            best[group, start : start + block] = scores.argmax(1)
    return np.ascontiguousarray(best.reshape(groups, n, h, w).swapaxes(0, 1))


def _sums(
    values: NDArray[np.int16], index: NDArray[np.uint16], side_by_side: bool = False
) -> NDArray[np.int32]:
    """Entries [G, K, C] of indices [N, G, h, w]: summed over groups, [N, h, w, C], or as [N, h, w, G * C]."""
    chosen = [table[index[:, group]].astype(np.int32) for group, table in enumerate(values)]
    if side_by_side:
        return np.concatenate(chosen, 3)
    for other in chosen[1:]:
        chosen[0] += other
    return chosen[0]


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
