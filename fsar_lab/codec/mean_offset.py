"""Pixels minus their rounded means, modulo 256, with one table for each scale (PILC, METHOD 2.2)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from fsar_lab import entropy
from fsar_lab.codec.fields import Tensors, damaged, inflate, integer
from fsar_lab.codec.integer_network import Layer
from fsar_lab.codec.mean_scale import check_pairs, get_lut, put_lut
from fsar_lab.codec.parts import Json, Pack, Parameters
from fsar_lab.tables.pixels import LOGITS

BITS = 16  # of the tables; symbols far from the mean get one count of 2^16
MIDDLE = 128  # the residual's code of no deviation


@dataclass(frozen=True)
class MeanOffsetTables:
    """r = (x - g + 128) mod 256, g = clamp((mean_lut[logit] + 32) >> 6, 0, 255), coded with counts[scale].

    Attributes:
        counts: uint32 [S, 256], of r; every row sums to 2^16.
        mean_lut: int16 [4096], base mean in 1/64 grey level for logit -2048..2047.
    """

    kind: ClassVar[str] = "mean_offset"
    counts: NDArray[np.uint32]
    mean_lut: NDArray[np.int16]

    @property
    def scales(self) -> int:
        """S."""
        return len(self.counts)

    def check(self, head: Layer | None) -> None:
        """The synthesis network's last layer gives (logit, scale) per colour, within the tables."""
        check_pairs(head, [self.scales] * 3)

    def put(self, tensors: dict[str, NDArray[Any]], pack: Pack) -> Json:
        """Counts as they are, the look-up as differences."""
        tensors["pixels.counts"] = pack(self.counts.astype(np.uint16))
        put_lut(self.mean_lut, tensors, pack)
        return {"scales": len(self.counts)}

    @classmethod
    def get(cls, description: object, tensors: Tensors) -> MeanOffsetTables:
        """See Part."""
        scales = integer(description, "scales", 1, 256)
        counts = inflate(tensors, "pixels.counts", np.uint16, (scales, 256)).astype(np.uint32)
        if (counts == 0).any() or (counts.sum(1) != 1 << BITS).any():
            raise damaged(f"counts of a residual that do not sum to 2^{BITS}, or a level without one")
        return cls(counts, get_lut(tensors))

    def make_coder(self) -> MeanOffsetCoder:
        """Its coder."""
        return MeanOffsetCoder(self)


class MeanOffsetCoder:
    """Pushes and pops pixels; no context, so that all of them are symbols with one table each."""

    def __init__(self, tables: MeanOffsetTables) -> None:
        self.tables = entropy.Tables(tables.counts, BITS)
        levels = (tables.mean_lut.astype(np.int32) + 32) >> 6
        self.offset: NDArray[np.uint8] = np.clip(levels, 0, 255).astype(np.uint8) - np.uint8(MIDDLE)

    @property
    def expanded_nbytes(self) -> int:
        """Bytes of tables as they are held for coding."""
        return self.tables.expanded_nbytes + int(self.offset.nbytes)

    def residuals(self, images: NDArray[np.uint8], logits: NDArray[np.int16]) -> NDArray[np.uint8]:
        """r of uint8 images [N, H, W, 3], given logits [N, 3, H, W]: uint8 [N, 3, H, W]."""
        return images.transpose(0, 3, 1, 2) - self._offsets(logits)

    def _offsets(self, logits: NDArray[np.int16]) -> NDArray[np.uint8]:
        offsets: NDArray[np.uint8] = self.offset[logits.astype(np.intp) + LOGITS // 2]
        return offsets

    def push(
        self, encoder: entropy.Encoder, images: NDArray[np.uint8], parameters: Parameters | None
    ) -> None:
        """Code uint8 [N, H, W, 3]."""
        assert parameters is not None
        logits, scales = parameters
        flat = len(images), -1
        residuals = np.ascontiguousarray(self.residuals(images, logits))
        encoder.push_indexed(self.tables, residuals.reshape(flat), scales.reshape(flat))

    def pop(
        self, decoder: entropy.Decoder, parameters: Parameters | None, shape: tuple[int, int, int]
    ) -> NDArray[np.uint8]:
        """Decode uint8 [N, H, W, 3]."""
        assert parameters is not None
        logits, scales = parameters
        residuals = decoder.pop_indexed(self.tables, scales.reshape(shape[0], -1), np.uint8)
        pixels = residuals.reshape(logits.shape) + self._offsets(logits)
        return np.ascontiguousarray(pixels.transpose(0, 2, 3, 1))
