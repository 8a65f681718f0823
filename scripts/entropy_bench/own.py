"""fsar_lab's own coders, as the benchmark runs them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import numpy as np

from entropy_bench import pixels
from entropy_bench.coder import Coder, Facts, Size
from entropy_bench.precision import TUNED, Precision, ten_bits
from entropy_bench.sources import Array
from entropy_bench.workloads import IndexedWorkload, LatentWorkload, PixelWorkload, Workload
from fsar_lab import entropy

PIXEL_BITS = 16
TANS = Precision(10)  # as the reference has it; every symbol has a count


class Own(ABC):
    """rANS with a batch of all images, or with each image alone, as a batch of one."""

    def __init__(self, workload: Workload, threads: int, table_bits: int, mode: str | None = None) -> None:
        lanes = 1 if workload.alone else entropy.LANES
        self.facts = Facts(entropy.isa(), lanes, table_bits, mode)
        self._symbols, self._threads = workload.symbols, threads
        step = 1 if workload.alone else workload.images
        self._batches = [slice(first, first + step) for first in range(0, workload.images, step)]

    @abstractmethod
    def push(self, encoder: entropy.Encoder, batch: slice) -> None:
        """Codes some of the images."""

    @abstractmethod
    def pop(self, decoder: entropy.Decoder, batch: slice) -> Array:
        """Decodes them."""

    def encode(self) -> list[list[bytes]]:
        """The group streams of every batch."""
        coded = []
        for batch in self._batches:
            encoder = entropy.Encoder(len(self._symbols[batch]), self._threads)
            self.push(encoder, batch)
            coded.append(encoder.finish())
        return coded

    def decode(self, coded: list[list[bytes]]) -> list[Array]:
        """The symbols of every batch."""
        decoded = []
        for batch, groups in zip(self._batches, coded, strict=True):
            decoder = entropy.Decoder(groups, len(self._symbols[batch]), self._threads)
            decoded.append(self.pop(decoder, batch))
            decoder.finish()
        return decoded

    def fresh(self, coded: list[list[bytes]]) -> list[list[bytes]]:
        """The same: decoding leaves it as it is."""
        return coded

    def same(self, decoded: list[Array]) -> bool:
        """Exact comparison."""
        return np.array_equal(np.concatenate(decoded), self._symbols)

    def size(self, coded: list[list[bytes]]) -> Size:
        """Four bytes of state an image come first in every group; a state holds log2(state) - 16 bits."""
        overhead = 4 * len(self._symbols)
        total, state_bits = 0, 0.0
        for batch, groups in zip(self._batches, coded, strict=True):
            left = len(self._symbols[batch])
            for stream in groups:
                states = np.frombuffer(stream, "<u4", min(entropy.LANES, left))
                state_bits += float((np.log2(states) - 16).sum())
                total += len(stream)
                left -= len(states)
        return Size(total - overhead, overhead, state_bits)


class OwnIndexed(Own):
    """Symbols with a table each, or one table for all."""

    def __init__(self, workload: IndexedWorkload, precision: Precision, threads: int) -> None:
        modes = ["rare symbols escaped"] if precision.escape else []
        modes += [f"layout {precision.layout}"] if precision.layout != "auto" else []
        mode = ", ".join(modes) or None
        super().__init__(workload, threads, precision.bits, mode)
        counts = precision.counts(workload.tables)
        self.tables = entropy.Tables(counts, precision.bits, precision.layout, escape=precision.escape)
        narrow = workload.index.astype(
            np.min_scalar_type(len(workload.tables) - 1)
        )  # as few bytes as it takes
        self._index = None if len(workload.tables) == 1 else narrow
        # The symbols of latents stay as they are: push_fsar takes them in two bytes.
        if not isinstance(workload, LatentWorkload) and self.tables.symbols <= 256:
            self._symbols = workload.symbols.astype(np.uint8)

    def push(self, encoder: entropy.Encoder, batch: slice) -> None:
        """Codes some of the images."""
        index = None if self._index is None else self._index[batch]
        encoder.push_indexed(self.tables, self._symbols[batch], index)

    def pop(self, decoder: entropy.Decoder, batch: slice) -> Array:
        """Decodes them."""
        positions: int = self._symbols.shape[1]
        index = positions if self._index is None else self._index[batch]
        return decoder.pop_indexed(self.tables, index, self._symbols.dtype.type)


def fsar_model(workload: LatentWorkload, tables: entropy.Tables) -> entropy.FSARModel:
    """The workload's neighbourhood with tables."""
    groups = workload.symbols.shape[1]
    return entropy.FSARModel(
        tables, workload.offsets, groups, tables.symbols, context_map=workload.context_map
    )


