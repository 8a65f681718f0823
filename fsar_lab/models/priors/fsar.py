"""The finite-state autoregressive prior: a small network over causal neighbours that becomes a table."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from fsar_lab.config.schema import FSARConfig
from fsar_lab.models.quantizers.base import Quantized

Offset = tuple[int, int, int]


def shift(x: Tensor, offset: Offset) -> Tensor:
    """Neighbour at `offset` of every position of x [N, G, ..., h, w]; zero outside.

    Offsets are causal in raster order over (group, row, column), so group and row never point ahead;
    the column may point ahead only in an earlier row or group.
    """
    dg, dy, dx = offset
    out = torch.zeros_like(x)
    h, w = x.shape[-2:]
    if -dg >= x.shape[1] or abs(dy) >= h or abs(dx) >= w:
        return out
    ys, yd = slice(max(dy, 0), h + min(dy, 0)), slice(max(-dy, 0), h - max(dy, 0))
    xs, xd = slice(max(dx, 0), w + min(dx, 0)), slice(max(-dx, 0), w - max(dx, 0))
    out[:, -dg:, ..., yd, xd] = x[:, : x.shape[1] + dg, ..., ys, xs]
    return out


def cost_of(symbols: Tensor, table: Tensor, rows: Tensor, selection: Tensor | None) -> Tensor:
    """Nats of int64 symbols [M], each under one of the log-probabilities [U, K], row rows [M].

    A relaxed selection [M, K] gets the gradient that s = onehot + g - sg(g) has in -sum_k s_k ln p_k
    (METHOD 3); the value is that of the symbols.
    """
    cost = -table.flatten()[rows * table.shape[1] + symbols]
    if selection is not None:
        relaxed = (selection * table.detach()[rows]).sum(1)
        cost = cost - (relaxed - relaxed.detach())
    return cost


class FSAR(nn.Module):
    """p(k | states of o causal neighbours), one network per group (METHOD 4.2).

    A neighbour's state is 0 outside the tensor and k + 1 for symbol k. Its codebook vector (zero
    outside), taken from *its own* group's codebook, enters a network o*D -> 2oD -> 2K -> K.

    Args:
        config: offsets, width and which gradients are cut.
        groups: G. codebook_size: K. dim: D.

    Attributes:
        trains_codebooks: a detached context still has its gradient to the codebooks, not through a
            quantizer: for codebooks that are the prior's own.
    """

    trains_codebooks = False

    def __init__(self, config: FSARConfig, groups: int, codebook_size: int, dim: int) -> None:
        super().__init__()
        self.config = config
        self.groups, self.codebook_size, self.dim = groups, codebook_size, dim
        self.offsets: tuple[Offset, ...] = tuple((o[0], o[1], o[2]) for o in config.offsets)
        self.detach_context, self.detach_posterior = config.detach_context, config.detach_posterior
        self.train_share = config.train_share
        inputs, expansion = len(self.offsets) * dim, config.hidden_expansion
        self.networks = nn.ModuleList(
            nn.Sequential(
                nn.Linear(inputs, expansion * inputs),
                nn.LeakyReLU(0.01),
                nn.Linear(expansion * inputs, expansion * codebook_size),
                nn.LeakyReLU(0.01),
                nn.Linear(expansion * codebook_size, codebook_size),
            )
            for _ in range(groups)
        )

    def context_states(self, indices: Tensor) -> Tensor:
        """States of the neighbours of int64 [N, G, h, w] -> [N, G, o, h, w] in 0..K."""
        return torch.stack([shift(indices + 1, offset) for offset in self.offsets], dim=2)

    def logits(self, states: Tensor, group: int, codebooks: Tensor) -> Tensor:
        """Logits for context states int64 [M, o] of `group` -> [M, K]."""
        inputs = []
        for i, (dg, _, _) in enumerate(self.offsets):
            source = codebooks[max(group + dg, 0)]
            padded = torch.cat([source.new_zeros(1, self.dim), source])
            inputs.append(nn.functional.embedding(states[:, i], padded))
        result: Tensor = self.networks[group](torch.cat(inputs, 1))
        return result

    def log_probabilities(self, logits: Tensor) -> Tensor:
        """ln p of [M, K] logits: what is trained, and what the tables are made from."""
        return torch.log_softmax(logits, -1)

    def _by_state(
        self, indices: Tensor, group: int, codebooks: Tensor, where: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Log-probabilities [U, K] of distinct contexts, and the row among them of each position in `where`.

        The network sees every context that occurs once, however often it occurs.
        """
        states = self.context_states(indices)[:, group].permute(0, 2, 3, 1).reshape(-1, len(self.offsets))
        states = states[where]
        if states.is_cuda:  # finding the distinct contexts would wait for the device; evaluate all
            rows = torch.arange(len(states), device=states.device)
            return self.log_probabilities(self.logits(states, group, codebooks)), rows
        radix = self.codebook_size + 1
        code = torch.zeros_like(states[:, 0])
        for column in states.unbind(1):
            code = code * radix + column
        distinct, rows = torch.unique(code, return_inverse=True)
        powers = [radix**i for i in reversed(range(len(self.offsets)))]
        states = torch.stack([distinct // p % radix for p in powers], 1)
        return self.log_probabilities(self.logits(states, group, codebooks)), rows

    def _by_vector(self, samples: Tensor, group: int, where: Tensor) -> tuple[Tensor, Tensor]:
        """The same with gradient to the neighbours' vectors [N, G, D, h, w], one row per position."""
        vectors = torch.cat([shift(samples, offset)[:, group] for offset in self.offsets], 1)
        inputs = vectors.permute(0, 2, 3, 1).reshape(-1, vectors.shape[1])[where]
        rows = torch.arange(len(inputs), device=inputs.device)
        return self.log_probabilities(self.networks[group](inputs)), rows

    def _positions(self, count: int, device: torch.device) -> Tensor:
        """Positions, of `count`, whose rate is evaluated: a fresh random share in training, else all."""
        if not self.training or self.train_share >= 1.0:
            return torch.arange(count, device=device)
        return torch.randint(count, (max(1, round(count * self.train_share)),), device=device)

    def nats(self, quantized: Quantized, codebooks: Tensor) -> Tensor:
        """Code length per symbol, [N, G, h, w], with the gradients that the flags leave.

        In training with `train_share` < 1 the costs stand at the drawn positions alone, scaled up so
        that their sum is an unbiased estimate.
        """
        n, _, h, w = quantized.indices.shape
        parts = []
        for group in range(self.groups):
            where = self._positions(n * h * w, quantized.indices.device)
            if self.detach_context:
                vectors = codebooks if self.trains_codebooks else codebooks.detach()
                table, rows = self._by_state(quantized.indices, group, vectors, where)
            else:
                table, rows = self._by_vector(quantized.samples, group, where)
            symbols = quantized.indices[:, group].flatten()[where]
            selection = None
            if quantized.selection is not None and not self.detach_posterior:
                selection = quantized.selection[group][where]
            cost = cost_of(symbols, table, rows, selection)
            if len(where) != n * h * w:
                full = cost.new_zeros(n * h * w)
                cost = full.index_add(0, where, cost * (n * h * w / len(where)))
            parts.append(cost.view(n, h, w))
        return torch.stack(parts, 1)
