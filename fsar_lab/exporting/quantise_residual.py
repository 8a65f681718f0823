"""A quantizer of several resolutions (McQuic) to integers: docs of the result in `residual_networks`.

Between two levels stands a sum: what is left of z after its codewords, or what a level's codes add to the
coarser levels'. The network before a sum chooses its units, codewords are tabulated in them, and they are as
fine as the network after the sum allows.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from fsar_lab.codec.integer_network import CodeSearch, CodeTable, IntegerNetwork
from fsar_lab.exporting.fold import FoldedLayer, fold
from fsar_lab.exporting.quantise import LEVELS, Options, Quantiser
from fsar_lab.exporting.quantise_model import (
    Y_LEVELS,
    Output,
    code_table,
    head,
    image_activation,
    quantise_search,
)
from fsar_lab.exporting.round_weights import Activation, Float
from fsar_lab.models.quantizers.mcquic import McQuic, MultiCodebook

LARGEST = 32767  # of a table's values


@dataclass(frozen=True)
class Down:
    """The integer way from an image to one level's indices, and those of the calibration images.

    Attributes:
        network, search, words: as in `residual_networks.Level`.
        indices: int64 [N, G, h, w].
    """

    network: IntegerNetwork
    search: CodeSearch
    words: NDArray[np.int16] | None
    indices: Tensor


class _Rest:
    """What a level's codewords leave, for the next level's network."""

    def __init__(self, codebooks: Tensor, following: Quantiser) -> None:
        self.codebooks, self.following = codebooks, following

    def reach(self, real: Tensor) -> Float:
        self.real = real - _words(self.codebooks, _nearest(real, self.codebooks))
        self.limits = self.following.reach(self.real)
        return self.limits

    def fits(self, scale: Float) -> bool:
        return _fits(self.following, self.real, self.limits, scale)


class _Total:
    """What a level's codes add to the coarser ones', for that level's network."""

    def __init__(self, added: Tensor, following: Quantiser) -> None:
        self.added, self.following = added, following

    def reach(self, real: Tensor) -> Float:
        self.real = (self.added + real).relu().float()
        self.limits = self.following.reach(self.real)
        return np.maximum(self.limits, self.following.reach(self.added))

    def fits(self, scale: Float) -> bool:
        return _fits(self.following, self.real, self.limits, scale)


def _fits(following: Quantiser, real: Tensor, reach: Float, scale: Float) -> bool:
    power = real.double().square().mean((0, 2, 3)).numpy()
    return following.fits(0, scale, _limit(reach, scale), power / scale**2)


def _limit(reach: Float, scale: Float) -> NDArray[np.int64]:
    return np.minimum(np.ceil(reach / scale), LARGEST).astype(np.int64)


def quantise_down(quantizer: McQuic, analysis: nn.Sequential, images: Tensor, options: Options) -> list[Down]:
    """The networks from image to indices, finest level first.

    Args:
        quantizer: in evaluation mode. analysis: the backbone's, likewise.
        images: calibration, uint8 [N, 3, H, W].
        options: see Options.

    Raises:
        ExportError: naming the layer whose sums cannot be proven exact.
    """
    chains = [fold(nn.Sequential(*analysis, *_layers(quantizer.down[0])))]
    chains += [fold(nn.Sequential(*_layers(down))) for down in quantizer.down[1:]]
    quantisers = [Quantiser(chain, options, f"down {level}") for level, chain in enumerate(chains)]
    source, downs = image_activation(images), list[Down]()
    for level, (quantiser, codebooks) in enumerate(zip(quantisers, _codebooks(quantizer), strict=True)):
        following = quantisers[level + 1] if level + 1 < len(quantisers) else None
        quantiser.start(source)
        for _ in quantiser.chain[:-1]:
            quantiser.step()
        quantiser.step(Y_LEVELS, _Rest(codebooks, following) if following else None)
        z = quantiser.activations[-1]
        search = quantise_search(codebooks, z.scale, z.limit)
        indices = _nearest(z.integer, torch.from_numpy(search.weight) / 2.0, torch.from_numpy(search.bias))
        words = None
        if following:
            real = z.real - _words(codebooks, indices)
            groups, _, dim = codebooks.shape
            units = codebooks.double().numpy() / z.scale.reshape(groups, 1, dim)
            words = np.clip(np.rint(units), -LARGEST, LARGEST).astype(np.int16)
            limit = _limit(following.reach(real), z.scale)
            whole = z.integer - _words(torch.from_numpy(words).float(), indices)
            source = _clamped(real, whole, z.scale, limit, signed=True)
        downs.append(Down(quantiser.network(), search, words, indices))
    return downs


