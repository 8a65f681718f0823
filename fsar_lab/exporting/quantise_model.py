"""A trained compressor's networks and codebooks to integers: analysis, search, code table, synthesis."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from fsar_lab.codec.integer_network import (
    EXACT,
    MAX_SHIFT,
    CodeSearch,
    CodeTable,
    IntegerNetwork,
    search_bound,
)
from fsar_lab.errors import ExportError
from fsar_lab.exporting.fold import FoldedLayer, fold
from fsar_lab.exporting.quantise import LEVELS, Options, Quantiser
from fsar_lab.exporting.round_weights import Activation, Float, Weights

INPUT_SCALE = 1.0 / 510.0  # the integer input 2x - 255 is 510 times the float input x / 255 - 0.5
Y_LEVELS = LEVELS[3:]  # of y in the codeword search; the codebook gets the bits that are left


@dataclass(frozen=True)
class Output:
    """Units of one output: float value = zero + unit * integer, integer in [low, high]."""

    unit: float
    zero: float
    low: int
    high: int


def quantise_analysis(
    network: nn.Sequential,
    codebooks: Tensor,
    images: Tensor,
    options: Options,
    bonus: NDArray[np.float64] | None = None,
) -> tuple[IntegerNetwork, CodeSearch]:
    """The analysis network and the codeword search.

    Args:
        network: float analysis in evaluation mode.
        codebooks: float [G, K, D].
        images: calibration, uint8 [N, 3, H, W].
        options: see Options.
        bonus: see `quantise_search`.

    Raises:
        ExportError: naming the layer whose sums cannot be proven exact.
    """
    chain = fold(network)
    quantiser = Quantiser(chain, options, "analysis")
    quantiser.start(image_activation(images))
    for number in range(len(chain)):
        quantiser.step(Y_LEVELS if number + 1 == len(chain) else LEVELS)
    y = quantiser.activations[-1]
    return quantiser.network(), quantise_search(codebooks, y.scale, y.limit, bonus)


def quantise_pairs(
    network: nn.Sequential, images: Tensor, outputs: tuple[Output, Output], options: Options
) -> IntegerNetwork:
    """An analysis network whose outputs are pairs in given units, e.g. the mean and scale of a posterior.

    Args:
        network: float analysis in evaluation mode.
        images: calibration, uint8 [N, 3, H, W].
        outputs: units of each pair.
        options: see Options.

    Raises:
        ExportError: naming the layer whose sums cannot be proven exact.
    """
    chain = fold(network)
    quantiser = Quantiser(chain, options, "analysis", head=True)
    quantiser.start(image_activation(images))
    for _ in chain[:-1]:
        quantiser.step()
    head(quantiser, outputs)
    return quantiser.network()


def image_activation(images: Tensor) -> Activation:
    """uint8 [N, C, H, W] as the analysis network's input."""
    integer, channels = images.float() * 2 - 255, images.shape[1]
    scale, limit = np.full(channels, INPUT_SCALE), np.full(channels, 255, np.int64)
    return Activation(integer * INPUT_SCALE, integer, scale, limit, True)


def quantise_search(
    codebooks: Tensor, scale: Float, limit: NDArray[np.int64], bonus: NDArray[np.float64] | None = None
) -> CodeSearch:
    """2 E and -|E|^2 in one unit, as fine as sums below 2^24 and int16 allow.

    Args:
        codebooks: float [G, K, D].
        scale: of y, [G * D].
        limit: of y, [G * D].
        bonus: what each codeword's score gets beside, [G, K]: a prior's preference as a squared distance.
    """
    e = codebooks.detach().double().cpu().numpy()
    groups, _, dim = e.shape
    weight, bias = 2 * e * scale.reshape(groups, 1, dim), -(e**2).sum(2)
    if bonus is not None:
        bias = bias + bonus
    sums = (np.abs(weight) * limit.reshape(groups, 1, dim)).sum(2) + np.abs(bias)
    # Rounding adds at most half a unit for each product and for the bias.
    room = EXACT - 2 - 0.5 * limit.reshape(groups, dim).sum(1).max()
    unit = max(float(sums.max()) / room, float(np.abs(weight).max()) / 32767, 1e-30)
    search = CodeSearch(np.rint(weight / unit).astype(np.int16), np.rint(bias / unit).astype(np.int32))
    if search_bound(search, limit) >= EXACT:
        raise ExportError("codeword search: sums may reach 2^24; the codebook is degenerate")
    return search


