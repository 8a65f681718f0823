"""Making tables: counts from weights. Integers only, the same on every machine."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from fsar_lab.entropy._arrays import Array, pointer, require
from fsar_lab.entropy._entropy_c import ffi, lib
from fsar_lab.entropy._status import check

Rule = Literal["every", "nonzero", "escape"]
MOST_TABLES = 1 << 16  # what a stated loss may ask for: more save nothing
_RULES = {"every": lib.EC_COUNTS_EVERY, "nonzero": lib.EC_COUNTS_NONZERO, "escape": lib.EC_COUNTS_ESCAPE}


def counts_from_weights(weights: Array, bits: int, rule: Rule = "every") -> Array:
    """Integer weights to counts of exact sum 2^bits.

    Args:
        weights: uint64 [M, K], e.g. how often each symbol occurred; the sum of a row is 1..2^63 - 1.
        bits: 8..16.
        rule: "every": each symbol gets a count; "nonzero": symbols of weight 0 get none; "escape": symbols
            whose share is below 0.35 / 2^bits get none and a last column gets their weight: the escape.

    Returns:
        uint32 [M, K], with "escape" [M, K + 1].

    Raises:
        TypeError: weights are not a uint64 array.
        ValueError: bits or the number of symbols out of range.
        TableError: a row of zeros, or more symbols than counts to give.
    """
    weights = require("weights", weights, np.uint64, (None, None))
    tables, symbols = weights.shape
    counts = np.empty((tables, symbols + (rule == "escape")), np.uint32)
    check(
        lib.ec_counts_from_weights(pointer(weights), tables, symbols, bits, _RULES[rule], pointer(counts)),
        f"counts of {tables} tables of {symbols} symbols at {bits} bits",
    )
    return counts


@dataclass(frozen=True)
class Merged:
    """Few tables for many contexts.

    Attributes:
        context_map: uint32 [C], the table of every context.
        counts: uint32 [M, K], rows of the same sum as the contexts' own.
        loss_ppm: mean divergence from the contexts' own distributions, in millionths of their mean entropy.
    """

    context_map: Array
    counts: Array
    loss_ppm: int


def merge_contexts(counts: Array, occurrences: Array, loss_ppm: int, max_tables: int | None = None) -> Merged:
    """Maps contexts to as few tables as a stated loss allows, in Kullback-Leibler divergence.

    Args:
        counts: uint32 [C, K], rows of sum 2^bits, 8 <= bits <= 16.
        occurrences: uint64 [C], how often a symbol is coded in each context; contexts of 0 are mapped, too,
            but do not count for the loss.
        loss_ppm: the loss in millionths of the entropy, e.g. 5000 for 0.5 %; 0: exactly `max_tables` tables.
        max_tables: at most so many; None: as many as the loss asks for.

    Raises:
        TypeError: wrong dtypes.
        ValueError: sizes or numbers out of range.
        TableError: a row does not sum to a power of two.
    """
    counts = require("counts", counts, np.uint32, (None, None))
    contexts, symbols = (int(size) for size in counts.shape)
    occurrences = require("occurrences", occurrences, np.uint64, (contexts,))
    most = min(contexts, contexts if max_tables is None else int(max_tables))
    total = int(counts[0].sum(dtype=np.uint64)) if contexts else 0
    if most < 1 or loss_ppm < 0:
        raise ValueError(f"max_tables={max_tables}, loss_ppm={loss_ppm} with {contexts} contexts")
    context_map = np.empty(contexts, np.uint32)
    room = min(most, MOST_TABLES) if loss_ppm > 0 else most
    merged = np.empty((room, symbols), np.uint32)
    made, reached = ffi.new("uint64_t *"), ffi.new("uint32_t *")
    check(
        lib.ec_merge_contexts(
            pointer(counts),
            contexts,
            symbols,
            max(total.bit_length() - 1, 0),
            pointer(occurrences),
            room,
            loss_ppm,
            pointer(context_map),
            pointer(merged),
            made,
            reached,
        ),
        f"merging {contexts} contexts of {symbols} symbols",
    )
    return Merged(context_map, merged[: made[0]].copy(), int(reached[0]))
