"""Networks that quantize at several resolutions, each what the finer ones left, in integers (McQuic).

Level 0 is the finest. With r_0 the image as 2x - 255, level l computes (docs/FORMAT-bundle.md, "Levels")

    z_l = down_l(r_l),   k_l = search_l(z_l),
    r_{l+1} = clamp(z_l - words_l[k_l], bounds of down_{l+1}'s input),

and back from the coarsest

    u_l = clamp(sum_g codes_l[g, k_l,g] + up_{l+1}(u_{l+1}), bounds of up_l's input),

where up_0 gives the (logit, scale) pairs of the pixels. Codewords are tabulated in the units of what they are
taken from or added to, so that no sum needs a multiplier.

The indices of all levels are folded onto the coarsest grid [h, w]: level l has G * 4^(L-1-l) of them there,
in the order (group, row, column).
"""

from __future__ import annotations

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
from fsar_lab.codec.parts import Json, Pack

INPUT_LIMIT = 255  # the finest level's down network sees 2x - 255
MAX_LEVELS = 4
MAX_FACTOR = 64


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