def quantise_up(
    quantizer: McQuic,
    synthesis: nn.Sequential,
    indices: list[Tensor],
    outputs: tuple[Output, ...],
    options: Options,
) -> list[tuple[CodeTable, IntegerNetwork]]:
    """The code tables and the networks back to the pixels' distribution, finest level first.

    Args:
        quantizer: in evaluation mode. synthesis: the backbone's, likewise.
        indices: of calibration images at every level, int64 [N, G, h_l, w_l].
        outputs: units of the (mean, log scale) pair that each colour has.
        options: see Options.

    Raises:
        ExportError: naming the layer whose sums cannot be proven exact.
    """
    chains = [fold(nn.Sequential(*_layers(quantizer.up[0]), *synthesis))]
    chains += [fold(nn.Sequential(*_layers(up))) for up in quantizer.up[1:]]
    quantisers = [
        Quantiser(chain, options, f"up {level}", head=level == 0) for level, chain in enumerate(chains)
    ]
    books = _codebooks(quantizer)
    made: list[tuple[CodeTable, IntegerNetwork]] = []
    side: Activation | None = None
    for level in reversed(range(len(quantisers))):
        quantiser, (first,) = quantisers[level], fold(nn.Sequential(quantizer.head[level], nn.ReLU()))
        if side is None:
            table = code_table(quantiser, first, books[level], indices[level])
        else:
            table = _added_table(quantiser, first, books[level], indices[level], side)
        for _ in quantiser.chain[:-1]:
            quantiser.step()
        if level:
            (finer,) = fold(nn.Sequential(quantizer.head[level - 1]))
            values = _tabulated(finer, books[level - 1])
            added = _look_up(values, indices[level - 1]).float()
            quantiser.step(LEVELS, _Total(added, quantisers[level - 1]))
            side = quantiser.activations[-1]
        else:
            head(quantiser, outputs)
        made.append((table, quantiser.network()))
    return made[::-1]


def _added_table(
    quantiser: Quantiser, first: FoldedLayer, codebooks: Tensor, indices: Tensor, side: Activation
) -> CodeTable:
    """A level's table in the units of what the coarser ones give; their sum is the quantiser's input."""
    values = _tabulated(first, codebooks)
    whole = np.clip(np.rint(values.numpy() / side.scale), -LARGEST, LARGEST)
    real = (_look_up(values, indices) + side.real).relu().float()
    total = _look_up(torch.from_numpy(whole), indices) + side.integer
    source = _clamped(real, total, side.scale, _limit(quantiser.reach(real), side.scale), signed=False)
    quantiser.start(source)
    return CodeTable(whole.astype(np.int16), *source.bounds)


def _tabulated(first: FoldedLayer, codebooks: Tensor) -> Tensor:
    """The 1x1 layer's output for every code, the bias in group 0: float64 [G, K, C]."""
    e = codebooks.double()
    groups, _, dim = e.shape
    values = torch.einsum("cgd,gkd->gkc", first.weight[:, :, 0, 0].view(-1, groups, dim), e)
    values[0] += first.bias
    return values


def _look_up(values: Tensor, indices: Tensor) -> Tensor:
    """Sum over groups of [G, K, C] at indices [N, G, h, w]: [N, C, h, w]."""
    chosen = torch.stack([table[indices[:, group]] for group, table in enumerate(values)])
    return chosen.sum(0).permute(0, 3, 1, 2)


def _words(codebooks: Tensor, indices: Tensor) -> Tensor:
    """Codewords [G, K, D] of indices [N, G, h, w] side by side: [N, G * D, h, w]."""
    chosen = [words[indices[:, group]] for group, words in enumerate(codebooks)]
    return torch.cat(chosen, 3).permute(0, 3, 1, 2)


def _nearest(z: Tensor, codebooks: Tensor, bias: Tensor | None = None) -> Tensor:
    """argmax of 2 z.e + bias, by default -|e|^2, for z [N, G * D, h, w] and [G, K, D]: int64 [N, G, h, w]."""
    dim = codebooks.shape[2]
    n, _, h, w = z.shape
    found = []
    for group, e in enumerate(codebooks):
        rows = z[:, group * dim : (group + 1) * dim].permute(0, 2, 3, 1).reshape(-1, dim)
        add = -e.square().sum(1) if bias is None else bias[group].float()
        parts = [torch.addmm(add, part, e.t(), alpha=2).argmax(1) for part in torch.split(rows, 1024)]
        found.append(torch.cat(parts).view(n, h, w))
    return torch.stack(found, 1)


def _clamped(real: Tensor, whole: Tensor, scale: Float, limit: NDArray[np.int64], signed: bool) -> Activation:
    """An activation from integers that may lie beyond its bounds."""
    low, high = (torch.from_numpy(b.astype(np.float32)).view(1, -1, 1, 1) for b in (-limit * signed, limit))
    return Activation(real, whole.float().clamp(low, high), scale, limit, signed)


def _codebooks(quantizer: McQuic) -> list[Tensor]:
    """[G, K, D] of every level."""
    return [cast(MultiCodebook, book).codebooks.detach().float() for book in quantizer.books]


def _layers(network: nn.Module) -> nn.Sequential:
    assert isinstance(network, nn.Sequential)
    return network
