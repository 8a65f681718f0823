"""McQuic's quantizer: codebooks at several resolutions, each of what the finer ones left."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from fsar_lab.config.schema import McQuicConfig
from fsar_lab.models.quantizers.base import Quantized
from fsar_lab.models.quantizers.sthq import gumbel_noise


class MultiCodebook(nn.Module):
    """G codebooks of K vectors of D numbers, selected by hard Gumbel samples.

    Logits are -|z - E_k|^2 / sqrt(K) * t with one trained t for each codebook (METHOD 3, row McQuic), which
    starts at sqrt(K): with 1, samples are all but uniform at first, and what is trained is not what is coded.
    In training the code is a Gumbel-softmax sample made hard, whose gradient is that of the soft one:
    it reaches z, t and all of E; the selected E_k gets the gradient of what is made of it, too. Evaluation
    and coding take the nearest codeword.

    Args:
        groups: G. size: K. dim: D.
    """

    def __init__(self, groups: int, size: int, dim: int) -> None:
        super().__init__()
        self.groups, self.size, self.dim = groups, size, dim
        self.codebooks = nn.Parameter(torch.empty(groups, size, dim).uniform_(-1.0, 1.0))
        self.log_temperature = nn.Parameter(torch.full((groups, 1, 1), 0.5 * math.log(size)))

    def forward(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """z [N, G*D, h, w] -> (codewords [N, G*D, h, w], indices int64 [N, G, h, w])."""
        n, _, h, w = z.shape
        rows = (
            z.reshape(n, self.groups, self.dim, h * w).permute(1, 0, 3, 2).reshape(self.groups, -1, self.dim)
        )
        half = 0.5 * self.codebooks.square().sum(-1).unsqueeze(1)
        # z.e - |e|^2 / 2: minus half the squared distance, but for |z|^2 / 2, which no selection depends on.
        affinity = torch.baddbmm(half, rows, self.codebooks.transpose(1, 2), beta=-1.0)
        if self.training:
            logits = affinity * (self.log_temperature.exp() * (2.0 / math.sqrt(self.size)))
            relaxed = torch.softmax(logits + gumbel_noise(logits, 1.0), -1)
            indices = relaxed.argmax(-1)
            soft = torch.bmm(relaxed, self.codebooks.detach())
            chosen = self._gather(indices) + (soft - soft.detach())
        else:
            indices = affinity.argmax(-1)
            chosen = self._gather(indices)
        words = chosen.view(self.groups, n, h * w, self.dim).permute(1, 0, 3, 2).reshape(z.shape)
        return words, indices.view(self.groups, n, h, w).transpose(0, 1)

    def _gather(self, indices: Tensor) -> Tensor:
        """Codewords [G, M, D] of indices [G, M], with gradient to them."""
        base = torch.arange(self.groups, device=indices.device).unsqueeze(1) * self.size
        return nn.functional.embedding(indices + base, self.codebooks.flatten(0, 1))


class McQuic(nn.Module):
    """Residual quantization at L resolutions (METHOD 3, row McQuic; Zhu et al., CVPR 2022).

    Level l = 1 .. L, finest first, halves height and width: z_l = down_l(r_{l-1}) with r_0 = y; its codewords
    e_l come from a MultiCodebook; r_l = z_l - e_l is left to the next. Back from the coarsest level,
    u_l = relu(head_l(e_l) + up_{l+1}(u_{l+1})), and up_1(u_1) is what the synthesis network sees. Every
    network is a chain of convolutions, normalisations and rectifiers.

    What is coded: G codes of log K_l nats at every position of every level, with no prior; their
    frequencies, counted at export, are all that the coder knows. The loss has no term for them.

    The symbols of all levels are folded onto the coarsest grid [h, w]: level l has G * 4^(L-l) symbols
    there, in the order (group, row, column) (`fold_levels`).
    """

    def __init__(self, config: McQuicConfig) -> None:
        super().__init__()
        self.groups, self.dim = config.groups, config.dim
        self.codebook_sizes = tuple(config.codebook_sizes)
        width = config.groups * config.dim
        levels = range(len(self.codebook_sizes))
        self.down = nn.ModuleList(_down(width, residual=level > 0) for level in levels)
        self.books = nn.ModuleList(MultiCodebook(self.groups, k, self.dim) for k in self.codebook_sizes)
        self.head = nn.ModuleList(nn.Conv2d(width, width, 1) for _ in levels)
        self.up = nn.ModuleList(_up(width, side=level > 0) for level in levels)

    def forward(self, y: Tensor) -> Quantized:
        """Quantize y [N, G*D, H, W], whose sides 2^L must divide; `vectors` are shaped as y."""
        words, indices, rest = [], [], y
        for down, book in zip(self.down, self.books, strict=True):
            z = down(rest)
            word, index = book(z)
            words.append(word)
            indices.append(index)
            rest = z - word
        vectors = self.restore(words)
        nats = [
            torch.full_like(index, math.log(size), dtype=y.dtype)
            for index, size in zip(indices, self.codebook_sizes, strict=True)
        ]
        return Quantized(
            indices=fold_levels(indices),
            vectors=vectors,
            samples=vectors.unsqueeze(1),
            selection=None,
            loss=y.new_zeros(()),
            loss_per_element=y.new_zeros(()),
            nats=fold_levels(nats),
        )

    def symbol_nats(self, indices: Tensor) -> Tensor:
        """log K of every symbol, shaped as indices [N, groups, h, w]."""
        costs = [
            math.log(size)
            for j, size in enumerate(reversed(self.codebook_sizes))
            for _ in range(self.groups << 2 * j)
        ]
        table = torch.tensor(costs[::-1], device=indices.device)
        return table.view(1, -1, 1, 1).expand(indices.shape)

    def restore(self, words: Sequence[Tensor]) -> Tensor:
        """Codewords of every level, finest first, [N, G*D, h_l, w_l] -> [N, G*D, H, W]."""
        side: Tensor | None = None
        for level in reversed(range(len(words))):
            total = self.head[level](words[level])
            side = self.up[level](torch.relu(total if side is None else total + side))
        assert side is not None
        return side


def _down(width: int, residual: bool) -> nn.Sequential:
    """Half as high and wide; a level that sees a residual looks at it first."""
    layers: list[nn.Module] = []
    if residual:
        layers += [nn.Conv2d(width, width, 3, padding=1, bias=False), nn.BatchNorm2d(width), nn.ReLU()]
    layers += [nn.Conv2d(width, width, 4, stride=2, padding=1, bias=False), nn.BatchNorm2d(width), nn.ReLU()]
    return nn.Sequential(*layers, nn.Conv2d(width, width, 1))


def _up(width: int, side: bool) -> nn.Sequential:
    """Twice as high and wide; what goes to another level passes that level's side head."""
    layers: list[nn.Module] = [
        nn.ConvTranspose2d(width, width, 4, stride=2, padding=1, bias=False),
        nn.BatchNorm2d(width),
        nn.ReLU(),
    ]
    return nn.Sequential(*layers, *([nn.Conv2d(width, width, 1)] if side else []))


def fold_levels(levels: Sequence[Tensor]) -> Tensor:
    """[N, G, h * 2^j, w * 2^j] of every level, j = L-1 .. 0, to [N, G * sum 4^j, h, w], nothing lost."""
    h, w = levels[-1].shape[2:]
    return torch.cat([_fold(level, h, w) for level in levels], 1)


def _fold(level: Tensor, h: int, w: int) -> Tensor:
    n, groups, rows, columns = level.shape
    blocks = level.reshape(n, groups, h, rows // h, w, columns // w)
    return blocks.permute(0, 1, 3, 5, 2, 4).reshape(n, -1, h, w)
