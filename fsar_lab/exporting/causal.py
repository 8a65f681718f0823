"""A causal network in integers: what it learned with is what it is coded with."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from fsar_lab.codec.causal_net import CausalNetTables
from fsar_lab.entropy import CausalShape
from fsar_lab.entropy.causal import COLOURS, EXPONENTIALS, SCALES, STEPS
from fsar_lab.exporting.quantise_model import Output
from fsar_lab.models.coders.causal_net import (
    GREY,
    LINEAR_BITS,
    LOG_SCALE_MIN,
    LOGIT_BITS,
    NEAR,
    OFFSET_BITS,
    PIXEL,
    SCALE_BITS,
    STREAM_BITS,
    CausalNet,
    MaskedConv,
)
from fsar_lab.models.coders.causal_net import STEPS as GREY_STEPS
from fsar_lab.models.rounding import LARGEST_ACTIVATION, LARGEST_WORD

COLOUR_BITS, COUPLE_BITS = 12, 14  # fractions of what residuals are multiplied by
INVERSE_BITS = 12  # of an inverse scale: differences in 1/16 grey levels become 2^-16
WORD = 32767
HIGH = 65280  # of the cumulative logistic function: 256 counts are every symbol's own


def causal_tables(net: CausalNet) -> CausalNetTables:
    """The integers of a trained network that is rounded."""
    config, rounding = net.config, net.rounding
    shape = CausalShape(
        config.radius,
        config.width,
        config.blocks,
        config.inner,
        config.spatial,
        config.hidden,
        config.mixtures,
        net.conditions,
        config.pair,
    )
    matrices = _Matrices(net)
    first = matrices.add_first(net)
    for b, block in enumerate(net.body):
        inner = _inner(net, b)
        within = rounding.exponents(f"inner_{b}")
        matrices.add(f"inner_matrix_{b}", inner, block.a.bias, within)  # type: ignore[union-attr, arg-type]
        outer = rounding.integers(f"outer_matrix_{b}", block.b.weight, f"inner_{b}")  # type: ignore[union-attr, arg-type]
        matrices.add(f"outer_matrix_{b}", outer.flatten(1), block.b.bias, STREAM_BITS)  # type: ignore[union-attr, arg-type]
    neck = rounding.integers("neck_matrix", net.neck.weight, "stream_out")
    matrices.add("neck_matrix", neck.flatten(1), net.neck.bias, STREAM_BITS)
    k = config.mixtures
    units = torch.tensor([LOGIT_BITS] * k + [OFFSET_BITS] * k + [SCALE_BITS] * k)
    for c in range(net.samples):
        head = rounding.integers(f"head_matrix_{c}", net.heads[c], f"own_{c}")
        bias = net.bias[c].detach().clone()
        bias[2 * k :] -= LOG_SCALE_MIN
        matrices.add(f"head_matrix_{c}", head, bias, units)
    streams = [*(f"stream_{b}" for b in range(config.blocks)), "stream_out"]
    arrays: dict[str, NDArray[Any]] = {
        "first": first,
        **matrices.arrays(),
        "stream_shift": _stack([STREAM_BITS - rounding.exponents(name) for name in streams], np.uint8),
        "own_shift": _stack(
            [STREAM_BITS - rounding.exponents(f"own_{c}") for c in range(net.samples)], np.uint8
        ),
        "colour": _words(net.colour * (2.0**STREAM_BITS / NEAR / GREY_STEPS), COLOUR_BITS),
        "couple": _words(net.couple, COUPLE_BITS),
        **tables(),
    }
    return CausalNetTables(shape, arrays)


def conditions(net: CausalNet) -> tuple[Output, ...]:
    """Units of what the synthesis network says, each byte in one of its own; the network is rounded."""
    exponents = net.rounding.exponents("conditions").tolist()
    return tuple(Output(2.0**-exponent, 0.0, 0, LARGEST_ACTIVATION) for exponent in exponents)


class _Matrices:
    """The network's matrices, one behind the other."""

    def __init__(self, net: CausalNet) -> None:
        self.rounding = net.rounding
        self.weights: list[Tensor] = []
        self.biases: list[Tensor] = []
        self.shifts: list[Tensor] = []

    def add_first(self, net: CausalNet) -> NDArray[np.int16]:
        """The first matrix and below it the linear prediction, [width + 3 P, 4 * window + conditions].

        Of every pixel red, green, blue and presence. What is outside the image is grey, and the networks know
        it as 0: the biases make up for it. The linear prediction sees no conditions.
        """
        features = self.rounding.integers("first_matrix", net.first.masked / PIXEL)
        linear = torch.floor(net.skip.masked.detach().double() * 2.0**LINEAR_BITS + 0.5).to(torch.int64)
        linear = linear.view(net.samples, net.pixels, COLOURS, *linear.shape[2:])
        linear = functional.pad(linear, (0, 0, 0, 0, 0, 1)).flatten(1, 2)  # presence says nothing
        weight = torch.cat([features, linear])[:, :, net.first.mask.bool()].transpose(1, 2).flatten(1)
        exponents = self.rounding.exponents("first_matrix")
        grey = torch.full((net.samples,), int(GREY) << LINEAR_BITS)
        bias = torch.cat([_fixed(net.first.bias, exponents), grey])
        pixels = weight.view(len(weight), -1, COLOURS + 1)
        self.biases.append(bias - int(GREY) * pixels[:, :, :COLOURS].sum((1, 2)))
        grey_shift = torch.full((net.samples,), LINEAR_BITS - GREY_STEPS.bit_length() + 1)
        self.shifts.append(torch.cat([exponents - STREAM_BITS, grey_shift]))
        if net.conditions:
            said = self.rounding.integers("first_matrix", net.condition.weight, "conditions").flatten(1)
            weight = torch.cat([weight, functional.pad(said, (0, 0, 0, net.samples))], 1)
        words = weight.clamp(-LARGEST_WORD, LARGEST_WORD)
        return np.ascontiguousarray(words.numpy().astype(np.int16))

    def add(self, name: str, weight: Tensor, bias: Tensor | None, bits: Tensor | int) -> None:
        """int64 weight [O, I] with its float bias [O]; the results have `bits` of fraction."""
        exponents = self.rounding.exponents(name)
        self.weights.append(weight.flatten())
        self.biases.append(_fixed(bias, exponents))
        self.shifts.append(exponents - bits)

    def arrays(self) -> dict[str, NDArray[Any]]:
        """As the entropy coder takes them."""
        return {
            "weights": torch.cat(self.weights).numpy().astype(np.int8),
            "bias": torch.cat(self.biases).numpy().astype(np.int32),
            "shift": torch.cat(self.shifts).numpy().astype(np.uint8),
        }


