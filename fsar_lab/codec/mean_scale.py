"""Pixels with a mean and a scale each, the mean shifted by causal pixels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from fsar_lab import entropy
from fsar_lab.codec.fields import Tensors, damaged, inflate, integer, member, tensor, triples
from fsar_lab.codec.integer_network import Layer, NetworkError
from fsar_lab.codec.parts import Json, Pack, Parameters
from fsar_lab.tables.pixels import CDF_TOTAL, LOGITS, REACH, Tap

MAX_TAPS = 12


def check_pairs(head: Layer | None, scales: Sequence[int], logits: Sequence[int] | None = None) -> None:
    """Raise NetworkError unless the synthesis network's last layer gives pairs within the tables.

    Args:
        head: the layer; its outputs alternate between logits and scales.
        scales: of each pair, how many scales there are.
        logits: of each pair, how many logits there are, half of them negative; None: as the mean look-up has.
    """
    if head is None:
        raise NetworkError("means and scales need a synthesis network")
    most, half = np.asarray(scales), np.asarray(logits or [LOGITS] * len(scales)) // 2
    if len(head.low) != 2 * len(most) or head.low[1::2].min() < 0 or (head.high[1::2] >= most).any():
        raise NetworkError("the synthesis network's outputs do not fit the pixel tables")
    if (head.low[0::2] < -half).any() or (head.high[0::2] >= half).any():
        raise NetworkError("the synthesis network's logits exceed the mean look-up")


def put_lut(mean_lut: NDArray[np.int16], tensors: dict[str, NDArray[Any]], pack: Pack) -> None:
    """The mean look-up as first differences."""
    steps = np.diff(mean_lut.astype(np.int32), prepend=0)
    tensors["pixels.mean_lut"] = pack(steps.astype(np.uint16))


def get_lut(tensors: Tensors) -> NDArray[np.int16]:
    """What `put_lut` stored; sums are taken modulo 2^16, as differences were."""
    steps = inflate(tensors, "pixels.mean_lut", np.uint16, (LOGITS,))
    return np.cumsum(steps, dtype=np.uint16).view(np.int16)


@dataclass(frozen=True)
class MeanScaleTables:
    """What the entropy coder's pixel model is made of.

    Attributes:
        cdf: uint16 [S, 2 * 1022 + 1], non-decreasing, at most 2^16 - 256.
        mean_lut: int16 [4096], base mean in 1/16 fine step for logit -2048..2047.
        taps: per colour, causal (colour, row, column) offsets.
        weights: int32 [taps in all], colour after colour, in 2^-16 fine steps per grey level.
        bias: int32 [3], in 2^-16 fine steps.
    """

    kind: ClassVar[str] = "mean_scale"
    cdf: NDArray[np.uint16]
    mean_lut: NDArray[np.int16]
    taps: tuple[tuple[Tap, ...], ...]
    weights: NDArray[np.int32]
    bias: NDArray[np.int32]

    @property
    def scales(self) -> int:
        """S."""
        return len(self.cdf)

    def check(self, head: Layer | None) -> None:
        """The synthesis network's last layer gives (logit, scale) per colour, within the tables."""
        check_pairs(head, [self.scales] * 3)

    def put(self, tensors: dict[str, NDArray[Any]], pack: Pack) -> Json:
        """Cdfs as second differences, the look-up as first ones."""
        slopes = np.diff(self.cdf.astype(np.int32), axis=1, prepend=0)
        tensors["pixels.cdf"] = pack(np.diff(slopes, axis=1, prepend=0).astype(np.uint16))
        put_lut(self.mean_lut, tensors, pack)
        tensors["pixels.bias"] = self.bias
        if self.weights.size:  # safetensors has no use for empty tensors
            tensors["pixels.weights"] = self.weights
        return {"scales": len(self.cdf), "taps": [[list(tap) for tap in taps] for taps in self.taps]}

    @classmethod
    def get(cls, description: object, tensors: Tensors) -> MeanScaleTables:
        """The entropy coder's PixelModel checks the other rules when it is made from them."""
        scales = integer(description, "scales", 1, 256)
        entries = member(description, "taps", list)
        if len(entries) != 3:
            raise damaged("taps are not given for three colours")
        taps = tuple(triples(entry, MAX_TAPS, "taps") for entry in entries)
        total = sum(len(entry) for entry in taps)
        weights = tensor(tensors, "pixels.weights", np.int32, 1) if total else np.zeros(0, np.int32)
        bias = tensor(tensors, "pixels.bias", np.int32, 1)
        if len(bias) != 3 or len(weights) != total:
            raise damaged("the pixel tables have the wrong shapes")
        # Sums are taken modulo 2^16, as differences were.
        curves = inflate(tensors, "pixels.cdf", np.uint16, (scales, 2 * REACH + 1))
        cdf = np.cumsum(np.cumsum(curves, 1, np.uint16), 1, np.uint16)
        if (np.diff(cdf.astype(np.int32), axis=1) < 0).any() or cdf.max() > CDF_TOTAL:
            raise damaged("a pixel cdf decreases or leaves no room for one count each")
        return cls(cdf, get_lut(tensors), taps, weights, bias)

    def make_coder(self) -> MeanScaleCoder:
        """Its coder."""
        return MeanScaleCoder(self)


class MeanScaleCoder:
    """Pushes and pops pixels; `model` is the entropy coder's."""

    def __init__(self, tables: MeanScaleTables) -> None:
        starts = np.cumsum([0, *map(len, tables.taps)])
        weights = [tables.weights[a:b].tolist() for a, b in pairwise(starts)]
        self.model = entropy.PixelModel(
            tables.cdf, tables.mean_lut, tables.taps, weights, tables.bias.tolist()
        )

    @property
    def expanded_nbytes(self) -> int:
        """Bytes of tables as they are held for coding."""
        return self.model.expanded_nbytes

    def push(
        self, encoder: entropy.Encoder, images: NDArray[np.uint8], parameters: Parameters | None
    ) -> None:
        """Code uint8 [N, H, W, 3]."""
        assert parameters is not None
        encoder.push_pixels(self.model, images, *parameters)

    def pop(
        self, decoder: entropy.Decoder, parameters: Parameters | None, shape: tuple[int, int, int]
    ) -> NDArray[np.uint8]:
        """Decode uint8 [N, H, W, 3]."""
        del shape
        assert parameters is not None
        images: NDArray[np.uint8] = decoder.pop_pixels(self.model, *parameters)
        return images
