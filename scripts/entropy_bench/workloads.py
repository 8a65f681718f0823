"""The workloads: symbols, the distributions they were drawn from, and the bits that these ask for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from entropy_bench import pixels
from entropy_bench.sources import (
    SPREAD_32,
    SPREAD_256,
    Array,
    Offset,
    Sampler,
    draw_latents,
    gaussian_tables,
    ideal_bits,
    laplace_table,
    random_tables,
    structured_tables,
)
from fsar_lab.entropy import PixelModel, merge_contexts
from fsar_lab.tables.normalise import normalise

ABOVE, LEFT = (0, -1, 0), (0, 0, -1)
MERGE_LOSS_PPM = 1000


@dataclass(frozen=True, kw_only=True)
class Workload:
    """What is coded, and its cost under the float distributions.

    Attributes:
        symbols: uint16 [N, P] or [N, G, h, w], or uint8 [N, H, W, C].
        ideal_bits: sum of -log2 p of these symbols.
        alone: every image is coded by itself, as a batch of one.
    """

    name: str
    symbols: Array
    ideal_bits: float
    alone: bool = False

    @property
    def images(self) -> int:
        """N."""
        return len(self.symbols)


@dataclass(frozen=True, kw_only=True)
class IndexedWorkload(Workload):
    """One of the `tables` (float32 [M, K]) for every symbol: `index`, uint32, shaped like the symbols."""

    tables: Array
    index: Array


@dataclass(frozen=True, kw_only=True)
class LatentWorkload(IndexedWorkload):
    """FSAR: the neighbours choose the table. `index` is what they choose.

    Attributes:
        offsets: the neighbours.
        context_map: uint32 [G, C], the table of every context; None if every context has its own.
        source_tables: distributions before merging, if there was any (for --dump).
        source_index: the context of every symbol, if there was merging.
        merge_loss_percent: what merging costs these symbols.
    """

    offsets: tuple[Offset, ...]
    context_map: Array | None = None
    source_tables: Array | None = None
    source_index: Array | None = None
    merge_loss_percent: float = 0.0


@dataclass(frozen=True, kw_only=True)
class PixelWorkload(Workload):
    """Linear AR pixels; the model is the one of entropy_bench.pixels."""

    logits: Array
    scales: Array


def indexed(name: str, tables: Array, images: int, positions: int = 4096) -> IndexedWorkload:
    """Each symbol from one of the tables, chosen at random: hard on caches."""
    rng = np.random.default_rng(2)
    index = rng.integers(0, len(tables), (images, positions)).astype(np.uint32)
    symbols = Sampler(tables).draw(rng, index).astype(np.uint16)
    ideal = ideal_bits(tables, index, symbols)
    return IndexedWorkload(name=name, symbols=symbols, ideal_bits=ideal, tables=tables, index=index)


def latents(
    name: str,
    images: int,
    symbols: int,
    spread: float,
    offsets: Sequence[Offset],
    alone: bool = False,
) -> LatentWorkload:
    """16x16 latents of one group from a random table for every context."""
    rng = np.random.default_rng(1)
    p = random_tables(rng, (symbols + 1) ** len(offsets), symbols, spread)
    drawn, index = draw_latents(rng, Sampler(p), offsets, (images, 1, 16, 16), symbols)
    return LatentWorkload(
        name=name,
        symbols=drawn,
        ideal_bits=ideal_bits(p, index, drawn),
        alone=alone,
        tables=p,
        index=index,
        offsets=tuple(offsets),
    )


def merged_latents(name: str, images: int, symbols: int, groups: int = 2) -> LatentWorkload:
    """Order 2 with a table for every context, then merged as a trained prior would be.

    The merge sees how often contexts occur in other latents of the same source, not in those coded.
    """
    rng = np.random.default_rng(6)
    offsets = (ABOVE, LEFT)
    p = np.vstack([structured_tables(rng, symbols) for _ in range(groups)])
    sampler = Sampler(p)
    _, training = draw_latents(rng, sampler, offsets, (images, groups, 16, 16), symbols)
    drawn, index = draw_latents(rng, sampler, offsets, (images, groups, 16, 16), symbols)
    occurrences = np.bincount(training.ravel(), minlength=len(p)).astype(np.uint64)
    found = merge_contexts(normalise(p, 14), occurrences, MERGE_LOSS_PPM)
    context_map, counts = found.context_map, found.counts
    merged = (counts / counts.sum(1, keepdims=True)).astype(np.float32)
    table = context_map[index]
    ideal = ideal_bits(p, index, drawn)
    return LatentWorkload(
        name=name,
        symbols=drawn,
        ideal_bits=ideal,
        tables=merged,
        index=table,
        offsets=offsets,
        context_map=context_map.reshape(groups, -1),
        source_tables=p,
        source_index=index,
        merge_loss_percent=100 * (ideal_bits(merged, table, drawn) / ideal - 1),
    )


def linear_ar(name: str, images: int) -> PixelWorkload:
    """32x32 RGB images around a three-tap linear prediction, standard deviations 1.2 to 20 grey levels."""
    rng = np.random.default_rng(3)
    scales = rng.integers(15, 41, (images, 3, 32, 32)).astype(np.uint8)
    logits = np.rint(rng.normal(0, 30, scales.shape)).astype(np.int16)
    data = pixels.draw_images(rng, logits, scales)
    ideal = pixels.pixel_bits(PixelModel(*pixels.model_arguments()), data, logits, scales)
    return PixelWorkload(name=name, symbols=data, ideal_bits=ideal, logits=logits, scales=scales)


# At full size, and with --quick.
BUILDERS: dict[str, tuple[Callable[[str], Workload], Callable[[str], Workload]]] = {
    "static": (
        lambda name: indexed(name, laplace_table(), images=512),
        lambda name: indexed(name, laplace_table(), images=4),
    ),
    "order1": (
        partial(latents, images=4096, symbols=256, spread=SPREAD_256, offsets=[ABOVE]),
        partial(latents, images=64, symbols=256, spread=SPREAD_256, offsets=[ABOVE]),
    ),
    "indexed1024": (
        lambda name: indexed(name, gaussian_tables(64, 16), images=512),
        lambda name: indexed(name, gaussian_tables(64, 16), images=4),
    ),
    "indexed64": (
        lambda name: indexed(name, gaussian_tables(1, 64), images=512),
        lambda name: indexed(name, gaussian_tables(1, 64), images=4),
    ),
    "fsar_o2_k32": (
        partial(latents, images=10_000, symbols=32, spread=SPREAD_32, offsets=[ABOVE, LEFT]),
        partial(latents, images=64, symbols=32, spread=SPREAD_32, offsets=[ABOVE, LEFT]),
    ),
    "fsar_o2_k256_merged": (
        partial(merged_latents, images=4096, symbols=256),
        partial(merged_latents, images=64, symbols=32),
    ),
    "fsar_o2_k32_single_image": (
        partial(latents, images=64, symbols=32, spread=SPREAD_32, offsets=[ABOVE, LEFT], alone=True),
        partial(latents, images=4, symbols=32, spread=SPREAD_32, offsets=[ABOVE, LEFT], alone=True),
    ),
    "linear_ar3": (
        partial(linear_ar, images=512),
        partial(linear_ar, images=32),
    ),
}


def build(name: str, quick: bool = False) -> Workload:
    """One of the BUILDERS' workloads, at full or at small size."""
    return BUILDERS[name][quick](name)


def dump(workload: Workload, folder: Path) -> None:
    """Writes every array of a workload as folder/NAME/ARRAY.npy, and folder/NAME/README.txt about them."""
    target = folder / workload.name
    target.mkdir(parents=True, exist_ok=True)
    lines = [f"{workload.name}: {workload.symbols.size} symbols, {workload.ideal_bits:.1f} bits ideal"]
    for name, value in vars(workload).items():
        if isinstance(value, np.ndarray):
            np.save(target / f"{name}.npy", value)
            lines.append(f"{name}.npy: {value.dtype} {list(value.shape)}")
        elif name == "offsets":
            lines.append(f"offsets of the neighbours (group, row, column): {value}")
    if isinstance(workload, PixelWorkload):
        cdf, mean_lut, taps, weights, bias = pixels.model_arguments()
        np.save(target / "cdf.npy", cdf)
        np.save(target / "mean_lut.npy", mean_lut)
        lines.append(f"model: cdf.npy, mean_lut.npy, taps {taps}, weights {weights}, bias {bias}")
    (target / "README.txt").write_text("\n".join(lines) + "\n")