def _fixed(values: Tensor | None, exponents: Tensor) -> Tensor:
    """A bias in the unit of its output."""
    assert values is not None
    return torch.floor(values.detach().double() * torch.exp2(exponents.double()) + 0.5).to(torch.int64)


def _inner(net: CausalNet, block: int) -> Tensor:
    """int64 [inner, places * width]."""
    a = net.body[block].a
    weight = net.rounding.integers(f"inner_matrix_{block}", net.inner_weight(block), f"stream_{block}")
    if isinstance(a, MaskedConv):
        return weight[:, :, a.mask.bool()].transpose(1, 2).flatten(1)
    return weight.flatten(1)


def _words(values: Tensor, bits: int) -> NDArray[np.int16]:
    """Fixed point in 16 bits; what does not fit is as large as can be."""
    scaled = torch.floor(values.detach().double() * 2.0**bits + 0.5)
    return np.ascontiguousarray(scaled.clamp(-WORD, WORD).numpy().astype(np.int16))


def _stack(rows: list[Tensor], dtype: type[np.generic]) -> NDArray[Any]:
    return torch.stack(rows).numpy().astype(dtype)


def tables() -> dict[str, NDArray[Any]]:
    """Functions that every network shares."""
    index = np.arange(SCALES) / 2**SCALE_BITS + LOG_SCALE_MIN
    inverse = np.maximum(1, np.rint(2.0**INVERSE_BITS * np.exp(-index)))
    z = (np.arange(STEPS + 1) - STEPS / 2) / 32
    exponentials = np.rint(32768 * np.exp(-np.arange(EXPONENTIALS) / 2**LOGIT_BITS))
    return {
        "inverse": inverse.astype(np.int32),
        "sigmoid": np.rint(HIGH / (1 + np.exp(-z))).astype(np.uint16),
        "exponentials": exponentials.astype(np.uint16),
    }
