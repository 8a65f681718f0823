"""A trained bits-back model's analysis network, posterior and prior to integers; part of the export."""

from __future__ import annotations

import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from fsar_lab.codec.integer_network import IntegerNetwork
from fsar_lab.codec.posterior import BITS, Posterior
from fsar_lab.codec.prior import PRODUCT_BITS, PriorTables
from fsar_lab.exporting.quantise import Options
from fsar_lab.exporting.quantise_model import Output, quantise_pairs
from fsar_lab.models.compressor import Compressor
from fsar_lab.models.quantizers.gaussian import BINS, GaussianLatents
from fsar_lab.tables.pixels import FINE, fine_cdfs, scale_grid

PRIOR_BITS = 16
LEAST_NATS = 0.02  # a latent, on average: channels that say less are left out


def prune(model: Compressor, images: Tensor) -> None:
    """Take those latent channels out of a model, in place, that say nothing about the image.

    Training leaves most channels at the prior (posterior collapse). Sampled, they would be noise that costs
    time, and bits that a chain needs to begin with; the synthesis network sees 0 in their place.

    Args:
        model: with GaussianLatents, in evaluation mode.
        images: calibration, uint8 [N, 3, H, W].
    """
    latents: GaussianLatents = model.quantizer
    nats = [latents(model.backbone.analysis(model.centred(part))).nats for part in torch.split(images, 64)]
    said = torch.cat([part.mean((2, 3)) for part in nats if part is not None]).mean(0)
    kept = torch.nonzero(said >= min(LEAST_NATS, float(said.max())))[:, 0]
    head, first = model.backbone.analysis[-1], model.backbone.synthesis[0]
    model.backbone.analysis[-1] = _outputs(head, torch.cat([kept, kept + latents.groups]))
    narrow = nn.Conv2d(len(kept), first.out_channels, 1, bias=False)
    narrow.weight.data = first.weight.data[:, kept]
    model.backbone.synthesis[0] = narrow
    latents.groups = len(kept)


def quantise_posterior(
    network: nn.Sequential, latents: GaussianLatents, images: Tensor, options: Options
) -> tuple[IntegerNetwork, Posterior]:
    """The analysis network, whose outputs become (mean, scale) indices, and the posterior's tables.

    Args:
        network: float analysis in evaluation mode; its last layer gives C means, then C log variances.
        latents: the ranges of bins and scales.
        images: calibration, uint8 [N, 3, H, W].
        options: see Options.

    Raises:
        ExportError: naming the layer whose sums cannot be proven exact.
    """
    config = latents.config
    step = (config.log_scale_max - config.log_scale_min) / (config.num_scales - 1)
    mean = Output(2 * config.limit / FINE, -config.limit, 0, FINE)
    scale = Output(2 * step, 2 * config.log_scale_min, 0, config.num_scales - 1)  # of the log variance
    analysis = quantise_pairs(_interleaved(network), images, (mean, scale), options)
    return analysis, posterior_tables(latents)


def posterior_tables(latents: GaussianLatents) -> Posterior:
    """The posterior's cdfs: a bin is 1/255 of the range from the first bin's centre to the last one's."""
    config = latents.config
    grid = scale_grid(config.log_scale_min, config.log_scale_max, config.num_scales)
    return Posterior(fine_cdfs(grid - math.log(2 * config.limit), total=1 << BITS))


def normal_prior(latents: GaussianLatents) -> PriorTables:
    """One table of N(0, 1) over the bins, the mass beyond the outermost ones folded into them."""
    edges = [latents.config.limit * ((2 * k - 1) / (BINS - 1) - 1) for k in range(1, BINS)]
    below = [0.5 * math.erfc(-edge * math.sqrt(0.5)) for edge in edges]
    mass = np.diff([0.0, *below, 1.0])
    # By symmetry: the upper tail's differences have lost their digits.
    mass = np.maximum(mass, mass[::-1])
    logits = np.maximum(np.log2(mass), -PRIOR_BITS - 8.0)
    return PriorTables(
        features=np.zeros((1, 1), np.int16),
        basis=np.zeros((1, BINS), np.int16),
        bias=np.rint(logits * (1 << PRODUCT_BITS)).astype(np.int32),
        context_map=np.zeros((latents.groups, 1), np.uint16),
        bits=PRIOR_BITS,
        offsets=(),
    )


def posterior_bits(latents: GaussianLatents, pairs: NDArray[np.uint16]) -> float:
    """KL divergences from N(0, 1) of the posteriors that (mean, scale) pairs [N, 2 G, h, w] name, in bits."""
    config = latents.config
    mean = pairs[:, 0::2] * (2 * config.limit / FINE) - config.limit
    log_scale = scale_grid(config.log_scale_min, config.log_scale_max, config.num_scales)[pairs[:, 1::2]]
    nats = 0.5 * (mean**2 + np.exp(2 * log_scale) - 1) - log_scale
    return float(nats.sum()) / math.log(2)


def _interleaved(network: nn.Sequential) -> nn.Sequential:
    """The same network with the outputs in pairs: mean and log variance of the first latent, and so on."""
    *layers, last = network
    assert isinstance(last, nn.Conv2d)
    order = torch.arange(last.out_channels).view(2, -1).t().reshape(-1)
    return nn.Sequential(*layers, _outputs(last, order)).eval()


def _outputs(layer: nn.Conv2d, chosen: Tensor) -> nn.Conv2d:
    """A 1x1 convolution with only the chosen outputs."""
    result = nn.Conv2d(layer.in_channels, len(chosen), 1)
    assert layer.bias is not None and result.bias is not None
    result.weight.data, result.bias.data = layer.weight.data[chosen], layer.bias.data[chosen]
    return result
