"""The decoder: pops what the encoder pushed, last pushed first."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from fsar_lab.entropy._arena import take
from fsar_lab.entropy._arrays import BYTES, Array, pointer, require, require_index
from fsar_lab.entropy._entropy_c import ffi, lib
from fsar_lab.entropy._groups import LANES, groups_of, in_shares
from fsar_lab.entropy._status import check
from fsar_lab.entropy.causal import CausalModel
from fsar_lab.entropy.context import ContextModel
from fsar_lab.entropy.convolution import ConvolutionModel
from fsar_lab.entropy.fsar import FSARModel
from fsar_lab.entropy.pixels import PAIRS, WEIGHTS, PixelModel
from fsar_lab.entropy.tables import Tables
from fsar_lab.errors import DamagedStreamError

_DECODERS = ffi.typeof("ec_decoder[]")
_U16 = ffi.typeof("uint16_t *")
_U32 = ffi.typeof("uint32_t *")
_U64 = ffi.typeof("uint64_t *")


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
        self._groups = groups_of(self.num_images)
        if len(groups) != self._groups:
            raise DamagedStreamError(
                f"{num_images} images need {self._groups} group streams, {len(groups)} were given"
            )
        self._decoders = ffi.new(_DECODERS, self._groups)
        if self._groups == 1:
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

        positions = shape[1]
        c_symbols = pointer(symbols)
        c_index = ffi.NULL if view is None else pointer(view)

        def decode(decoders: Any, groups: int, first: int) -> int:
            at = first * positions
            here = c_index if view is None else c_index + at
            return int(
                lib.ec_decode_indexed(
                    decoders, groups, tables._c, here, index_bytes, positions, c_symbols + at, symbol_bytes
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

        positions = groups_of_codes * height * width
        view = pointer(indices)

        def decode(decoders: Any, groups: int, first: int) -> int:
            scratch = ffi.cast(_U16, take(scratch_bytes))
            out = view + first * positions
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

        positions = height * width * colours
        views = [pointer(array) for array in (logits, scales, images)]

        def decode(decoders: Any, groups: int, first: int) -> int:
            c_logits, c_scales, out = (view + first * positions for view in views)
            scratch = take(scratch_bytes)
            return int(
                lib.ec_decode_pixels(
                    decoders, groups, model._c, c_logits, c_scales, height, width, out, scratch
                )
            )

        self._pop(decode, "pop_pixels")
        return images

    def pop_convolution(self, model: ConvolutionModel, indices: Array) -> None:
        """Decodes latents in place.

        Args:
            model: rows and neighbourhood.
            indices: uint16 [N, P*G, h, w], filled; on a checkerboard those of odd row + column are given.
        """
        indices = require("indices", indices, np.uint16, (self.num_images, model.channels, None, None))
        height, width = map(int, indices.shape[2:])
        positions, view = model.channels * height * width, pointer(indices)
        scratch_bytes = lib.ec_convolution_scratch(model._c, min(LANES, self.num_images))

        def decode(decoders: Any, groups: int, first: int) -> int:
            scratch, out = ffi.cast(_U64, take(scratch_bytes)), view + first * positions
            return int(lib.ec_decode_convolution(decoders, groups, model._c, height, width, out, scratch))

        self._pop(decode, "pop_convolution")

    def pop_context(self, model: ContextModel, shape: Sequence[int]) -> Array:
        """Decodes pixels without parameters.

        Args:
            model: predictors and tables.
            shape: [N, H, W] of the images.

        Returns:
            uint8 [N, H, W, 3].
        """
        number, height, width = map(int, shape)
        if number != self.num_images or height < 0 or width < 0:
            raise ValueError(f"shape {list(shape)} must be [{self.num_images}, height, width]")
        images = np.empty((number, height, width, 3), np.uint8)
        scratch_bytes, view = lib.ec_context_scratch(height, width), pointer(images)

        def decode(decoders: Any, groups: int, first: int) -> int:
            scratch, out = take(scratch_bytes), view + first * height * width * 3
            return int(lib.ec_decode_context(decoders, groups, model._c, height, width, out, scratch))

        self._pop(decode, "pop_context")
        return images

    def pop_causal(self, model: CausalModel, shape: Sequence[int], conditions: Array | None = None) -> Array:
        """Decodes what `Encoder.push_causal` coded: uint8 [N, H, W, 3] of `shape` [N, H, W]."""
        number, height, width = map(int, shape)
        if number != self.num_images or height < 0 or width < 0:
            raise ValueError(f"shape {list(shape)} must be [{self.num_images}, height, width]")
        images = np.empty((number, height, width, 3), np.uint8)
        scratch_bytes, view = lib.ec_causal_scratch(model._c, height, width), pointer(images)
        said = model.conditions_pointer(conditions, (number, height, width))

        def decode(decoders: Any, groups: int, first: int) -> int:
            scratch, out = ffi.cast(_U32, take(scratch_bytes)), view + first * height * width * 3
            here = said + first * height * width * model.shape.conditions
            return int(lib.ec_decode_causal(decoders, groups, model._c, here, height, width, out, scratch))

        self._pop(decode, "pop_causal")
        return images

    def pop_mixture(self, model: PixelModel, weights: Array, logits: Array, scales: Array) -> Array:
        """Decodes what `Encoder.push_mixture` coded: uint8 [N, H, W, C]."""
        weights = require("weights", weights, np.uint16, WEIGHTS)
        planes = PAIRS * model.colours
        logits = require("logits", logits, np.int16, (self.num_images, planes, None, None))
        scales = require("scales", scales, np.uint8, logits.shape)
        number, _, height, width = logits.shape
        images = np.empty((number, height, width, model.colours), np.uint8)

        positions, shares = height * width * model.colours, pointer(weights)
        views, view = [pointer(array) for array in (logits, scales)], pointer(images)

        def decode(decoders: Any, groups: int, first: int) -> int:
            here, out = [v + first * PAIRS * positions for v in views], view + first * positions
            return int(lib.ec_decode_mixture(decoders, groups, model._c, shares, *here, height, width, out))

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

        c_starts, c_values = pointer(starts), pointer(values)

        def decode(decoders: Any, groups: int, first: int) -> int:
            for group in range(groups):
                at = first + LANES * group
                status = lib.ec_decode_rows(
                    decoders + group, c_starts + at * symbols, symbols, bits, c_values + at
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

        view = pointer(values)

        def decode(decoders: Any, groups: int, first: int) -> int:
            for group in range(groups):
                here = view + (first + LANES * group) * positions
                status = lib.ec_decode_bypass(decoders + group, bits, positions, here)
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
        finished = lib.ec_decoders_finished(self._decoders, self._groups)
        if finished < self._groups:
            first = LANES * finished
            check(lib.EC_ERR_DAMAGED, f"end of images {first}..{min(first + LANES, self.num_images) - 1}")

    def _pop(self, decode: Callable[[Any, int, int], int], what: str) -> None:
        def run(first: int, last: int) -> None:
            status = decode(self._decoders + first, last - first, LANES * first)
            if status != lib.EC_OK:
                check(status, f"{what}, images {LANES * first}..{min(LANES * last, self.num_images) - 1}")

        in_shares(run, self._groups, self.threads)
