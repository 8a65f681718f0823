"""Three-tap linear autoregression on pixels ("twar", PILC): what a LocationScale coder adds to its mean."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from fsar_lab.config.schema import LocationScaleConfig
from fsar_lab.models.coders.location_scale import LEVELS, LocationScale, Tap

# Taps as (colour, row, column) offsets, METHOD 2.3. The first colour sees three neighbours of its own
# plane; the others see the previous colour here and to the left, and their own plane to the left.
FIRST: tuple[Tap, ...] = ((0, -1, -1), (0, -1, 0), (0, 0, -1))
LATER: tuple[Tap, ...] = ((-1, 0, 0), (-1, 0, -1), (0, 0, -1))


class LinearAR(LocationScale):
    """mean = base mean + sum_k w_k x_k + b with per-colour weights; a tap outside the image is 0.

    Comes before the distribution among a class's bases.
    """

    taps = (FIRST, LATER, LATER)

    def __init__(self, config: LocationScaleConfig, colours: int = 3) -> None:
        super().__init__(config, colours)
        self.weight = nn.Parameter(torch.zeros(colours, 3))
        self.bias = nn.Parameter(torch.zeros(colours))

    def contexts(self, x: Tensor) -> Tensor:
        """Tap values of uint8 x [N, C, H, W], scaled to [0, 1]: [N, C, 3, H, W]."""
        values = nn.functional.pad(x.to(self.weight.dtype) / LEVELS, (1, 0, 1, 0))
        h, w = x.shape[2:]
        planes = [
            torch.stack([values[:, c + dc, 1 + y : 1 + y + h, 1 + x : 1 + x + w] for dc, y, x in taps], 1)
            for c, taps in enumerate(self.taps)
        ]
        return torch.stack(planes, 1)

    def shift(self, x: Tensor) -> Tensor:
        """What causal pixels of uint8 x [N, C, H, W] add to the mean, [N, C, H, W]."""
        weighted = (self.contexts(x) * self.weight.view(1, self.colours, 3, 1, 1)).sum(2)
        return weighted + self.bias.view(1, -1, 1, 1)

    @torch.no_grad()
    def fit(self, x: Tensor) -> Tensor:
        """Least-squares weights on training pixels and the residual's deviation as the starting scale."""
        contexts, values = self.contexts(x).double(), x.double() / LEVELS
        neutral = 0.5 if self.config.sigmoid_mean else 0.0  # base mean of a zero logit
        log_scales = []
        for c in range(self.colours):
            inputs = contexts[:, c].permute(0, 2, 3, 1).reshape(-1, 3)
            inputs = torch.cat([inputs, torch.ones_like(inputs[:, :1])], 1)
            target = values[:, c].reshape(-1, 1)
            solution = torch.linalg.lstsq(inputs.T @ inputs, inputs.T @ target).solution
            self.weight[c] = solution[:3, 0].float()
            self.bias[c] = solution[3, 0].float() - neutral
            deviation = (target - inputs @ solution).square().mean().sqrt().clamp_min(1e-3)
            log_scales.append((deviation / self.deviation).log())
        scale = torch.stack(log_scales).float()
        return torch.stack([torch.zeros_like(scale), scale], 1).flatten()
