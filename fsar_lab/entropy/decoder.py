"""The decoder: pops what the encoder pushed, last pushed first."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from fsar_lab.entropy._arrays import Array, pointer, require
from fsar_lab.entropy._entropy_c import ffi, lib
from fsar_lab.entropy._groups import for_each_group, group_ranges
from fsar_lab.entropy._status import check
from fsar_lab.entropy.fsar import FSARModel
from fsar_lab.entropy.pixels import PixelModel
from fsar_lab.entropy.tables import Tables
from fsar_lab.errors import DamagedStreamError


class Decoder:
    """Decodes the groups of a batch, or any run of groups by itself.

    Not for use by several threads at once. After an error the decoder is of no further use.
    """

    def __init__(self, groups: Sequence[bytes], num_images: int, threads: int = 1) -> None:
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
        self._decoders: list[Any] = []
        self._streams: list[Any] = []  # keeps the bytes alive
        for (first, last), stream in zip(self._ranges, groups, strict=True):
            view = ffi.from_buffer("uint8_t[]", stream)
            decoder = ffi.new("ec_decoder *")
            status = lib.ec_decoder_init(decoder, last - first, view, len(stream))
            check(status, f"stream of images {first}..{last - 1}")
            self._streams.append(view)
            self._decoders.append(decoder)

    def pop_indexed(self, tables: Tables, index: Array) -> Array:
        """Decodes symbols with one table each.

        Args:
            tables: the distributions.
            index: uint32 [N, P].

        Returns:
            uint16 [N, P].
        """
        index = require("index", index, np.uint32, (self.num_images, None))
        symbols = np.empty(index.shape, np.uint16)
        positions = int(index.shape[1])

        def decode(decoder: Any, first: int, last: int) -> int:
            return int(
                lib.ec_decode_indexed(
                    decoder, tables._c, pointer(index[first:last]), positions, pointer(symbols[first:last])
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
        number, groups, height, width = (int(size) for size in shape)
        if number != self.num_images or groups != model.groups or height < 0 or width < 0:
            raise ValueError(
                f"shape {list(shape)} must be [{self.num_images}, {model.groups}, height, width]"
            )
        indices = np.empty((number, groups, height, width), np.uint16)

        def decode(decoder: Any, first: int, last: int) -> int:
            bytes_needed = lib.ec_fsar_scratch(model._c, last - first, height, width)
            scratch = np.empty(bytes_needed // 2, np.uint16)
            out = pointer(indices[first:last])
            return int(lib.ec_decode_fsar(decoder, model._c, height, width, out, pointer(scratch)))

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

        def decode(decoder: Any, first: int, last: int) -> int:
            scratch = np.empty(lib.ec_pixels_scratch(model._c, last - first, height, width), np.uint8)
            return int(
                lib.ec_decode_pixels(
                    decoder,
                    model._c,
                    pointer(logits[first:last]),
                    pointer(scales[first:last]),
                    height,
                    width,
                    pointer(images[first:last]),
                    pointer(scratch),
                )
            )

        self._pop(decode, "pop_pixels")
        return images

    def finish(self) -> None:
        """Checks the end: every state is the initial one again and every word was consumed.

        Raises:
            DamagedStreamError: the bytes were altered or decoded with another model.
        """
        for (first, last), decoder in zip(self._ranges, self._decoders, strict=True):
            check(lib.ec_decoder_finish(decoder), f"end of images {first}..{last - 1}")

    def _pop(self, decode: Callable[[Any, int, int], int], what: str) -> None:
        def work(group: int) -> None:
            first, last = self._ranges[group]
            check(decode(self._decoders[group], first, last), f"{what}, images {first}..{last - 1}")

        for_each_group(work, len(self._ranges), self.threads)
