"""Pixels under mixtures of three shifted and stretched distributions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from fsar_lab import entropy
from fsar_lab.codec.fields import Tensors, damaged, tensor
from fsar_lab.codec.integer_network import Layer, NetworkError
from fsar_lab.codec.mean_scale import MeanScaleTables, check_pairs
from fsar_lab.codec.parts import Json, Pack, Parameters
from fsar_lab.tables.pixels import LOGITS

COMPONENTS = 3
PAIRS = COMPONENTS + 1  # of each colour: (logit, scale) of every component, then the two weights
WEIGHTS = 256  # values of a weight's logit
BITS = 16


@dataclass(frozen=True)
class MixtureTables:
    """Cumulative counts C(0) = 0, C(j) = ((sum_k w_k F_k[4j - 2 - m_k] + 2^15) >> 16) + j, C(256) = 2^16.

    F_k is the fine cdf of component k's scale and m_k its mean index. The weights' pair (a, b) gives
    w_1 = floor(2^16 e[a + 128] / t), w_2 = floor(2^16 e[b] / t), w_3 = 2^16 - w_1 - w_2 with
    t = e[a + 128] + e[b] + e[128].

    Attributes:
        components: fine cdfs and mean look-up, without taps.
        exponentials: int32 [256], e, in any unit; at least 0, and e[128] above 0.
    """

    kind: ClassVar[str] = "mixture"
    components: MeanScaleTables
    exponentials: NDArray[np.int32]

    @property
    def scales(self) -> int:
        """S."""
        return len(self.components.cdf)

    def check(self, head: Layer | None) -> None:
        """The synthesis network's last layer gives four pairs per colour, within the tables."""
        scales = (COMPONENTS * [self.scales] + [WEIGHTS]) * 3
        check_pairs(head, scales, (COMPONENTS * [LOGITS] + [WEIGHTS]) * 3)
        if self.components.weights.size or self.components.bias.any():
            raise NetworkError("a mixture's components are shifted by causal pixels")

    def put(self, tensors: dict[str, NDArray[Any]], pack: Pack) -> Json:
        """The components as they are alone."""
        tensors["pixels.exponentials"] = self.exponentials
        return self.components.put(tensors, pack)

    @classmethod
    def get(cls, description: object, tensors: Tensors) -> MixtureTables:
        """See Part."""
        exponentials = tensor(tensors, "pixels.exponentials", np.int32, 1)
        if len(exponentials) != WEIGHTS or exponentials.min() < 0 or exponentials[WEIGHTS // 2] == 0:
            raise damaged("a mixture's weights have no proper table")
        return cls(MeanScaleTables.get(description, tensors), exponentials)

    def make_coder(self) -> MixtureCoder:
        """Its coder."""
        return MixtureCoder(self)


class MixtureCoder:
    """Pushes and pops pixels."""

    def __init__(self, tables: MixtureTables) -> None:
        components = tables.components
        self.model = entropy.PixelModel(
            components.cdf, components.mean_lut, components.taps, [[]] * 3, components.bias.tolist()
        )
        self.weights = weight_table(tables.exponentials)

    @property
    def expanded_nbytes(self) -> int:
        """Bytes of tables as they are held for coding."""
        return self.model.expanded_nbytes + self.weights.nbytes

    def push(
        self, encoder: entropy.Encoder, images: NDArray[np.uint8], parameters: Parameters | None
    ) -> None:
        """Code uint8 [N, H, W, 3]."""
        assert parameters is not None
        encoder.push_mixture(self.model, self.weights, images, *parameters)

    def pop(
        self, decoder: entropy.Decoder, parameters: Parameters | None, shape: tuple[int, int, int]
    ) -> NDArray[np.uint8]:
        """Decode uint8 [N, H, W, 3]."""
        del shape
        assert parameters is not None
        images: NDArray[np.uint8] = decoder.pop_mixture(self.model, self.weights, *parameters)
        return images


def weight_table(exponentials: NDArray[np.int32]) -> NDArray[np.uint16]:
    """(w_1, w_2) for every pair of weight logits (a + 128, b): uint16 [256, 256, 2]."""
    e = exponentials.astype(np.int64)
    a, b = e[:, None], e[None, :]
    total = a + b + e[WEIGHTS // 2]
    weights = np.stack([(a << BITS) // total, (b << BITS) // total], 2)
    return weights.astype(np.uint16)
