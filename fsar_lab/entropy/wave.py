"""One image whose rows are the lanes: as fast as a batch, and no context is lost."""

from __future__ import annotations

from typing import Any

import numpy as np

from fsar_lab.entropy._arrays import Array, pointer, require
from fsar_lab.entropy._entropy_c import ffi, lib
from fsar_lab.entropy._groups import LANES
from fsar_lab.entropy._status import check
from fsar_lab.entropy.causal import COLOURS, CausalModel
from fsar_lab.entropy.fsar import FSARModel
from fsar_lab.entropy.pixels import PixelModel


def _scratch(size: int, what: str) -> Any:
    """Memory for C, which says 0 if it cannot be had."""
    if size == 0:
        raise ValueError(
            f"{what}: the image is too large, the lanes too few, or an offset points to a row below, "
            "or the network has conditions"
        )
    return pointer(np.empty(size, np.uint8))


def _lanes(lanes: int) -> int:
    if not 1 <= lanes <= LANES:
        raise ValueError(f"lanes must be 1..{LANES}, not {lanes}")
    return int(lanes)


class WaveEncoder:
    """Codes one image; row r runs a few columns behind row r - 1 (docs/FORMAT-entropy.md, "Waves").

    Push in the REVERSE order of decoding, as with `Encoder`. Each lane costs a state of four bytes, so a
    small image wants fewer lanes than the 32 that are fastest. A push that raises leaves the
    encoder as it was.
    """

    def __init__(self, lanes: int = LANES) -> None:
        """Starts every lane at the initial state.

        Args:
            lanes: rows that advance together, 1..32; decoding needs the same number.
        """
        self.lanes = _lanes(lanes)
        self._encoder = ffi.new("ec_encoder *")
        self._chunks: list[bytes] = []
        check(lib.ec_encoder_init(self._encoder, self.lanes), "WaveEncoder")

    def push_fsar(self, model: FSARModel, indices: Array) -> None:
        """Codes latents.

        Args:
            model: tables and neighbourhood; no offset may point to a row below.
            indices: uint16 [G, h, w], each below K.

        Raises:
            SymbolRangeError: a symbol cannot be coded.
        """
        indices = require("indices", indices, np.uint16, (model.groups, None, None))
        if indices.size == 0:
            return
        _, height, width = indices.shape
        scratch = _scratch(lib.ec_fsar_wave_scratch(model._c, self.lanes, height, width), "push_fsar")
        view = pointer(indices)
        self._push(
            indices.size,
            "push_fsar",
            lambda encoder: lib.ec_encode_fsar_wave(
                encoder, model._c, view, height, width, ffi.cast("uint16_t *", scratch)
            ),
        )

    def push_pixels(self, model: PixelModel, image: Array, logits: Array, scales: Array) -> None:
        """Codes pixels.

        Args:
            model: the distribution.
            image: uint8 [H, W, C].
            logits: int16 [C, H, W], index of the base mean.
            scales: uint8 [C, H, W], each below S.

        Raises:
            SymbolRangeError: a scale is out of range.
        """
        image = require("image", image, np.uint8, (None, None, model.colours))
        height, width, colours = image.shape
        logits = require("logits", logits, np.int16, (colours, height, width))
        scales = require("scales", scales, np.uint8, (colours, height, width))
        if image.size == 0:
            return
        scratch = _scratch(lib.ec_pixels_wave_scratch(model._c, self.lanes, height, width), "push_pixels")
        views = [pointer(array) for array in (image, logits, scales)]
        self._push(
            image.size,
            "push_pixels",
            lambda encoder: lib.ec_encode_pixels_wave(encoder, model._c, *views, height, width, scratch),
        )

    def push_causal(self, model: CausalModel, image: Array, recall: bool = False) -> None:
        """Codes pixels.

        Args:
            model: the network; its radius is at most the number of lanes, and it has no conditions.
            image: uint8 [H, W, 3], sides up to 2^15.
            recall: remember colours (docs/FORMAT-entropy.md, section 12).
        """
        image = require("image", image, np.uint8, (None, None, COLOURS))
        height, width, _ = image.shape
        if image.size == 0:
            return
        size, encode = lib.ec_causal_wave_scratch, lib.ec_encode_causal_wave
        if recall:
            size, encode = lib.ec_causal_recall_scratch, lib.ec_encode_causal_recall
        scratch = _scratch(size(model._c, self.lanes, height, width), "push_causal")
        view, memory = pointer(image), ffi.cast("uint32_t *", scratch)
        positions = 2 * image.size if recall else image.size
        self._push(
            positions,
            "push_causal",
            lambda encoder: encode(encoder, model._c, view, height, width, memory),
        )

    def information(self) -> float:
        """Bits coded so far: 16 per word plus log2(state / 2^16) of every lane."""
        states = np.array(list(self._encoder.state[0 : self.lanes]), np.float64)
        return 8.0 * sum(map(len, self._chunks)) + float((np.log2(states) - 16).sum())

    def finish(self) -> bytes:
        """The stream: four bytes of state per lane, then the words."""
        states = bytearray(4 * self.lanes)
        lib.ec_encoder_states(self._encoder, ffi.from_buffer("uint8_t[]", states))
        return b"".join([states, *reversed(self._chunks)])

    def _push(self, positions: int, what: str, encode: Any) -> None:
        encoder = ffi.new("ec_encoder *", self._encoder[0])
        buffer = np.empty(lib.ec_encode_bound(1, positions), np.uint8)
        view = pointer(buffer)  # keeps the memory while C writes
        lib.ec_encoder_attach(encoder, view, len(buffer))
        check(encode(encoder), what)
        self._chunks.append(buffer[encoder.position :].tobytes())
        self._encoder = encoder


