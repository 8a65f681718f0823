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
from fsar_lab.tables.masks import RASTER_3D

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

    Coded: the grey levels, by the coder of the prior.

    Args:
        prior: of 3 groups, 256 symbols and vectors of `dim` numbers.
        dim: length of a grey level's vector.
        tables: of vectors, one for each colour, or a single one for all.
    """

    def __init__(self, prior: FSAR | Convolution, dim: int, tables: int = COLOURS) -> None:
        super().__init__()
        self.prior = prior
        self.codebooks = nn.Parameter(torch.stack([grey_vectors(dim) for _ in range(tables)]))

    @property
    def out_channels(self) -> int:
        """Nothing is wanted of a synthesis network."""
        return 0

    def quantized(self, x: Tensor) -> Quantized:
        """uint8 x [N, 3, H, W] as the prior takes it, vectors with gradient to their table."""
        indices, tables = x.long(), self.codebooks.expand(COLOURS, -1, -1)
        vectors = [nn.functional.embedding(indices[:, c], tables[c]) for c in range(COLOURS)]
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
            for bias in self.biases(c):
                bias.copy_(torch.log(histogram / histogram.sum()))
        return torch.zeros(0)

    def biases(self, colour: int) -> list[Tensor]:
        """The logits of `colour` without neighbours, views of [256]."""
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

    def biases(self, colour: int) -> list[Tensor]:
        """See PixelPrior."""
        last = self.prior.networks[colour][-1]  # type: ignore[index]
        return [last.bias]


class ConvolutionPixels(PixelPrior):
    """One masked convolution from the vectors of pixels to the logits of the three colours.

    In two dimensions the colours of a pixel are independent given its neighbours: those before in raster
    order, or on a checkerboard half of the pixels, which come first and have no neighbours. In three
    dimensions (`mask=raster3d`) red, green and blue are planes in depth: a colour sees what precedes in its
    own plane and, in the whole window, the colours before. Weights, vectors and bias are the same for all
    colours, as a convolution's are at all its places; METHOD 8.H says no more than the size of its window.

    One-hot levels of K + 1 states ("outside" among them) enter the reference's convolutions. A product of a
    table of vectors and the weights is such a convolution, of lower rank; "outside" is the vector 0.
    """

    prior: Convolution

    def __init__(self, config: ConvolutionPixelsConfig) -> None:
        prior = ConvolutionConfig(mask=config.mask, kernel=config.kernel, detach_context=False)
        tables = 1 if config.mask == RASTER_3D else COLOURS
        super().__init__(Convolution(prior, COLOURS, LEVELS, config.dim), config.dim, tables)
        self.config = config

    @torch.no_grad()
    def fit(self, x: Tensor) -> Tensor:
        """See PixelPrior; a bias that the colours share starts at the histogram of all."""
        if self.config.mask == RASTER_3D:
            x = x.flatten(0, 1).unsqueeze(1).expand(-1, COLOURS, -1, -1)
        return super().fit(x)

    def biases(self, colour: int) -> list[Tensor]:
        """See PixelPrior."""
        bias = self.prior.convolution.bias
        assert bias is not None
        found = [bias.view(-1, LEVELS).expand(COLOURS, -1)[colour]]
        return found if self.prior.static is None else [*found, self.prior.static[colour]]
