"""The entropy bottleneck: scalars rounded to integers, with a density of their own."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from fsar_lab.config.schema import EntropyBottleneckConfig
from fsar_lab.models.quantizers.base import Quantized, VectorQuantizer

TINY = 1e-9  # least probability in the loss, so that its gradient stays finite


class LogisticMixture(nn.Module):
    """A density for each of G channels: sum_m pi_m Logistic(mu_m, s_m).

    Its distribution function is monotone by construction, as that of the small network of arXiv:1802.01436,
    appendix 6.1, whose place it takes: one layer, and masses that are exact in both tails.

    Args:
        groups: G. components: M, spread evenly inside (-2, 2), as narrow as untrained latents.
    """

    def __init__(self, groups: int, components: int) -> None:
        super().__init__()
        self.logits = nn.Parameter(torch.zeros(groups, components, 1))
        places = torch.linspace(-1.0, 1.0, components + 2)[1:-1] * 2.0
        self.mean = nn.Parameter(places.view(1, -1, 1).repeat(groups, 1, 1))
        self.log_scale = nn.Parameter(torch.full((groups, components, 1), -0.7))

    def _parts(self, x: Tensor) -> Tensor:
        """(x - mu_m) / s_m for x [G, M], [G, components, M]."""
        return (x.unsqueeze(1) - self.mean) * (-self.log_scale).exp()

    def _mixed(self, parts: Tensor) -> Tensor:
        return (torch.softmax(self.logits, 1) * parts).sum(1)

    def cdf(self, x: Tensor) -> Tensor:
        """Distribution function at x [G, M]."""
        return self._mixed(torch.sigmoid(self._parts(x)))

    def mass(self, low: Tensor, high: Tensor) -> Tensor:
        """Probability of the intervals [low, high), [G, M], exact in both tails."""
        a, b = self._parts(low), self._parts(high)
        # sigmoid(b) - sigmoid(a) = sigmoid(-a) - sigmoid(-b): on the side on which both are small.
        flip = (a + b > 0).to(a.dtype) * -2.0 + 1.0
        return self._mixed((torch.sigmoid(flip * b) - torch.sigmoid(flip * a)).abs())


class EntropyBottleneck(VectorQuantizer):
    """y + U(-1/2, 1/2) in training, round(y) in evaluation; cost -log of the density's mass around it.

    arXiv:1802.01436, section 2 and appendix 6.1 (METHOD 3, entropy bottleneck), with LogisticMixture as the
    density. What is coded: G = C channels of D = 1, whose codebook is the fixed grid -K/2 .. K/2 - 1; latents
    beyond are clamped in evaluation as in coding, and the outer symbols have the tails' probability.
    """

    grid: Tensor

    def __init__(self, config: EntropyBottleneckConfig) -> None:
        super().__init__(config, init_range=None)
        self.low = -(config.codebook_size // 2)
        grid = torch.arange(config.codebook_size, dtype=self.codebooks.dtype) + self.low
        self.codebooks.requires_grad_(False).copy_(grid.view(1, -1, 1).expand_as(self.codebooks))
        self.density = LogisticMixture(config.groups, config.components)

    @torch.no_grad()
    def restart_dead(self, y: Tensor) -> None:
        """The grid stays; only the usage is forgotten."""
        del y
        self.usage.zero_()

    def probabilities(self) -> Tensor:
        """p(k) of every symbol, [G, K], each row summing to one: the tables that are coded with."""
        edges = self.codebooks[:, 1:, 0] - 0.5
        infinite = edges.new_full((self.groups, 1), torch.inf)
        return self.density.mass(torch.cat([-infinite, edges], 1), torch.cat([edges, infinite], 1))

    def symbol_nats(self, indices: Tensor) -> Tensor:
        """-log p of indices [N, G, h, w], likewise shaped."""
        cost = -self.probabilities().clamp_min(TINY).log()
        return self.index_images(cost.gather(1, self.index_rows(indices)), indices)

    def forward(self, y: Tensor, log_weights: Tensor | None = None) -> Quantized:
        """Quantize y [N, C, h, w], C = G; there is no prior that could have `log_weights`."""
        del log_weights
        rows = self.rows(y).squeeze(-1)  # [G, N*h*w]
        symbols = (rows.detach().round() - self.low).clamp(0, self.codebook_size - 1).long()
        indices = self.index_images(symbols, y)
        if self.training:
            values = rows + torch.rand_like(rows) - 0.5
            mass = self.density.mass(values - 0.5, values + 0.5)
            nats = self.index_images(-mass.clamp_min(TINY).log(), y)
        else:
            values = (symbols + self.low).to(rows.dtype)
            nats = self.symbol_nats(indices)
        samples = self.images(values.unsqueeze(-1), y)
        return Quantized(
            indices=indices,
            vectors=samples.reshape(y.shape),
            samples=samples,
            selection=None,
            loss=y.new_zeros(()),
            loss_per_element=y.new_zeros(()),
            nats=nats,
        )
