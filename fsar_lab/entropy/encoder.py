"""The encoder: a stack of coded arrays on one rANS state per image."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from fsar_lab.entropy._arena import KEPT, take
from fsar_lab.entropy._arrays import Array, pointer, require, require_index, require_symbols
from fsar_lab.entropy._entropy_c import ffi, lib
from fsar_lab.entropy._groups import LANES, group_ranges, in_shares
from fsar_lab.entropy._status import check
from fsar_lab.entropy.fsar import FSARModel
from fsar_lab.entropy.pixels import PAIRS, WEIGHTS, PixelModel
from fsar_lab.entropy.tables import Tables

_ENCODERS = ffi.typeof("ec_encoder[]")
_U16 = ffi.typeof("uint16_t *")
_STATES = np.dtype(
    {
        "names": ["state"],
        "formats": [(np.uint32, LANES)],
        "offsets": [ffi.offsetof("ec_encoder", "state")],
        "itemsize": ffi.sizeof("ec_encoder"),
    }
)
BATCH = 64  # groups encoded into the same buffer before their words are taken away: it stays in the cache


class Encoder:
    """Codes a batch; push in the REVERSE order of decoding (pixels first, then latents).

    A push that raises leaves the encoder as it was. Not for use by several threads at once.
    """

    def __init__(self, num_images: int, threads: int = 1) -> None:
        """Starts every image at the initial state.

        Args:
            num_images: N, at least 1.
            threads: shares of the groups of 32 images worked on at a time; the bytes do not depend on it.
        """
        if num_images < 1:
            raise ValueError(f"num_images must be at least 1, not {num_images}")
        self.num_images, self.threads = int(num_images), int(threads)
        self._ranges = group_ranges(self.num_images)
        self._words: list[list[bytes | memoryview]] = []  # of every push, of every group
        self._encoders = ffi.new(_ENCODERS, len(self._ranges))
        check(lib.ec_encoders_init(self._encoders, len(self._ranges), self.num_images), "Encoder")

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

        def encode(encoders: Any, groups: int, first: int, last: int) -> int:
            c_index = ffi.NULL if view is None else pointer(view[first:last])
            c_symbols = pointer(symbols[first:last])
            return int(
                lib.ec_encode_indexed(
                    encoders, groups, tables._c, c_symbols, symbol_bytes, c_index, width, positions
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
        scratch_bytes = lib.ec_fsar_scratch(model._c, min(LANES, self.num_images), height, width)

        def encode(encoders: Any, groups: int, first: int, last: int) -> int:
            scratch = ffi.cast(_U16, take(0, scratch_bytes))
            view = pointer(indices[first:last])
            return int(lib.ec_encode_fsar(encoders, groups, model._c, view, height, width, scratch))

        self._push(encode, groups_of_codes * height * width, "push_fsar")

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
        scratch_bytes = lib.ec_pixels_scratch(model._c, min(LANES, number), height, width)

        def encode(encoders: Any, groups: int, first: int, last: int) -> int:
            scratch = take(0, scratch_bytes)
            views = (pointer(array[first:last]) for array in (images, logits, scales))
            return int(lib.ec_encode_pixels(encoders, groups, model._c, *views, height, width, scratch))

        self._push(encode, height * width * colours, "push_pixels")

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

        def encode(encoders: Any, groups: int, first: int, last: int) -> int:
            views = (pointer(array[first:last]) for array in (images, logits, scales))
            return int(
                lib.ec_encode_mixture(encoders, groups, model._c, pointer(weights), *views, height, width)
            )

        self._push(encode, height * width * colours, "push_mixture")

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

        def encode(encoders: Any, groups: int, first: int, last: int) -> int:
            for group in range(groups):
                rows = slice(first + LANES * group, min(first + LANES * (group + 1), last))
                status = lib.ec_encode_rows(
                    encoders + group, pointer(starts[rows]), symbols, bits, pointer(values[rows])
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

        def encode(encoders: Any, groups: int, first: int, last: int) -> int:
            for group in range(groups):
                part = values[first + LANES * group : min(first + LANES * (group + 1), last)]
                status = lib.ec_encode_bypass(encoders + group, bits, pointer(part), positions)
                if status != lib.EC_OK:
                    return int(status)
            return int(lib.EC_OK)

        self._push(encode, positions, "push_bypass")

    def information(self) -> float:
        """Bits coded so far: 16 per word plus log2(state / 2^16) of every image.

        Differences of this figure split a stream exactly between what was pushed.
        """
        words = sum(len(part) for parts in self._words for part in parts)
        return 8.0 * words + float((np.log2(self._states()) - 16).sum())

    def finish(self) -> list[bytes]:
        """The stream of every group: four bytes of state per image, then the words."""
        if len(self._ranges) == 1:
            head = take(0, 4 * LANES)
            lib.ec_encoder_states(self._encoders, head)
            words = [parts[0] for parts in reversed(self._words)]
            return [b"".join([ffi.buffer(head, 4 * self.num_images), *words])]
        states = memoryview(self._states().astype("<u4").tobytes())
        parts = [states[4 * first : 4 * last] for first, last in self._ranges]
        return [b"".join(stream) for stream in zip(parts, *reversed(self._words), strict=True)]

    def _states(self) -> Array:
        """Of every image, uint32 [N]."""
        groups: Array = np.frombuffer(ffi.buffer(self._encoders), _STATES)["state"]
        return groups.reshape(-1)[: self.num_images]

    def _push(self, encode: Callable[[Any, int, int, int], int], positions: int, what: str) -> None:
        """Encodes every group; if one fails, all are as they were."""
        each = lib.ec_encode_bound(min(LANES, self.num_images), positions)
        if len(self._ranges) == 1:  # nothing to divide and nothing to undo
            buffer = take(1, each)
            lib.ec_encoder_attach(self._encoders, buffer, each)
            status = encode(self._encoders, 1, 0, self.num_images)
            if status != lib.EC_OK:
                check(status, f"{what}, images 0..{self.num_images - 1}")
            at = self._encoders[0].position
            self._words.append([ffi.buffer(buffer + at, each - at)[:]])
            return
        before = bytes(ffi.buffer(self._encoders))
        words: list[bytes | memoryview] = [b""] * len(self._ranges)

        def work(first: int, last: int) -> None:
            batch = max(2, min(BATCH, KEPT // each, last - first))
            buffer = take(1, each * batch)
            for start in range(first, last, batch):
                stop = min(start + batch, last)
                encoders, groups = self._encoders + start, stop - start
                images = self._ranges[start][0], self._ranges[stop - 1][1]
                lib.ec_encoders_attach(encoders, groups, buffer, each)
                status = encode(encoders, groups, *images)
                if status != lib.EC_OK:
                    check(status, f"{what}, images {images[0]}..{images[1] - 1}")
                sizes = np.empty(groups, np.uint64)
                total = lib.ec_encoders_words(encoders, groups, ffi.NULL, pointer(sizes))
                taken = np.empty(total, np.uint8)
                lib.ec_encoders_words(encoders, groups, pointer(taken), pointer(sizes))
                part, end = taken.data, 0
                for group, size in enumerate(sizes.tolist(), start):
                    words[group] = part[end : end + size]
                    end += size

        try:
            in_shares(work, len(self._ranges), self.threads)
        except BaseException:
            ffi.buffer(self._encoders)[:] = before
            raise
        self._words.append(words)