class WaveDecoder:
    """Decodes one image coded by `WaveEncoder`. After an error it is of no further use."""

    def __init__(self, stream: bytes | memoryview, lanes: int = LANES) -> None:
        """Reads the states.

        Args:
            stream: what `WaveEncoder.finish` gave.
            lanes: the encoder's.

        Raises:
            DamagedStreamError: the stream is too short or begins with an impossible state.
        """
        self.lanes = _lanes(lanes)
        self._stream = ffi.from_buffer("uint8_t[]", stream)
        self._decoder = ffi.new("ec_decoder *")
        check(lib.ec_decoder_init(self._decoder, self.lanes, self._stream, len(stream)), "stream")

    def pop_fsar(self, model: FSARModel, height: int, width: int) -> Array:
        """Decodes latents: uint16 [G, height, width]."""
        indices = np.empty((model.groups, height, width), np.uint16)
        if indices.size > 0:
            scratch = _scratch(lib.ec_fsar_wave_scratch(model._c, self.lanes, height, width), "pop_fsar")
            memory = ffi.cast("uint16_t *", scratch)
            out = pointer(indices)
            check(lib.ec_decode_fsar_wave(self._decoder, model._c, height, width, out, memory), "pop_fsar")
        return indices

    def pop_pixels(self, model: PixelModel, logits: Array, scales: Array) -> Array:
        """Decodes pixels.

        Args:
            model: the distribution.
            logits: int16 [C, H, W].
            scales: uint8 [C, H, W].

        Returns:
            uint8 [H, W, C].
        """
        logits = require("logits", logits, np.int16, (model.colours, None, None))
        scales = require("scales", scales, np.uint8, logits.shape)
        colours, height, width = logits.shape
        image = np.empty((height, width, colours), np.uint8)
        if image.size > 0:
            scratch = _scratch(lib.ec_pixels_wave_scratch(model._c, self.lanes, height, width), "pop_pixels")
            views = [pointer(array) for array in (logits, scales)]
            out = pointer(image)
            check(
                lib.ec_decode_pixels_wave(self._decoder, model._c, *views, height, width, out, scratch),
                "pop_pixels",
            )
        return image

    def pop_causal(self, model: CausalModel, height: int, width: int, recall: bool = False) -> Array:
        """Decodes pixels: uint8 [height, width, 3]."""
        image = np.empty((height, width, COLOURS), np.uint8)
        if image.size > 0:
            size, decode = lib.ec_causal_wave_scratch, lib.ec_decode_causal_wave
            if recall:
                size, decode = lib.ec_causal_recall_scratch, lib.ec_decode_causal_recall
            scratch = _scratch(size(model._c, self.lanes, height, width), "pop_causal")
            memory, out = ffi.cast("uint32_t *", scratch), pointer(image)
            check(decode(self._decoder, model._c, height, width, out, memory), "pop_causal")
        return image

    def finish(self) -> None:
        """Checks the end: every state is the initial one again and every word was consumed.

        Raises:
            DamagedStreamError: the bytes were altered or decoded with another model.
        """
        check(lib.ec_decoder_finish(self._decoder), "end of the stream")


def count_colours(image: Array) -> int:
    """How many colours uint8 [H, W, 3] has."""
    image = require("image", image, np.uint8, (None, None, COLOURS))
    view, scratch = pointer(image), pointer(np.empty(lib.EC_COLOURS_SCRATCH, np.uint8))
    return int(lib.ec_count_colours(view, image.size // COLOURS, ffi.cast("uint32_t *", scratch)))