class OwnLatents(OwnIndexed):
    """Latents whose tables are found from the neighbours."""

    def __init__(self, workload: LatentWorkload, precision: Precision, threads: int) -> None:
        super().__init__(workload, precision, threads)
        self._model = fsar_model(workload, self.tables)

    def push(self, encoder: entropy.Encoder, batch: slice) -> None:
        """Codes some of the images."""
        encoder.push_fsar(self._model, self._symbols[batch])

    def pop(self, decoder: entropy.Decoder, batch: slice) -> Array:
        """Decodes them."""
        return decoder.pop_fsar(self._model, self._symbols[batch].shape)


class OwnPixels(Own):
    """Pixels around a linear prediction."""

    def __init__(self, workload: PixelWorkload, threads: int) -> None:
        super().__init__(workload, threads, PIXEL_BITS)
        self._model = entropy.PixelModel(*pixels.model_arguments())
        self._logits, self._scales = workload.logits, workload.scales

    def push(self, encoder: entropy.Encoder, batch: slice) -> None:
        """Codes some of the images."""
        encoder.push_pixels(self._model, self._symbols[batch], self._logits[batch], self._scales[batch])

    def pop(self, decoder: entropy.Decoder, batch: slice) -> Array:
        """Decodes them."""
        return decoder.pop_pixels(self._model, self._logits[batch], self._scales[batch])


class OwnTANS:
    """tANS, one stream an image."""

    def __init__(self, workload: Workload) -> None:
        from fsar_lab.entropy.tans import TANS as Automata

        assert isinstance(workload, IndexedWorkload)
        counts = TANS.counts(workload.tables)
        self.facts = Facts("scalar", 1, TANS.bits)
        self._symbols = workload.symbols
        self._tans = Automata(counts, TANS.bits)
        self._index = None if len(workload.tables) == 1 else workload.index
        self._model = None
        if isinstance(workload, LatentWorkload):
            self._model = fsar_model(workload, entropy.Tables(counts, TANS.bits))

    def encode(self) -> Any:
        """A stream for every image."""
        if self._model is not None:
            return self._tans.encode_fsar(self._model, self._symbols)
        return self._tans.encode(self._symbols, self._index)

    def decode(self, coded: list[bytes]) -> Any:
        """The symbols."""
        if self._model is not None:
            return self._tans.decode_fsar(self._model, coded, self._symbols.shape)
        return self._tans.decode(coded, self._symbols.shape[1], self._index)

    def fresh(self, coded: list[bytes]) -> list[bytes]:
        """The same: decoding leaves it as it is."""
        return coded

    def same(self, decoded: Array) -> bool:
        """Exact comparison."""
        return np.array_equal(decoded, self._symbols)

    def size(self, coded: list[bytes]) -> Size:
        """A stream ends in its state, a mark and zeros up to the next byte: two bytes on average."""
        overhead = 2 * len(coded)
        return Size(sum(map(len, coded)) - overhead, overhead)


def fsar_lab(workload: Workload, threads: int = 1) -> Coder:
    """The setting that is within the limit on size."""
    if isinstance(workload, LatentWorkload):
        return OwnLatents(workload, TUNED[workload.name], threads)
    if isinstance(workload, IndexedWorkload):
        return OwnIndexed(workload, TUNED[workload.name], threads)
    assert isinstance(workload, PixelWorkload)
    return OwnPixels(workload, threads)


def fsar_lab_two_threads(workload: Workload) -> Coder:
    """The same in two threads."""
    return fsar_lab(workload, threads=2)


def fsar_lab_10bit(workload: Workload) -> Coder:
    """Tables of 10 bits: smaller and faster, at a price in size."""
    assert isinstance(workload, IndexedWorkload)
    if isinstance(workload, LatentWorkload):
        return OwnLatents(workload, ten_bits(workload), 1)
    return OwnIndexed(workload, ten_bits(workload), 1)
