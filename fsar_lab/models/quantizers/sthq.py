"""STHQ, the straight-through hardmax quantizer ("V2DVQ"), and its relatives: one loss with named terms."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from fsar_lab.config.schema import AnnealConfig, STHQConfig
from fsar_lab.models import annealing
from fsar_lab.models.quantizers.base import Quantized, VectorQuantizer, without_gradient


def gumbel_noise(like: Tensor, temperature: float) -> Tensor:
    """Gumbel variates over `temperature`, shaped as `like`; from uniforms, far faster than exponential_()."""
    tiny = torch.finfo(like.dtype).tiny
    noise = torch.rand_like(like).clamp_min_(tiny).log_().neg_().clamp_min_(tiny).log_()
    return noise.mul_(-1.0 / temperature)


class STHQ(VectorQuantizer):
    """Nearest neighbour forward; relaxed Gumbel selection backward (METHOD 3).

    With l = log softmax(-|y - E|^2 / (2 sigma^2)), q = exp(l), g ~ GumbelSoftmax(l, tau), training sees the
    selection s, which is onehot(argmax l) + g - sg(g) (STHQ), g (SQ-VAE, soft-VQ), or the one-hot alone (EM):

    * vectors z = sum_k s_k E_k; the synthesis network's gradient is copied to y and nothing reaches the
      codebook, or (`copy_gradient=false`) it flows to y and codebook through s and E;
    * loss = c |y - z|^2 / (2 sigma^2) + w H, without stop-gradients, H = sum_k s_k l_k or sum_k q_k log q_k;
    * rate -sum_k s_k log p_k, or under q: `Quantized.selection` hands the prior what carries its gradient.
      The prior itself learns from the symbols that are coded, whichever carries it.

    With rate=posterior and w = 1, rate and H together are the divergence KL(q || p) in closed form.
    Evaluation and coding take the nearest codeword always.
    """

    anneal = AnnealConfig()  # build_compressor puts the experiment's here

    def __init__(self, config: STHQConfig) -> None:
        super().__init__(config, config.init_range)
        self.config = config
        self.commitment_weight = config.commitment_weight
        self.log_variance: nn.Parameter | None = None
        if config.train_variance:
            self.log_variance = nn.Parameter(torch.tensor(math.log(config.variance)))
        self.on_step(0, 1)

    def on_step(self, step: int, steps: int) -> None:
        """Set what changes over the training: temperature, entropy weight, soft share, E or M step."""
        config, progress = self.config, step / steps
        factor = annealing.factor(self.anneal, progress)
        self.temperature = config.gumbel_temperature * (factor if config.anneal_temperature else 1.0)
        self.entropy_weight = config.entropy_weight * (factor if config.anneal_entropy else 1.0)
        self.soft_share = 1.0
        if config.gap_control:
            self.soft_share = annealing.factor(self.anneal, progress - config.gap_start)
        self.maximises = config.alternate and step % 2 == 1
        self.expects = config.alternate and step % 2 == 0

    def _logits(self, rows: Tensor) -> Tensor:
        """l / temperature up to a constant for each row, [G, M, K]: the argmax does not mind."""
        if self.log_variance is None:
            return self.affinity(rows, 1.0 / (self.config.variance * self.temperature))
        return self.affinity(rows) * ((-self.log_variance).exp() / self.temperature)

    def _select(self, logits: Tensor, hard: Tensor) -> tuple[Tensor, Tensor]:
        """The relaxed selection g [G, M, K] and the vectors sum_k s_k E_k [G, M, D]."""
        noisy = logits + gumbel_noise(logits, self.temperature) if self.config.noise else logits
        relaxed = torch.softmax(noisy, -1)
        if self.config.selection == "soft":
            return relaxed, torch.bmm(relaxed, self.codebooks)
        # sum_k (g_k - sg(g_k)) E_k is zero in value and carries g's gradient; E itself gets none here.
        carrier = torch.bmm(relaxed, self.codebooks.detach())
        return relaxed, hard + (carrier - carrier.detach())

    def _entropy(self, logits: Tensor, indices: Tensor, selection: Tensor | None) -> Tensor:
        """sum_k s_k l_k, or sum_k q_k log q_k, summed over all rows."""
        log_posterior = torch.log_softmax(logits * self.temperature, -1)
        if self.config.rate == "posterior":
            return (log_posterior.exp() * log_posterior).sum()
        if self.config.selection == "soft":
            assert selection is not None
            return (selection * log_posterior).sum()
        total = log_posterior.gather(-1, indices.unsqueeze(-1)).sum()
        if selection is None:
            return total
        carried = (selection * log_posterior.detach()).sum()
        return total + (carried - carried.detach())

    def _loss(self, rows: Tensor, samples: Tensor) -> Tensor:
        """The commitment term, summed, in nats."""
        distance = (rows - samples).square().sum()
        if self.log_variance is None:
            scale: float | Tensor = 0.5 / self.config.variance
        else:
            scale = 0.5 * (-self.log_variance).exp()
        return self.commitment_weight * (distance * scale)

    def posterior_variance(self) -> float:
        """sigma^2."""
        return self.config.variance if self.log_variance is None else float(self.log_variance.exp())

    def forward(self, y: Tensor, log_weights: Tensor | None = None) -> Quantized:
        """See the base class; the loss is the weighted commitment and entropy, summed, in nats."""
        if self.training and self.maximises:
            y = without_gradient(y)
        rows = self.rows(y)
        logits = self._logits(rows)
        if log_weights is not None:
            logits = logits + log_weights.unsqueeze(1) / self.temperature
        indices = logits.argmax(-1)
        hard = self.gather(indices)
        selection, samples = None, hard
        if self.training and self.config.selection != "hard":
            selection, samples = self._select(logits, hard)
        loss = self._loss(rows, samples)
        if self.training and self.entropy_weight > 0:
            loss = loss + self.entropy_weight * self._entropy(logits, indices, selection)
        if selection is not None and self.config.rate == "posterior":
            selection = torch.softmax(logits * self.temperature, -1)
        vectors = self.images(samples, y).reshape(y.shape)
        if self.config.copy_gradient:
            vectors = y + (vectors - y).detach()
        mixed = self.training and self.soft_share < 1.0
        return Quantized(
            indices=self.index_images(indices, y),
            vectors=vectors,
            samples=self.images(samples, y),
            selection=selection,
            loss=loss,
            loss_per_element=y.new_zeros(()),
            hard=self.images(hard, y).reshape(y.shape) if mixed else None,
            soft_share=self.soft_share,
            rate_is_fixed=self.training and self.expects,
        )
