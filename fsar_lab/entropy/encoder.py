"""The encoder: a stack of coded arrays on one rANS state per image."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from fsar_lab.entropy._arrays import Array, pointer, require
from fsar_lab.entropy._entropy_c import ffi, lib
from fsar_lab.entropy._groups import for_each_group, group_ranges
from fsar_lab.entropy._status import check
from fsar_lab.entropy.fsar import FSARModel
from fsar_lab.entropy.pixels import PixelModel
from fsar_lab.entropy.tables import Tables


class Encoder:
    """Codes a batch; push in the REVERSE order of decoding (pixels first, then latents).

    A push that raises leaves the encoder as it was. Not for use by several threads at once.
    """

    def __init__(self, num_images: int, threads: int = 1) -> None:
        """Starts every image at the initial state.

        Args:
            num_images: N, at least 1.
            threads: groups of 32 images worked on at a time; the bytes do not depend on it.
        """
        if num_images < 1:
            raise ValueError(f"num_images must be at least 1, not {num_images}")
        self.num_images, self.threads = int(num_images), int(threads)
        self._ranges = group_ranges(self.num_images)
        self._chunks: list[list[bytes]] = [[] for _ in self._ranges]  # in order of pushing
        self._encoders: list[Any] = []
        for first, last in self._ranges:
            encoder = ffi.new("ec_encoder *")
            check(lib.ec_encoder_init(encoder, last - first), "Encoder")
            self._encoders.append(encoder)

    def push_indexed(self, tables: Tables, symbols: Array, index: Array) -> None:
        """Codes symbols with one table each.

        Args:
            tables: the distributions.
            symbols: uint16 [N, P].
            index: uint32 [N, P], table of each symbol.

        Raises:
            SymbolRangeError: a symbol or index cannot be coded.
        """
        symbols = require("symbols", symbols, np.uint16, (self.num_images, None))
        index = require("index", index, np.uint32, symbols.shape)
        positions = int(symbols.shape[1])

        def encode(encoder: Any, first: int, last: int) -> int:
            return int(
                lib.ec_encode_indexed(
                    encoder, tables._c, pointer(symbols[first:last]), pointer(index[first:last]), positions
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
        _, groups, height, width = indices.shape

        def encode(encoder: Any, first: int, last: int) -> int:
            return int(lib.ec_encode_fsar(encoder, model._c, pointer(indices[first:last]), height, width))

        self._push(encode, groups * height * width, "push_fsar")

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

        def encode(encoder: Any, first: int, last: int) -> int:
            return int(
                lib.ec_encode_pixels(
                    encoder,
                    model._c,
                    pointer(images[first:last]),
                    pointer(logits[first:last]),
                    pointer(scales[first:last]),
                    height,
                    width,
                )
            )

        self._push(encode, height * width * colours, "push_pixels")

    def information(self) -> float:
        """Bits coded so far: 16 per word plus log2(state / 2^16) of every image.

        Differences of this figure split a stream exactly between what was pushed.
        """
        bits = 0.0
        for encoder, chunks in zip(self._encoders, self._chunks, strict=True):
            bits += 8 * sum(len(chunk) for chunk in chunks)
            bits += sum(math.log2(encoder.state[lane]) - 16 for lane in range(encoder.lanes))
        return bits

    def finish(self) -> list[bytes]:
        """The stream of every group: four bytes of state per image, then the words."""
        streams = []
        for encoder, chunks in zip(self._encoders, self._chunks, strict=True):
            states = bytearray(4 * encoder.lanes)
            lib.ec_encoder_states(encoder, ffi.from_buffer("uint8_t[]", states))
            streams.append(b"".join([states, *reversed(chunks)]))
        return streams

    def _push(self, encode: Callable[[Any, int, int], int], positions: int, what: str) -> None:
        """Encodes every group into a fresh buffer; keeps the results only if all succeeded."""
        done: list[tuple[Any, bytes] | None] = [None] * len(self._ranges)

        def work(group: int) -> None:
            first, last = self._ranges[group]
            buffer = np.empty(lib.ec_encode_bound(last - first, positions), np.uint8)
            encoder = ffi.new("ec_encoder *", self._encoders[group][0])
            view = pointer(buffer)
            lib.ec_encoder_attach(encoder, view, len(buffer))
            check(encode(encoder, first, last), f"{what}, images {first}..{last - 1}")
            words = buffer[encoder.position :].tobytes()
            lib.ec_encoder_attach(encoder, ffi.NULL, 0)
            done[group] = (encoder, words)

        for_each_group(work, len(self._ranges), self.threads)
        for group, result in enumerate(done):
            assert result is not None
            self._encoders[group] = result[0]
            self._chunks[group].append(result[1])
