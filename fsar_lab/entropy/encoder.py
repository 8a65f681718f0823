"""The encoder: a stack of coded arrays on one rANS state per image."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from fsar_lab.entropy._arena import KEPT, borrow, give_back, take
from fsar_lab.entropy._arrays import Array, pointer, require, require_index, require_symbols
from fsar_lab.entropy._entropy_c import ffi, lib
from fsar_lab.entropy._groups import LANES, groups_of, in_shares
from fsar_lab.entropy._status import check
from fsar_lab.entropy.causal import CausalModel
from fsar_lab.entropy.context import ContextModel
from fsar_lab.entropy.convolution import ConvolutionModel
from fsar_lab.entropy.fsar import FSARModel
from fsar_lab.entropy.pixels import PAIRS, WEIGHTS, PixelModel
from fsar_lab.entropy.tables import Tables

_ENCODERS = ffi.typeof("ec_encoder[]")
_U16 = ffi.typeof("uint16_t *")
_U32 = ffi.typeof("uint32_t *")
_U64 = ffi.typeof("uint64_t *")
_SIZES = ffi.typeof("uint64_t[]")
_STATES = np.dtype(
    {
        "names": ["state"],
        "formats": [(np.uint32, LANES)],
        "offsets": [ffi.offsetof("ec_encoder", "state")],
        "itemsize": ffi.sizeof("ec_encoder"),
    }
)
HEAD = 4 * LANES  # bytes of the states
BATCH = 64  # groups encoded into the same buffer before their words are taken away: it stays in the cache

# (encoders, how many groups, their first image) -> status
_Encode = Callable[[Any, int, int], int]


class Encoder:
    """Codes a batch; push in the REVERSE order of decoding (pixels first, then latents).

    A push that raises leaves the encoder as it was. Not for use by several threads at once.
    """

    _buffer: Any = None  # words of the last pushes, of every group where the C encoder put them

    def __init__(self, num_images: int, threads: int = 1) -> None:
        """Starts every image at the initial state.

        Args:
            num_images: N, at least 1.
            threads: shares of the groups of 32 images worked on at a time; the bytes do not depend on it.
        """
        if num_images < 1:
            raise ValueError(f"num_images must be at least 1, not {num_images}")
        self.num_images, self.threads = int(num_images), int(threads)
        self._groups = groups_of(self.num_images)
        self._words: list[list[memoryview]] = []  # taken away, of every push, of every group
        self._each = 0  # bytes of buffer for a group
        self._encoders = ffi.new(_ENCODERS, self._groups)
        check(lib.ec_encoders_init(self._encoders, self._groups, self.num_images), "Encoder")

    def __del__(self) -> None:
        """The next encoder may have the buffer."""
        if self._buffer is not None:
            give_back(self._buffer)

    def push_indexed(self, tables: Tables, symbols: Array, index: Array | None = None) -> None:
        """Codes symbols with one table each.

        Args:
            tables: the distributions.
            symbols: uint16 [N, P]; or uint8, half the memory and faster, for at most 256 symbols.
            index: uint8, uint16 or uint32 [N, P], table of each symbol; None: the first table for all.

        Raises:
            SymbolRangeError: a symbol or index cannot be coded.
        """
        symbols = require_symbols(symbols, tables.symbols, (self.num_images, None))
        symbol_bytes = symbols.itemsize
        width, view = require_index(index, symbols.shape)
        positions = int(symbols.shape[1])
        c_symbols = pointer(symbols)
        c_index = ffi.NULL if view is None else pointer(view)

        def encode(encoders: Any, groups: int, first: int) -> int:
            at = first * positions
            here = c_index if view is None else c_index + at
            return int(
                lib.ec_encode_indexed(
                    encoders, groups, tables._c, c_symbols + at, symbol_bytes, here, width, positions
                )
            )

        self._push(encode, positions, "push_indexed")

    def push_fsar(self, model: FSARModel, indices: Array) -> None:
        """Codes latents.

        Args:
            model: tables and neighbourhood.
            indices: uint16 [N, G, h, w], each below K.

        Raises:
            SymbolRangeError: a symbol cannot be coded.
        """
        indices = require("indices", indices, np.uint16, (self.num_images, model.groups, None, None))
        _, groups_of_codes, height, width = indices.shape
        positions = groups_of_codes * height * width
        scratch_bytes = lib.ec_fsar_scratch(model._c, min(LANES, self.num_images), height, width)
        view = pointer(indices)

        def encode(encoders: Any, groups: int, first: int) -> int:
            scratch = ffi.cast(_U16, take(scratch_bytes))
            here = view + first * positions
            return int(lib.ec_encode_fsar(encoders, groups, model._c, here, height, width, scratch))

        self._push(encode, positions, "push_fsar")

    def push_pixels(self, model: PixelModel, images: Array, logits: Array, scales: Array) -> None:
        """Codes pixels.

        Args:
            model: the distribution.
            images: uint8 [N, H, W, C].
            logits: int16 [N, C, H, W], index of the base mean.
            scales: uint8 [N, C, H, W], each below S.

        Raises:
            SymbolRangeError: a scale is out of range.
        """
        images = require("images", images, np.uint8, (self.num_images, None, None, model.colours))
        number, height, width, colours = images.shape
        logits = require("logits", logits, np.int16, (number, colours, height, width))
        scales = require("scales", scales, np.uint8, (number, colours, height, width))
        positions = height * width * colours
        scratch_bytes = lib.ec_pixels_scratch(model._c, min(LANES, number), height, width)
        views = [pointer(array) for array in (images, logits, scales)]

        def encode(encoders: Any, groups: int, first: int) -> int:
            here = [view + first * positions for view in views]
            scratch = take(scratch_bytes)
            return int(lib.ec_encode_pixels(encoders, groups, model._c, *here, height, width, scratch))

        self._push(encode, positions, "push_pixels")

    def push_context(self, model: ContextModel, images: Array) -> None:
        """Codes pixels without parameters.

        Args:
            model: predictors and tables.
            images: uint8 [N, H, W, 3].

        Raises:
            SymbolRangeError: an error of prediction has no count in its table.
        """
        images = require("images", images, np.uint8, (self.num_images, None, None, 3))
        _, height, width, colours = images.shape
        positions, view = height * width * colours, pointer(images)
        scratch_bytes = lib.ec_context_scratch(height, width)

        def encode(encoders: Any, groups: int, first: int) -> int:
            here, scratch = view + first * positions, take(scratch_bytes)
            return int(lib.ec_encode_context(encoders, groups, model._c, here, height, width, scratch))

        self._push(encode, positions, "push_context")

    def push_causal(self, model: CausalModel, images: Array, conditions: Array | None = None) -> None:
        """Codes pixels from pixels with a network.

        Args:
            model: the network.
            images: uint8 [N, H, W, 3].
            conditions: uint8 [N, H, W, conditions of the model]; None if it has none.
        """
        images = require("images", images, np.uint8, (self.num_images, None, None, 3))
        number, height, width, colours = images.shape
        positions, view = height * width * colours, pointer(images)
        scratch_bytes = lib.ec_causal_scratch(model._c, height, width)
        said = model.conditions_pointer(conditions, (number, height, width))

        def encode(encoders: Any, groups: int, first: int) -> int:
            here, scratch = view + first * positions, ffi.cast(_U32, take(scratch_bytes))
            beside = said + first * height * width * model.shape.conditions
            return int(lib.ec_encode_causal(encoders, groups, model._c, here, beside, height, width, scratch))

        self._push(encode, positions, "push_causal")

    def push_mixture(
        self, model: PixelModel, weights: Array, images: Array, logits: Array, scales: Array
    ) -> None:
        """Codes pixels under mixtures of three distributions (entropy_c.h, "Mixtures").

        Args:
            model: cdfs and mean look-up of the components; its taps and bias play no part.
            weights: uint16 [256, 256, 2], of the third pair's logit + 128 and scale; the two add up to at
                most 2^16.
            images: uint8 [N, H, W, C].
            logits: int16 [N, 4 C, H, W], for each colour those of three components, then of the weights.
            scales: uint8 [N, 4 C, H, W].

        Raises:
            SymbolRangeError: a scale or a weight's logit is out of range.
            TableError: weights that add up to more than 2^16.
        """
        images = require("images", images, np.uint8, (self.num_images, None, None, model.colours))
        number, height, width, colours = images.shape
        weights = require("weights", weights, np.uint16, WEIGHTS)
        logits = require("logits", logits, np.int16, (number, PAIRS * colours, height, width))
        scales = require("scales", scales, np.uint8, logits.shape)

        positions, shares = height * width * colours, pointer(weights)
        view = pointer(images)
        planes = [pointer(array) for array in (logits, scales)]

        def encode(encoders: Any, groups: int, first: int) -> int:
            here = [view + first * positions, *(plane + first * PAIRS * positions for plane in planes)]
            return int(lib.ec_encode_mixture(encoders, groups, model._c, shares, *here, height, width))

        self._push(encode, positions, "push_mixture")

    def push_convolution(self, model: ConvolutionModel, indices: Array) -> None:
        """Codes latents; on a checkerboard those of even row + column.

        Args:
            model: rows and neighbourhood.
            indices: uint16 [N, P*G, h, w].

        Raises:
            SymbolRangeError: an index is not below K.
            TableError: the model's offsets or numbers break their rules.
        """
        indices = require("indices", indices, np.uint16, (self.num_images, model.channels, None, None))
        height, width = map(int, indices.shape[2:])
        positions, view = model.channels * height * width, pointer(indices)
        scratch_bytes = lib.ec_convolution_scratch(model._c, min(LANES, self.num_images))

        def encode(encoders: Any, groups: int, first: int) -> int:
            scratch, here = ffi.cast(_U64, take(scratch_bytes)), view + first * positions
            return int(lib.ec_encode_convolution(encoders, groups, model._c, here, height, width, scratch))

        self._push(encode, model.channels * model.positions(height, width), "push_convolution")

    def push_rows(self, starts: Array, bits: int, values: Array) -> None:
        """Codes one position of every image with distributions that the caller computed.

        Positions are pushed from the last to the first. Rows must be integers, or computed exactly alike on
        both sides.

        Args:
            starts: uint16 [N, K]: symbol k owns the slots starts[k] .. starts[k + 1] - 1, the last one ends
                at 2^bits; every row begins with 0 and does not decrease.
            bits: 8..16.
            values: uint16 [N], each with at least one slot in its row.

        Raises:
            TableError: a row breaks its rules.
            SymbolRangeError: a value is not below K or has no slots.
        """
        starts = require("starts", starts, np.uint16, (self.num_images, None))
        values = require("values", values, np.uint16, (self.num_images,))
        symbols = int(starts.shape[1])

        c_starts, c_values = pointer(starts), pointer(values)

        def encode(encoders: Any, groups: int, first: int) -> int:
            for group in range(groups):
                at = first + LANES * group
                status = lib.ec_encode_rows(
                    encoders + group, c_starts + at * symbols, symbols, bits, c_values + at
                )
                if status != lib.EC_OK:
                    return int(status)
            return int(lib.EC_OK)

        self._push(encode, 1, "push_rows")

    def push_bypass(self, bits: int, values: Array) -> None:
        """Codes numbers as they are.

        Args:
            bits: 1..16, what each of them costs.
            values: uint16 [N, P], each below 2^bits.

        Raises:
            SymbolRangeError: a value is too large.
        """
        values = require("values", values, np.uint16, (self.num_images, None))
        positions = int(values.shape[1])

        view = pointer(values)

        def encode(encoders: Any, groups: int, first: int) -> int:
            for group in range(groups):
                here = view + (first + LANES * group) * positions
                status = lib.ec_encode_bypass(encoders + group, bits, here, positions)
                if status != lib.EC_OK:
                    return int(status)
            return int(lib.EC_OK)

        self._push(encode, positions, "push_bypass")

    def information(self) -> float:
        """Bits coded so far: 16 per word plus log2(state / 2^16) of every image.

        Differences of this figure split a stream exactly between what was pushed.
        """
        words = sum(len(part) for parts in self._words for part in parts)
        if self._buffer is not None:
            sizes = ffi.new(_SIZES, self._groups)
            words += lib.ec_encoders_words(self._encoders, self._groups, ffi.NULL, sizes)
        groups: Array = np.frombuffer(ffi.buffer(self._encoders), _STATES)["state"]
        states = groups.reshape(-1)[: self.num_images]
        return 8.0 * words + float((np.log2(states) - 16).sum())

    def finish(self) -> list[bytes]:
        """The stream of every group: four bytes of state per image, then the words."""
        if self._buffer is None:
            self._attach(HEAD)
        sizes = ffi.new(_SIZES, self._groups)
        check(lib.ec_encoders_heads(self._encoders, self._groups, sizes), "finish")
        each, buffer = self._each, ffi.buffer(self._buffer)
        ends = range(each, each * self._groups + 1, each)
        heads = [
            buffer[end - size : end] for end, size in zip(ends, ffi.unpack(sizes, self._groups), strict=True)
        ]
        if not self._words:
            return heads
        return [b"".join(parts) for parts in zip(heads, *reversed(self._words), strict=True)]

    def _attach(self, size: int) -> None:
        """Gives every group an empty buffer of `size` bytes."""
        self._each = size
        self._buffer = borrow(self._each * self._groups)
        lib.ec_encoders_attach(self._encoders, self._groups, self._buffer, self._each)

    def _push(self, encode: _Encode, positions: int, what: str) -> None:
        """Encodes every group; if one fails, all are as they were."""
        groups = self._groups
        each = lib.ec_encode_bound(min(LANES, self.num_images), positions)
        room = each + HEAD
        if self._buffer is not None and lib.ec_encoders_room(self._encoders, groups) < room:
            self._words.append(_take_words(self._encoders, groups))
            give_back(self._buffer)
            self._buffer = None
        # A little more, lest the words of all groups compete for the same places in the cache.
        size = room + room // 7
        if self._buffer is None and size * groups <= KEPT:
            self._attach(size)
        if groups == 1 and self._buffer is not None:  # nothing to divide and nothing to undo
            self._run(encode, what, 0, 1)
            return
        words: list[memoryview] = [memoryview(b"")] * groups

        def run(first: int, last: int) -> None:
            self._run(encode, what, first, last)

        def run_in_batches(first: int, last: int) -> None:
            batch = max(2, min(BATCH, KEPT // each, last - first))
            buffer = borrow(each * batch)
            for start in range(first, last, batch):
                stop = min(start + batch, last)
                lib.ec_encoders_attach(self._encoders + start, stop - start, buffer, each)
                self._run(encode, what, start, stop)
                words[start:stop] = _take_words(self._encoders + start, stop - start)
            give_back(buffer)

        before = bytes(ffi.buffer(self._encoders))
        try:
            in_shares(run if self._buffer is not None else run_in_batches, groups, self.threads)
        except BaseException:
            ffi.buffer(self._encoders)[:] = before
            raise
        if self._buffer is None:
            self._words.append(words)

    def _run(self, encode: _Encode, what: str, first: int, last: int) -> None:
        """Encodes some of the groups."""
        status = encode(self._encoders + first, last - first, LANES * first)
        if status != lib.EC_OK:
            check(status, f"{what}, images {LANES * first}..{min(LANES * last, self.num_images) - 1}")


def _take_words(encoders: Any, groups: int) -> list[memoryview]:
    """Copies of what the encoders have written."""
    sizes = ffi.new(_SIZES, groups)
    taken = np.empty(lib.ec_encoders_words(encoders, groups, ffi.NULL, sizes), np.uint8)
    lib.ec_encoders_words(encoders, groups, pointer(taken), sizes)
    part, end, words = taken.data, 0, []
    for size in ffi.unpack(sizes, groups):
        words.append(part[end : end + size])
        end += size
    return words
