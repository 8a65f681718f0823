"""The latents' distribution as integer tables, and how they are coded with it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from fsar_lab import entropy
from fsar_lab.codec.fields import (
    MAX_VALUES,
    Tensors,
    damaged,
    inflate,
    integer,
    member,
    numbers,
    tensor,
    triples,
)
from fsar_lab.codec.fixed_point import LOGIT_BITS, MAX_LOGIT, softmax_counts
from fsar_lab.codec.integer_network import NetworkError
from fsar_lab.codec.parts import Json, Pack

Offset = tuple[int, int, int]
PRODUCT_BITS = 14  # fractional bits of features times basis; logits keep LOGIT_BITS of them
BLOCK = 64  # tables made at a time: all that is in between stays in the cache
MAX_ORDER = 4
MAX_GROUPS = 256
MAX_RANK = 256
MAX_CONTEXTS = 1 << 20  # groups * (K + 1)^o: what the entropy coder's maps hold
MAX_COUNTS = 1 << 24  # of all tables: 64 MB of uint32
MAX_SYMBOLS = (1 << 16) - 1  # of the entropy coder


@dataclass(frozen=True)
class PriorTables:
    """Few tables and the one that each context uses.

    The tables are kept as a product of two thin matrices, from which their counts follow in integers:
    logits = (features @ basis + bias) * 2^-14 bit, counts = softmax_counts(logits).

    Attributes:
        features: int16 [T, r], one row a table.
        basis: int16 [r, K]. bias: int32 [K].
        context_map: uint16 [G, C], the table of every context; first offset slowest, state 0 = outside,
            state k + 1 = symbol k. C = (K+1)^o, or the product of the class counts.
        bits: logarithm of the sum of a table's counts.
        offsets: the o causal neighbours (group, row, column); none for a prior without context.
        classes: uint16 [G, o, K+1], the class of every state of every neighbour; None: the states
            themselves are the classes.
        class_counts: number of classes of each neighbour, if there are classes.
    """

    kind: ClassVar[str] = "tables"
    features: NDArray[np.int16]
    basis: NDArray[np.int16]
    bias: NDArray[np.int32]
    context_map: NDArray[np.uint16]
    bits: int
    offsets: tuple[Offset, ...]
    classes: NDArray[np.uint16] | None = None
    class_counts: tuple[int, ...] = ()

    @property
    def groups(self) -> int:
        """G."""
        return len(self.context_map)

    @property
    def codebook_size(self) -> int:
        """K."""
        return len(self.bias)

    @property
    def tables(self) -> int:
        """T."""
        return len(self.features)

    @property
    def uniform(self) -> bool:
        """Every index is equally likely."""
        return self.tables == 1 and not self.features.any() and not self.bias.any()

    @cached_property
    def counts(self) -> NDArray[np.uint32]:
        """uint32 [T, K], rows sum to 2^bits and no count is zero."""
        features, basis = self.features.astype(np.float64), self.basis.astype(np.float64)
        counts = np.empty((len(features), self.codebook_size), np.uint32)
        for start in range(0, len(features), BLOCK):
            block = slice(start, start + BLOCK)
            # Exact, and far faster than a product of integers: partial sums are integers below 2^38.
            product = (features[block] @ basis).astype(np.int64) + self.bias
            counts[block] = softmax_counts(product >> PRODUCT_BITS - LOGIT_BITS, self.bits)
        return counts

    def check(self) -> None:
        """Raise NetworkError unless shapes fit each other and every context has a table."""
        rank, size = self.basis.shape
        parts = (self.features, np.int16), (self.basis, np.int16), (self.bias, np.int32)
        if any(part.dtype != dtype for part, dtype in parts) or self.context_map.dtype != np.uint16:
            raise NetworkError("prior: features, basis, bias or map are of the wrong type")
        if self.features.shape[1:] != (rank,) or self.bias.shape != (size,) or not 1 <= rank <= MAX_RANK:
            raise NetworkError("prior: features, basis and bias do not fit")
        if not 8 <= self.bits <= 16 or not 2 <= size <= min(1 << self.bits, MAX_SYMBOLS):
            raise NetworkError(f"prior: {size} symbols do not fit tables of {self.bits} bits")
        if len(self.features) < 1 or len(self.features) * size > MAX_COUNTS:
            raise NetworkError(f"prior: {len(self.features)} tables of {size} counts are none or too many")
        if len(self.offsets) > MAX_ORDER or not 1 <= self.groups <= MAX_GROUPS:
            raise NetworkError("prior: too many neighbours or groups")
        contexts = (size + 1) ** len(self.offsets)
        if self.classes is not None:
            contexts = self._check_classes(self.classes)
        if self.context_map.shape != (self.groups, contexts) or self.context_map.size > MAX_CONTEXTS:
            raise NetworkError("prior: the map does not have one entry for every context, or too many")
        if int(self.context_map.max()) >= len(self.features):
            raise NetworkError("prior: the map names a table that does not exist")
        if np.abs(self.bias.astype(np.int64)).max() > MAX_LOGIT:  # the product is below 2^38, >> 6 2^32
            raise NetworkError("prior: a bias is too large")
        largest = np.abs(self.features.astype(np.int64)).max(0) @ np.abs(self.basis.astype(np.int64))
        if int(largest.max()) > MAX_LOGIT:
            raise NetworkError("prior: logits are too large")

    def _check_classes(self, classes: NDArray[np.uint16]) -> int:
        """Contexts of a group."""
        order = len(self.offsets)
        if classes.dtype != np.uint16 or classes.shape != (self.groups, order, self.codebook_size + 1):
            raise NetworkError("prior: the classes are of the wrong type or shape")
        if not order or len(self.class_counts) != order:
            raise NetworkError("prior: there is not one number of classes for every neighbour")
        limits = np.array(self.class_counts)[:, None]
        if min(self.class_counts) < 1 or (classes >= limits).any():
            raise NetworkError("prior: a state is of a class that does not exist")
        return math.prod(self.class_counts)

    def put(self, tensors: dict[str, NDArray[Any]], pack: Pack) -> Json:
        """The factors and the map."""
        for field in ("features", "basis", "context_map"):
            tensors[f"prior.{field}"] = pack(getattr(self, field))
        tensors["prior.bias"] = self.bias
        reduced: Json = {}
        if self.classes is not None:
            tensors["prior.classes"] = pack(self.classes)
            reduced = {"classes": list(self.class_counts)}
        return {
            "bits": self.bits,
            "groups": self.groups,
            "codebook_size": self.codebook_size,
            "tables": self.tables,
            "rank": len(self.basis),
            "offsets": [list(offset) for offset in self.offsets],
            **reduced,
        }

    @classmethod
    def get(cls, description: object, tensors: Tensors) -> PriorTables:
        """What `put` stored."""
        bits = integer(description, "bits", 8, 16)
        groups = integer(description, "groups", 1, MAX_GROUPS)
        size = integer(description, "codebook_size", 2, min(1 << bits, MAX_SYMBOLS))
        tables = integer(description, "tables", 1, min(1 << 16, MAX_COUNTS // size))
        rank = integer(description, "rank", 1, MAX_RANK)
        offsets = triples(member(description, "offsets", list), MAX_ORDER, "prior.offsets")
        classes: NDArray[np.uint16] | None = None
        counts: tuple[int, ...] = ()
        contexts = (size + 1) ** len(offsets)
        if reduced := isinstance(description, dict) and "classes" in description:
            counts = numbers(description, "classes", len(offsets), size + 1)
            contexts = math.prod(counts)
        states = groups, len(offsets), size + 1
        if groups * contexts > MAX_CONTEXTS:
            raise damaged("the prior has too many contexts")
        if reduced:
            if math.prod(states) > MAX_VALUES:
                raise damaged("the prior's neighbours have too many states")
            classes = inflate(tensors, "prior.classes", np.uint16, states)
        return cls(
            features=inflate(tensors, "prior.features", np.int16, (tables, rank)),
            basis=inflate(tensors, "prior.basis", np.int16, (rank, size)),
            bias=tensor(tensors, "prior.bias", np.int32, 1),
            context_map=inflate(tensors, "prior.context_map", np.uint16, (groups, contexts)),
            bits=bits,
            offsets=offsets,
            classes=classes,
            class_counts=counts,
        )

    def make_coder(self) -> TableCoder:
        """Its coder."""
        return TableCoder(self)


def uniform_tables(groups: int, codebook_size: int, bits: int) -> PriorTables:
    """One table, all symbols alike, for every group."""
    return PriorTables(
        features=np.zeros((1, 1), np.int16),
        basis=np.zeros((1, codebook_size), np.int16),
        bias=np.zeros(codebook_size, np.int32),
        context_map=np.zeros((groups, 1), np.uint16),
        bits=bits,
        offsets=(),
    )


class TableCoder:
    """Pushes and pops indices [N, G, h, w] with one prior."""

    def __init__(self, prior: PriorTables) -> None:
        self.groups = prior.groups
        self.tables = entropy.Tables(prior.counts, prior.bits)
        self.fsar = entropy.FSARModel(
            self.tables,
            prior.offsets,
            prior.groups,
            prior.codebook_size,
            classes=prior.classes,
            class_counts=None if prior.classes is None else prior.class_counts,
            context_map=prior.context_map.astype(np.uint32),
        )

    @property
    def expanded_nbytes(self) -> int:
        """Bytes of tables and map as they are held for coding."""
        return self.fsar.expanded_nbytes

    def push(self, encoder: entropy.Encoder, indices: NDArray[np.uint16]) -> None:
        """Code indices, uint16 [N, G, h, w]."""
        encoder.push_fsar(self.fsar, indices)

    def pop(self, decoder: entropy.Decoder, shape: tuple[int, int, int, int]) -> NDArray[np.uint16]:
        """Decode indices of `shape` [N, G, h, w]."""
        return decoder.pop_fsar(self.fsar, shape)
