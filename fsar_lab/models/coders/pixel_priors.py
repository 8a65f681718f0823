"""Priors of latents put on the pixels themselves: the three colours are groups, grey levels are symbols.

METHOD 8.H, the reference's observation-space finite-state models, which it can estimate but not code.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from fsar_lab.config.schema import ConvolutionConfig, ConvolutionPixelsConfig, FSARConfig, FSARPixelsConfig
from fsar_lab.models.priors.convolution import Convolution
from fsar_lab.models.priors.fsar import FSAR
from fsar_lab.models.quantizers.base import Quantized

COLOURS, LEVELS = 3, 256


def grey_vectors(dim: int) -> Tensor:
    """Where the vectors of grey levels start: the level and waves of rising frequency, [LEVELS, dim].

    The reference feeds one-hot levels, whose first layer is such a table of vectors, learned. Starting from
    neighbouring vectors for neighbouring levels spares the training finding out that they are alike.
    """
    level = torch.linspace(-1, 1, LEVELS)
    waves, pairs = [level], (dim + 1) // 2
    for i in range(pairs):
        turns = 0.5 * 32.0 ** (i / pairs)  # over the whole range, nearly up to one for 16 levels
        angle = torch.pi * turns * level
        waves += [torch.sin(angle) * turns**-0.5, torch.cos(angle) * turns**-0.5]
    return torch.stack(waves[:dim], 1) + 0.05 * torch.randn(LEVELS, dim)


class PixelPrior(nn.Module):
    """p(x) of uint8 pixels under a prior of G = 3 groups of K = 256 symbols, with learned vectors.

    Coded: the grey levels, colour plane after colour plane, by the coder of the prior.

    Args:
        prior: of 3 groups, 256 symbols and vectors of `dim` numbers.
        dim: length of a grey level's vector.
    """

    def __init__(self, prior: FSAR | Convolution, dim: int) -> None:
        super().__init__()
        self.prior = prior
        self.codebooks = nn.Parameter(torch.stack([grey_vectors(dim) for _ in range(COLOURS)]))

    @property
    def out_channels(self) -> int:
        """Nothing is wanted of a synthesis network."""
        return 0

    def quantized(self, x: Tensor) -> Quantized:
        """uint8 x [N, 3, H, W] as the prior takes it, vectors with gradient to their table."""
        indices = x.long()
        vectors = [nn.functional.embedding(indices[:, c], self.codebooks[c]) for c in range(COLOURS)]
        samples = torch.stack(vectors, 1).movedim(-1, 2)
        zero = self.codebooks.new_zeros(())
        return Quantized(indices, samples.flatten(1, 2), samples, None, zero, zero)

    def nats(self, theta: Tensor | None, x: Tensor) -> Tensor:
        """Code length of uint8 x [N, 3, H, W], [N, 3, H, W]; theta is not used."""
        del theta
        result: Tensor = self.prior.nats(self.quantized(x), self.codebooks)
        return result

    @torch.no_grad()
    def fit(self, x: Tensor) -> Tensor:
        """Start every output at the histogram of its colour; returns no values for a head."""
        for c in range(COLOURS):
            histogram = torch.bincount(x[:, c].flatten().long(), minlength=LEVELS) + 1
            self.last_bias(c).copy_(torch.log(histogram / histogram.sum()))
        return torch.zeros(0)

    def last_bias(self, colour: int) -> Tensor:
        """The bias of the logits of `colour`, [256], a view."""
        raise NotImplementedError


class FSARPixels(PixelPrior):
    """Finite-state autoregressive pixels: a network for each colour over its causal neighbours."""

    prior: FSAR

    def __init__(self, config: FSARPixelsConfig) -> None:
        prior = FSARConfig(
            offsets=config.offsets,
            hidden_expansion=config.hidden_expansion,
            train_share=config.train_share,
        )
        super().__init__(FSAR(prior, COLOURS, LEVELS, config.dim), config.dim)
        self.prior.trains_codebooks = True
        self.config = config

    def last_bias(self, colour: int) -> Tensor:
        """See PixelPrior."""
        last = self.prior.networks[colour][-1]  # type: ignore[index]
        bias: Tensor = last.bias
        return bias


class ConvolutionPixels(PixelPrior):
    """One masked convolution from the vectors of the pixels before to the logits of the three colours."""

    prior: Convolution

    def __init__(self, config: ConvolutionPixelsConfig) -> None:
        prior = ConvolutionConfig(kernel=config.kernel, detach_context=False)
        super().__init__(Convolution(prior, COLOURS, LEVELS, config.dim), config.dim)
        self.config = config

    def last_bias(self, colour: int) -> Tensor:
        """See PixelPrior."""
        bias = self.prior.convolution.bias
        assert bias is not None
        return bias.view(COLOURS, LEVELS)[colour]
