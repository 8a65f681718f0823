"""tANS: the distributions as automata, one stream per image. Bytes: docs/FORMAT-tans.md."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import accumulate, pairwise
from typing import Any

import numpy as np

from fsar_lab.entropy._arrays import Array, pointer, require
from fsar_lab.entropy._entropy_c import ffi, lib
from fsar_lab.entropy._status import check
from fsar_lab.entropy.fsar import FSARModel


class TANS:
    """Immutable automata of M distributions over K symbols, each summing to 2^bits.

    All automata have the same 2^bits states, so the table may change from symbol to symbol. Rounding of
    probabilities shows at these small totals; `Encoder` codes the same models at up to 16 bits.

    Attributes:
        count: number M of tables.
        symbols: alphabet size K.
        bits: precision.
    """

    def __init__(self, counts: Array, bits: int) -> None:
        """Validates the counts and builds the automata.

        Args:
            counts: uint32 [M, K]; every row sums to exactly 2^bits; a symbol of count 0 cannot be coded.
            bits: 8..12.

        Raises:
            TypeError: counts are not a uint32 array.
            ValueError: sizes out of range, or automata of more than 2^30 bytes in all.
            TableError: a row breaks its rules.
        """
        counts = require("counts", counts, np.uint32, (None, None))
        self.count, self.symbols = int(counts.shape[0]), int(counts.shape[1])
        self.bits = int(bits)
        if not 8 <= self.bits <= 12:
            raise ValueError(f"bits must be 8..12 for tANS, not {bits}; rANS tables take up to 16")
        out = ffi.new("ec_tans **")
        check(
            lib.ec_tans_create(pointer(counts), self.count, self.symbols, self.bits, out),
            f"tANS of {self.count} tables of {self.symbols} symbols at {self.bits} bits "
            f"(at most {lib.EC_TANS_LIMIT} bytes)",
        )
        self._c = ffi.gc(out[0], lib.ec_tans_free, lib.ec_tans_bytes(out[0]))

    @property
    def expanded_nbytes(self) -> int:
        """Bytes held in memory for coding."""
        return int(lib.ec_tans_bytes(self._c))

    def encode(self, symbols: Array, index: Array | None = None) -> list[bytes]:
        """Codes symbols with one table each.

        Args:
            symbols: uint16 [N, P].
            index: uint32 [N, P], table of each symbol; None: table 0.

        Returns:
            One stream for each of the N rows.

        Raises:
            SymbolRangeError: a symbol or index cannot be coded.
        """
        symbols = require("symbols", symbols, np.uint16, (None, None))
        number, positions = (int(size) for size in symbols.shape)
        ids = self._index(index, symbols.shape)

        def call(*out: Any) -> int:
            return int(lib.ec_tans_encode(self._c, pointer(symbols), ids, number, positions, *out))

        return self._encode(call, number, positions, "TANS.encode")

    def decode(self, streams: Sequence[bytes], positions: int, index: Array | None = None) -> Array:
        """Decodes what `encode` made, or any of its streams.

        Args:
            streams: N streams.
            positions: P, symbols of each stream.
            index: uint32 [N, P], as in encoding.

        Returns:
            uint16 [N, P].

        Raises:
            DamagedStreamError: the bytes were altered or belong to other tables.
        """
        symbols = np.empty((len(streams), positions), np.uint16)
        ids = self._index(index, symbols.shape)

        def call(*data: Any) -> int:
            return int(lib.ec_tans_decode(self._c, ids, len(streams), positions, *data, pointer(symbols)))

        self._decode(call, streams, "TANS.decode")
        return symbols

    def encode_fsar(self, model: FSARModel, indices: Array) -> list[bytes]:
        """Codes latents.

        Args:
            model: chooses the table of every symbol; over as many tables and symbols as this, whose counts
                are the ones that code.
            indices: uint16 [N, G, h, w], each below K.

        Returns:
            One stream per image.

        Raises:
            SymbolRangeError: a symbol cannot be coded.
            ValueError: the model is of other tables.
        """
        self._check_model(model)
        indices = require("indices", indices, np.uint16, (None, model.groups, None, None))
        number, groups, height, width = (int(size) for size in indices.shape)

        def call(*out: Any) -> int:
            return int(
                lib.ec_tans_encode_fsar(self._c, model._c, pointer(indices), number, height, width, *out)
            )

        return self._encode(call, number, groups * height * width, "TANS.encode_fsar")

    def decode_fsar(self, model: FSARModel, streams: Sequence[bytes], shape: Sequence[int]) -> Array:
        """Decodes latents.

        Args:
            model: as in encoding.
            streams: one per image.
            shape: [N, G, h, w] of the latents.

        Returns:
            uint16 [N, G, h, w].

        Raises:
            DamagedStreamError: the bytes were altered or belong to another model.
        """
        self._check_model(model)
        number, groups, height, width = (int(size) for size in shape)
        if number != len(streams) or groups != model.groups or height < 0 or width < 0:
            raise ValueError(f"shape {list(shape)} must be [{len(streams)}, {model.groups}, height, width]")
        indices = np.empty((number, groups, height, width), np.uint16)

        def call(*data: Any) -> int:
            return int(
                lib.ec_tans_decode_fsar(self._c, model._c, number, height, width, *data, pointer(indices))
            )

        self._decode(call, streams, "TANS.decode_fsar")
        return indices

    def _index(self, index: Array | None, shape: tuple[int, ...]) -> Any:
        return ffi.NULL if index is None else pointer(require("index", index, np.uint32, shape))

    def _check_model(self, model: FSARModel) -> None:
        if (model.tables.count, model.symbols) != (self.count, self.symbols):
            raise ValueError(
                f"the FSAR model is of {model.tables.count} tables over {model.symbols} symbols, this tANS "
                f"of {self.count} over {self.symbols}; build both from tables of the same shape"
            )

    def _encode(self, call: Callable[..., int], streams: int, positions: int, what: str) -> list[bytes]:
        """`call` with (out, capacity, sizes); the streams cut apart."""
        out = np.empty(lib.ec_tans_bound(self._c, streams, positions), np.uint8)
        sizes = ffi.new("size_t[]", streams)
        check(call(pointer(out), len(out), sizes), what)
        ends = accumulate(sizes, initial=0)
        return [out[first:end].tobytes() for first, end in pairwise(ends)]

    def _decode(self, call: Callable[..., int], streams: Sequence[bytes], what: str) -> None:
        """`call` with (data, bytes, sizes)."""
        data = b"".join(streams)
        sizes = ffi.new("size_t[]", [len(stream) for stream in streams])
        check(call(ffi.from_buffer("uint8_t[]", data), len(data), sizes), what)
