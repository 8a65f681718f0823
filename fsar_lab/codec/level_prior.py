"""A prior whose groups fall into levels, each with an alphabet and tables of its own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from fsar_lab import entropy
from fsar_lab.codec.fields import Tensors, damaged, member
from fsar_lab.codec.integer_network import NetworkError
from fsar_lab.codec.parts import Json, Pack
from fsar_lab.codec.prior import PriorTables, TableCoder, uniform_tables

MAX_PARTS = 8


@dataclass(frozen=True)
class LevelPrior:
    """Tables of consecutive ranges of groups, the first level's first; contexts stay within a level."""

    kind: ClassVar[str] = "levels"
    parts: tuple[PriorTables, ...]

    @property
    def groups(self) -> int:
        """Of all levels."""
        return sum(part.groups for part in self.parts)

    @property
    def codebook_sizes(self) -> tuple[int, ...]:
        """K of every group."""
        return tuple(part.codebook_size for part in self.parts for _ in range(part.groups))

    @property
    def codebook_size(self) -> int:
        """The largest K."""
        return max(self.codebook_sizes)

    @property
    def tables(self) -> int:
        """Of all levels."""
        return sum(part.tables for part in self.parts)

    @property
    def uniform(self) -> bool:
        """Every index is equally likely."""
        return all(part.uniform for part in self.parts)

    def with_uniform_tables(self) -> LevelPrior:
        """log2 K bits for every index."""
        return LevelPrior(
            tuple(uniform_tables(part.groups, part.codebook_size, part.bits) for part in self.parts)
        )

    def check(self) -> None:
        """Raise NetworkError unless every level's tables are consistent."""
        if not 1 <= len(self.parts) <= MAX_PARTS:
            raise NetworkError(f"prior: {len(self.parts)} levels")
        for part in self.parts:
            part.check()

    def put(self, tensors: dict[str, NDArray[Any]], pack: Pack) -> Json:
        """Every level's factors and map."""
        entries = []
        for number, part in enumerate(self.parts):
            own: dict[str, NDArray[Any]] = {}
            entries.append(part.put(own, pack))
            tensors |= {f"prior.{number}.{name.removeprefix('prior.')}": own[name] for name in own}
        return {"levels": entries}

    @classmethod
    def get(cls, description: object, tensors: Tensors) -> LevelPrior:
        """What `put` stored."""
        entries = member(description, "levels", list)
        if not 1 <= len(entries) <= MAX_PARTS:
            raise damaged("the prior's levels are none or too many")
        parts = []
        for number, entry in enumerate(entries):
            prefix = f"prior.{number}."
            own = {name: tensors[name] for name in tensors if name.startswith(prefix)}
            parts.append(PriorTables.get(entry, {"prior." + name[len(prefix) :]: own[name] for name in own}))
        return cls(tuple(parts))

    def make_coder(self) -> LevelCoder:
        """Its coder."""
        return LevelCoder(self)


class LevelCoder:
    """Pushes and pops indices [N, G, h, w], level after level."""

    def __init__(self, prior: LevelPrior) -> None:
        self.coders = [TableCoder(part) for part in prior.parts]

    @property
    def expanded_nbytes(self) -> int:
        """Bytes of tables and maps as they are held for coding."""
        return sum(coder.expanded_nbytes for coder in self.coders)

    def push(self, encoder: entropy.Encoder, indices: NDArray[np.uint16]) -> None:
        """Code indices, uint16 [N, G, h, w]; what is decoded first is pushed last."""
        stop = indices.shape[1]
        for coder in reversed(self.coders):
            start = stop - coder.groups
            coder.push(encoder, np.ascontiguousarray(indices[:, start:stop]))
            stop = start

    def pop(self, decoder: entropy.Decoder, shape: tuple[int, int, int, int]) -> NDArray[np.uint16]:
        """Decode indices of `shape` [N, G, h, w]."""
        number, _, height, width = shape
        parts = [coder.pop(decoder, (number, coder.groups, height, width)) for coder in self.coders]
        return np.concatenate(parts, 1)
