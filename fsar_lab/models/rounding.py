"""Networks of 8-bit numbers while they learn: rounded on the way forward, as if not on the way back.

Every channel of activations and every output of a matrix has a power of two of its own (exponents e: the
integer is round(x 2^e)), so that an integer network needs shifts only. Straight-through gradients: Bengio,
Leonard and Courville 2013, arXiv:1308.3432.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

LARGEST_ACTIVATION = 255
LARGEST_WEIGHT = 127
LARGEST_WORD = 32639  # of matrices with weights of 16 bits, which are two of 8 bits
RARE = 2e-5  # share of a channel's values that may be larger than its range


def through(x: Tensor, rounded: Tensor) -> Tensor:
    """`rounded` with the gradient of x."""
    return x + (rounded - x).detach()


def half_up(x: Tensor) -> Tensor:
    """The nearest integer; halves go up, as adding a half and shifting to the right does."""
    return torch.floor(x + 0.5)


def along(values: Tensor, dims: int, dim: int) -> Tensor:
    """A vector that broadcasts along dimension `dim` of `dims`."""
    return values.view(*(-1 if i == dim else 1 for i in range(dims)))


class Rounding(nn.Module):
    """The exponents of a network; it is float as long as `on` is 0.

    Args:
        activations: channels of every activation, by name.
        matrices: outputs of every matrix, by name.
        words: names of matrices with weights of 16 bits.
        finest: no activation's exponent is larger.
    """

    on: Tensor

    def __init__(
        self,
        activations: Mapping[str, int],
        matrices: Mapping[str, int],
        finest: int,
        words: Collection[str] = (),
    ) -> None:
        super().__init__()
        self.words = frozenset(words)
        self.finest = finest
        self.measuring = False
        # Integers: an average of weights copies them instead of averaging.
        self.register_buffer("on", torch.zeros((), dtype=torch.int64))
        for name, count in (*activations.items(), *matrices.items()):
            self.register_buffer(name, torch.zeros(count, dtype=torch.int64))
        self.active = False

    def exponents(self, name: str) -> Tensor:
        """Exponents of an activation or a matrix, int64 [channels]."""
        exponents: Tensor = getattr(self, name)
        return exponents

    def _load_from_state_dict(self, *arguments: Any, **keywords: Any) -> None:
        super()._load_from_state_dict(*arguments, **keywords)
        self.active = bool(self.on)  # here and not in every step, where the host would wait for it

    def activation(self, name: str, x: Tensor) -> Tensor:
        """relu(x) of [N, C, ...], rounded."""
        if self.measuring:
            self._measure(name, x.detach())
        if not self.active:
            return functional.relu(x)
        scale = along(torch.exp2(self.exponents(name).to(x.dtype)), x.dim(), 1)
        rounded = half_up(x * scale).clamp(0, LARGEST_ACTIVATION) / scale
        return through(torch.minimum(functional.relu(x), LARGEST_ACTIVATION / scale), rounded)

    def _measure(self, name: str, x: Tensor) -> None:
        values = functional.relu(x).transpose(0, 1).flatten(1)
        rank = max(1, int(values.shape[1] * RARE))
        largest = values.topk(rank, 1).values[:, -1].clamp_min(1e-3)
        # 0.4: the power of two may clip a little more where it would else waste nearly a bit.
        fitting = torch.floor(torch.log2(LARGEST_ACTIVATION / largest) + 0.4)
        self.exponents(name).copy_(fitting.clamp(-8, self.finest).to(torch.int64))

    def matrix(self, name: str, weight: Tensor, inputs: str | None = None, unit: float = 1.0) -> Tensor:
        """Weights [O, I, ...], rounded.

        Args:
            name: of the matrix. weight: its float weights.
            inputs: the activation that it multiplies, whose exponents count for it.
            unit: what an integer 1 of inputs without a name is worth.
        """
        if not self.active:
            return weight
        scale, integers = self._scaled(name, weight, inputs, unit)
        return through(weight, self._rounded(name, integers) / scale)

    def integers(self, name: str, weight: Tensor, inputs: str | None = None, unit: float = 1.0) -> Tensor:
        """The integer weights, int64 [O, I, ...]: what `matrix` rounds to."""
        _, integers = self._scaled(name, weight.detach().double(), inputs, unit)
        return self._rounded(name, integers).to(torch.int64)

    def _largest(self, name: str) -> int:
        return LARGEST_WORD if name in self.words else LARGEST_WEIGHT

    def _rounded(self, name: str, integers: Tensor) -> Tensor:
        return half_up(integers).clamp(-self._largest(name), self._largest(name))

    def _scaled(self, name: str, weight: Tensor, inputs: str | None, unit: float) -> tuple[Tensor, Tensor]:
        """Weights in integer units before they are rounded, and what they were multiplied by."""
        scale = along(torch.exp2(self.exponents(name).to(weight.dtype)), weight.dim(), 0) * unit
        if inputs is not None:
            scale = scale / along(torch.exp2(self.exponents(inputs).to(weight.dtype)), weight.dim(), 1)
        return scale, weight * scale

    @torch.no_grad()
    def choose(
        self, name: str, weight: Tensor, at_least: Tensor | int, inputs: str | None = None, unit: float = 1.0
    ) -> None:
        """Set a matrix's exponents: of the largest that nearly fit, those with the least squared error.

        Args:
            name, weight, inputs, unit: as in `matrix`.
            at_least: int64 [O] or one number, what is needed so that results are only shifted right.
        """
        self.exponents(name).zero_()
        _, plain = self._scaled(name, weight.detach().double(), inputs, unit)
        rows = plain.flatten(1)
        fitting = torch.floor(torch.log2(self._largest(name) / rows.abs().amax(1).clamp_min(1e-9)))
        best = torch.full_like(fitting, torch.inf)
        for more in (0, 1, 2):
            tried = torch.maximum((fitting + more).clamp(max=20), torch.as_tensor(at_least).to(fitting))
            scale = torch.exp2(tried).unsqueeze(1)
            rounded = self._rounded(name, rows * scale) / scale
            error = (rounded - rows).square().sum(1)
            self.exponents(name).copy_(torch.where(error < best, tried.to(torch.int64), self.exponents(name)))
            best = torch.minimum(error, best)