def quantise_synthesis(
    network: nn.Sequential,
    codebooks: Tensor,
    indices: Tensor,
    outputs: tuple[Output, ...],
    options: Options,
) -> tuple[CodeTable, IntegerNetwork]:
    """The code table (look-up and first 1x1 layer) and the rest of the synthesis network.

    Args:
        network: float synthesis in evaluation mode; its first layer is a 1x1 convolution.
        codebooks: float [G, K, D].
        indices: of calibration images, int64 [N, G, h, w].
        outputs: units of the outputs that each colour has, e.g. of mean and log scale.
        options: see Options.

    Raises:
        ExportError: naming the layer whose sums cannot be proven exact.
    """
    first, *chain = fold(network)
    if first.weight.shape[2:] != (1, 1) or not chain:
        raise ExportError("synthesis: the first layer must be a 1x1 convolution, followed by others")
    for layer in chain:  # activation 1 of the float chain, the first layer's output, is input 0 here
        layer.skip = None if layer.skip is None else layer.skip - 1
    quantiser = Quantiser(chain, options, "synthesis", head=True)
    table = code_table(quantiser, first, codebooks, indices)
    for _ in chain[:-1]:
        quantiser.step()
    head(quantiser, outputs)
    return table, quantiser.network()


def code_table(quantiser: Quantiser, first: FoldedLayer, codebooks: Tensor, indices: Tensor) -> CodeTable:
    """Tabulate the first layer over codes and make its sum over groups the quantiser's input."""
    e = codebooks.detach().double().cpu()
    groups, _, dim = e.shape
    values = torch.einsum("cgd,gkd->gkc", first.weight[:, :, 0, 0].view(-1, groups, dim), e)
    values[0] += first.bias

    def look_up(table: Tensor) -> Tensor:
        chosen = sum(table[g][indices[:, g]] for g in range(groups))
        assert isinstance(chosen, Tensor)
        return chosen.permute(0, 3, 1, 2)

    real = look_up(values).float()
    real = real.relu() if first.relu else real
    reach = quantiser.reach(real)
    power = real.double().square().mean((0, 2, 3)).numpy()
    for level in LEVELS:
        scale, limit = reach / level, np.full(len(reach), level, np.int64)
        if quantiser.fits(0, scale, limit, power / scale**2):
            break
    else:
        raise ExportError(
            f"synthesis: layer {quantiser.chain[0].name}: sums reach 2^24 with any activation levels"
        )
    whole = np.clip(np.rint(values.numpy() / scale), -32767, 32767)
    bounds = Activation(real, real, scale, limit, not first.relu).bounds
    low, high = (torch.from_numpy(b.astype(np.float64)).view(1, -1, 1, 1) for b in bounds)
    integer = look_up(torch.from_numpy(whole)).clamp(low, high).float()
    quantiser.start(Activation(real, integer, scale, limit, not first.relu))
    return CodeTable(whole.astype(np.int16), *bounds)


def head(quantiser: Quantiser, outputs: tuple[Output, ...]) -> None:
    """The last layer, whose output units are given: its weights take the units that fit them."""
    layer, source = quantiser.chain[-1], quantiser.activations[-1]
    if layer.relu or layer.skip is not None:
        raise ExportError(f"{quantiser.what}: the last layer must be a plain convolution")
    colours = layer.weight.shape[0] // len(outputs)
    unit, zero, low, high = np.tile([[o.unit, o.zero, o.low, o.high] for o in outputs], (colours, 1)).T
    real = layer.weight.numpy() * source.scale[None, :, None, None]
    sums = (np.abs(real).sum((2, 3)) @ source.limit + np.abs(layer.bias.numpy() - zero)) / unit
    room = (
        quantiser.options.fill * EXACT - 0.5 * real[0, 0].size * source.limit.sum()
    )  # rounding adds half a unit for each product
    largest = np.abs(real).max((1, 2, 3)) / unit
    fine = np.floor(np.log2(np.minimum(room / (sums + 1.0), 32767 / np.maximum(largest, 1e-9))))
    if fine.min() < 0:
        raise ExportError(
            f"{quantiser.what}: layer {layer.name}: sums reach 2^24; the network's outputs are out of range"
        )
    shift = np.minimum(fine, MAX_SHIFT).astype(np.uint8)
    accumulator = unit * np.exp2(-shift.astype(np.float64))
    values = np.rint(real / accumulator[:, None, None, None]).astype(np.int16)
    weights = Weights(values, accumulator, np.zeros(len(unit), np.int32))
    raw = quantiser.convolution(weights, zero)
    quantiser.finish(raw, shift, low.astype(np.int16), high.astype(np.int16))
