"""The decoder: pops what the encoder pushed, last pushed first."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from fsar_lab.entropy._arena import take
from fsar_lab.entropy._arrays import BYTES, Array, pointer, require, require_index
from fsar_lab.entropy._entropy_c import ffi, lib
from fsar_lab.entropy._groups import LANES, group_ranges, in_shares
from fsar_lab.entropy._status import check
from fsar_lab.entropy.fsar import FSARModel
from fsar_lab.entropy.pixels import PAIRS, WEIGHTS, PixelModel
from fsar_lab.entropy.tables import Tables
from fsar_lab.errors import DamagedStreamError

_DECODERS = ffi.typeof("ec_decoder[]")
_U16 = ffi.typeof("uint16_t *")


class Decoder:
    """Decodes the groups of a batch, or any run of groups by itself.

    Not for use by several threads at once. After an error the decoder is of no further use.
    """

    def __init__(self, groups: Sequence[bytes | memoryview], num_images: int, threads: int = 1) -> None:
        """Reads the states.

        Args:
            groups: streams as `Encoder.finish` gave them, one per 32 images.
            num_images: images in these groups; only the last group may hold fewer than 32.
            threads: groups worked on at a time.

        Raises:
            DamagedStreamError: a stream is too short or begins with an impossible state, or the number of
                groups does not fit the number of images.
        """
        if num_images < 1:
            raise ValueError(f"num_images must be at least 1, not {num_images}")
        self.num_images, self.threads = int(num_images), int(threads)
        self._ranges = group_ranges(self.num_images)
        if len(groups) != len(self._ranges):
            raise DamagedStreamError(
                f"{num_images} images need {len(self._ranges)} group streams, {len(groups)} were given"
            )
        self._decoders = ffi.new(_DECODERS, len(self._ranges))
        if len(groups) == 1:
            self._bytes = ffi.from_buffer(BYTES, groups[0])
            status = lib.ec_decoder_init(self._decoders, self.num_images, self._bytes, len(groups[0]))
        else:
            self._bytes = ffi.from_buffer(BYTES, b"".join(groups))
            sizes = np.array([len(stream) for stream in groups], np.uint64)
            status = lib.ec_decoders_init(
                self._decoders, len(groups), self.num_images, self._bytes, pointer(sizes)
            )
        if status != lib.EC_OK:
            check(status, f"streams of {num_images} images")

    def pop_indexed(
        self, tables: Tables, index: Array | int, dtype: type[np.uint8 | np.uint16] = np.uint16
    ) -> Array:
        """Decodes symbols with one table each.

        Args:
            tables: the distributions.
            index: uint8, uint16 or uint32 [N, P]; a number P instead: P symbols of the first table.
            dtype: of the symbols; uint8, half the memory and faster, for at most 256 symbols.

        Returns:
            `dtype` [N, P].
        """
        if dtype not in (np.uint8, np.uint16) or (dtype is np.uint8 and tables.symbols > 256):
            raise TypeError(f"{tables.symbols} symbols cannot be decoded to {np.dtype(dtype)}; use np.uint16")
        shape: tuple[int, ...]
        if isinstance(index, int):
            if index < 0:
                raise ValueError(f"cannot decode {index} symbols")
            shape, index_bytes, view = (self.num_images, index), 0, None
        else:
            index_bytes, view = require_index(index, (self.num_images, None))
            shape = index.shape
        symbols = np.empty(shape, dtype)
        symbol_bytes = symbols.itemsize

        def decode(decoders: Any, groups: int, first: int, last: int) -> int:
            c_index = ffi.NULL if view is None else pointer(view[first:last])
            out = pointer(symbols[first:last])
            return int(
                lib.ec_decode_indexed(
                    decoders, groups, tables._c, c_index, index_bytes, shape[1], out, symbol_bytes
                )
            )

        self._pop(decode, "pop_indexed")
        return symbols

    def pop_fsar(self, model: FSARModel, shape: Sequence[int]) -> Array:
        """Decodes latents.

        Args:
            model: tables and neighbourhood.
            shape: [N, G, h, w] of the latents.

        Returns:
            uint16 [N, G, h, w].
        """
        number, groups_of_codes, height, width = map(int, shape)
        if number != self.num_images or groups_of_codes != model.groups or height < 0 or width < 0:
            raise ValueError(
                f"shape {list(shape)} must be [{self.num_images}, {model.groups}, height, width]"
            )
        indices = np.empty((number, groups_of_codes, height, width), np.uint16)
        scratch_bytes = lib.ec_fsar_scratch(model._c, min(LANES, number), height, width)

        def decode(decoders: Any, groups: int, first: int, last: int) -> int:
            scratch = ffi.cast(_U16, take(0, scratch_bytes))
            out = pointer(indices[first:last])
            return int(lib.ec_decode_fsar(decoders, groups, model._c, height, width, out, scratch))

        self._pop(decode, "pop_fsar")
        return indices

    def pop_pixels(self, model: PixelModel, logits: Array, scales: Array) -> Array:
        """Decodes pixels.

        Args:
            model: the distribution.
            logits: int16 [N, C, H, W].
            scales: uint8 [N, C, H, W].

        Returns:
            uint8 [N, H, W, C].
        """
        logits = require("logits", logits, np.int16, (self.num_images, model.colours, None, None))
        scales = require("scales", scales, np.uint8, logits.shape)
        number, colours, height, width = logits.shape
        images = np.empty((number, height, width, colours), np.uint8)
        scratch_bytes = lib.ec_pixels_scratch(model._c, min(LANES, number), height, width)

        def decode(decoders: Any, groups: int, first: int, last: int) -> int:
            scratch = take(0, scratch_bytes)
            views = (pointer(array[first:last]) for array in (logits, scales))
            out = pointer(images[first:last])
            return int(lib.ec_decode_pixels(decoders, groups, model._c, *views, height, width, out, scratch))

        self._pop(decode, "pop_pixels")
        return images

    def pop_mixture(self, model: PixelModel, weights: Array, logits: Array, scales: Array) -> Array:
        """Decodes what `Encoder.push_mixture` coded: uint8 [N, H, W, C]."""
        weights = require("weights", weights, np.uint16, WEIGHTS)
        planes = PAIRS * model.colours
        logits = require("logits", logits, np.int16, (self.num_images, planes, None, None))
        scales = require("scales", scales, np.uint8, logits.shape)
        number, _, height, width = logits.shape
        images = np.empty((number, height, width, model.colours), np.uint8)

        def decode(decoders: Any, groups: int, first: int, last: int) -> int:
            views = (pointer(array[first:last]) for array in (logits, scales))
            out = pointer(images[first:last])
            return int(
                lib.ec_decode_mixture(
                    decoders, groups, model._c, pointer(weights), *views, height, width, out
                )
            )

        self._pop(decode, "pop_mixture")
        return images

    def pop_rows(self, starts: Array, bits: int) -> Array:
        """Decodes one position of every image with distributions that the caller computed.

        Args:
            starts: uint16 [N, K], bits: as `Encoder.push_rows` had them; they may depend on what was decoded.

        Returns:
            uint16 [N].

        Raises:
            TableError: a row breaks its rules.
        """
        starts = require("starts", starts, np.uint16, (self.num_images, None))
        values = np.empty(self.num_images, np.uint16)
        symbols = int(starts.shape[1])

        def decode(decoders: Any, groups: int, first: int, last: int) -> int:
            for group in range(groups):
                rows = slice(first + LANES * group, min(first + LANES * (group + 1), last))
                status = lib.ec_decode_rows(
                    decoders + group, pointer(starts[rows]), symbols, bits, pointer(values[rows])
                )
                if status != lib.EC_OK:
                    return int(status)
            return int(lib.EC_OK)

        self._pop(decode, "pop_rows")
        return values

    def pop_bypass(self, bits: int, positions: int) -> Array:
        """Decodes numbers of `bits` bits: uint16 [N, positions]."""
        if positions < 0:
            raise ValueError(f"cannot decode {positions} numbers")
        values = np.empty((self.num_images, positions), np.uint16)

        def decode(decoders: Any, groups: int, first: int, last: int) -> int:
            for group in range(groups):
                part = values[first + LANES * group : min(first + LANES * (group + 1), last)]
                status = lib.ec_decode_bypass(decoders + group, bits, positions, pointer(part))
                if status != lib.EC_OK:
                    return int(status)
            return int(lib.EC_OK)

        self._pop(decode, "pop_bypass")
        return values

    def finish(self) -> None:
        """Checks the end: every state is the initial one again and every word was consumed.

        Raises:
            DamagedStreamError: the bytes were altered or decoded with another model.
        """
        for group, (first, last) in enumerate(self._ranges):
            status = lib.ec_decoder_finish(self._decoders + group)
            if status != lib.EC_OK:
                check(status, f"end of images {first}..{last - 1}")

    def _pop(self, decode: Callable[[Any, int, int, int], int], what: str) -> None:
        def work(first: int, last: int) -> None:
            start, stop = self._ranges[first][0], self._ranges[last - 1][1]
            status = decode(self._decoders + first, last - first, start, stop)
            if status != lib.EC_OK:
                check(status, f"{what}, images {start}..{stop - 1}")

        in_shares(work, len(self._ranges), self.threads)
