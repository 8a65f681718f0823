"""Learnable number of states ("catreduce", METHOD 5): codes that are not worth their table are dropped."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn

from fsar_lab.config.schema import CatReduceConfig
from fsar_lab.models.priors.entmax import entmax
from fsar_lab.models.priors.fsar import FSAR

DROPPED = -1e4  # log weight of a dropped state; finite, so that 0 times it is 0

FLOOR = -20.7  # ln 1e-9: of a code that is kept only because there must be two


class CatReduce(FSAR):
    """The finite-state prior over those codes whose weight e = entmax_alpha(theta) is not zero.

    theta in R^K is shared by the groups, learns with everything else and reweights both sides:

    - prior: p~(k | ctx) is proportional to p(k | ctx) e_k;
    - posterior: q~(k) is proportional to softmax(-d / 2 sigma^2)_k e_k, in training, in evaluation and in
      coding alike (METHOD 9.1-2: the reference codes other symbols than it evaluates). A dropped state,
      e_k = 0, is never chosen.

    alpha is fixed, annealed from alpha_min to alpha_max as alpha_max - t (alpha_max - alpha_min) with t
    halved every `half_life` of the training, or trained as alpha_min + sigmoid(a) (alpha_max - alpha_min).
    What is coded: the number of a code among the K' kept; tables have K' symbols and (K' + 1)^o contexts.
    """

    progress: Tensor

    def __init__(self, config: CatReduceConfig, groups: int, codebook_size: int, dim: int) -> None:
        super().__init__(config, groups, codebook_size, dim)
        self.mode, self.half_life = config.alpha_mode, config.half_life
        self.alpha_min, self.alpha_max = config.alpha_min, config.alpha_max
        self.theta = nn.Parameter(torch.empty(codebook_size).uniform_(-0.1, 0.1))
        if self.mode == "trained":
            self.alpha_logit = nn.Parameter(torch.zeros(()))
        # Share of the training that is over; kept with the weights, since evaluation depends on it.
        self.register_buffer("progress", torch.zeros(()))

    def on_step(self, step: int, steps: int) -> None:
        """Remember how far training is."""
        self.progress.fill_(step / max(1, steps - 1))

    def alpha(self) -> Tensor:
        """The alpha of now, scalar."""
        if self.mode == "trained":
            return self.alpha_min + torch.sigmoid(self.alpha_logit) * (self.alpha_max - self.alpha_min)
        if self.mode == "annealed":
            return self.alpha_max - 0.5 ** (self.progress / self.half_life) * (
                self.alpha_max - self.alpha_min
            )
        return torch.full_like(self.progress, self.alpha_max)

    def log_weights(self) -> Tensor:
        """ln e, float [G, K], DROPPED where e is zero: what the quantizer adds to its log-affinities."""
        return self._log_weights().expand(self.groups, -1)

    def _log_weights(self) -> Tensor:
        weights = entmax(self.theta, self.alpha())
        kept = weights > 0
        return torch.where(kept, torch.where(kept, weights, 1.0).log(), DROPPED)

    @torch.no_grad()
    def kept(self) -> Tensor:
        """The codes that are left, in their order: int64 [K']."""
        return (entmax(self.theta, self.alpha()) > 0).nonzero()[:, 0]

    @torch.no_grad()
    def reduced(self) -> tuple[KeptFSAR, Tensor]:
        """The prior over the kept codes alone, and which they are, int64 [K']; two at least."""
        kept = self.kept()
        if len(kept) < 2:  # a table has two symbols
            kept = self.theta.topk(2).indices.sort().values
        return KeptFSAR(self, kept, self._log_weights()[kept].clamp_min(FLOOR)), kept

    def log_probabilities(self, logits: Tensor) -> Tensor:
        """ln p~ of [M, K] logits."""
        return torch.log_softmax(logits + self._log_weights(), -1)


class KeptFSAR(FSAR):
    """What `CatReduce` is over its kept codes: their weights are in the biases of the networks' last layers.

    Args:
        prior: the whole one. kept: int64 [K']. weights: ln e of the kept codes, float [K'].
    """

    weights: Tensor

    def __init__(self, prior: CatReduce, kept: Tensor, weights: Tensor) -> None:
        super().__init__(prior.config, prior.groups, len(kept), prior.dim)
        self.networks = copy.deepcopy(prior.networks)
        for network in self.networks:
            assert isinstance(network, nn.Sequential)
            last = network[-1]
            assert isinstance(last, nn.Linear)
            last.weight = nn.Parameter(last.weight[kept])
            last.bias = nn.Parameter(last.bias[kept] + weights)
            last.out_features = len(kept)
        self.register_buffer("weights", weights)

    def log_weights(self) -> Tensor:
        """ln e, float [G, K'], for the quantizer's choice."""
        return self.weights.expand(self.groups, -1)
