"""What coding should cost: cross-entropies of the float model, and of the integer model before its counts.

Reporting only; nothing here decides a bit.
"""

from __future__ import annotations

import copy
import itertools
import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from fsar_lab.codec.codec import Codec
from fsar_lab.codec.estimate import can_estimate, pixel_bits
from fsar_lab.exporting.quantise_posterior import posterior_bits
from fsar_lab.models.compressor import Compressor
from fsar_lab.models.priors.fsar import FSAR
from fsar_lab.models.quantizers.base import Quantized
from fsar_lab.models.quantizers.gaussian import GaussianLatents
from fsar_lab.models.reduced import reduced

IMAGES = 64  # that the float networks see at a time
STATES = 1 << 16  # latents of a group that a finite-state prior sees at a time, each of their contexts once


@torch.no_grad()
def estimated_latent_bits(compressor: Compressor, indices: NDArray[np.uint16]) -> float:
    """Bits of indices [N, G, h, w] under the trained prior's float probabilities."""
    compressor = reduced(compressor)
    prior, quantizer = copy.deepcopy(compressor.prior), compressor.quantizer
    if prior is not None:
        _each_context_once(prior.eval())
    device, total = next(compressor.parameters()).device, 0.0
    count = max(1, STATES // indices[0, 0].size) if isinstance(prior, FSAR) else IMAGES
    for start in range(0, len(indices), count):
        symbols = torch.from_numpy(indices[start : start + count].astype(np.int64)).to(device)
        if prior is None:
            total += float(quantizer.symbol_nats(symbols).double().sum()) / math.log(2)
            continue
        vectors = quantizer.lookup(symbols)
        n, groups, h, w = symbols.shape
        zero = vectors.new_zeros(())
        samples = vectors.view(n, groups, -1, h, w)
        nats = prior.nats(Quantized(symbols, vectors, samples, None, zero, zero), quantizer.codebooks)
        total += float(nats.double().sum()) / math.log(2)
    return total


def estimated_bits(compressor: Compressor, codec: Codec, images: NDArray[np.uint8]) -> tuple[float, float]:
    """(latent, pixel) bits of uint8 [N, H, W, 3] under the integer model's unquantised distributions."""
    model = codec.model
    latent = 0.0
    if isinstance(compressor.quantizer, GaussianLatents):
        parts = (codec.analysis_outputs(images[i : i + IMAGES]) for i in range(0, len(images), IMAGES))
        latent = sum(posterior_bits(compressor.quantizer, part) for part in parts)
    elif model.networks:
        latent = estimated_latent_bits(compressor, codec.analyse(images))
    if can_estimate(codec):
        return latent, pixel_bits(codec, images)
    return latent, float_bits(compressor, images)[1]


@torch.no_grad()
def float_bits(compressor: Compressor, images: NDArray[np.uint8]) -> tuple[float, float]:
    """(latent, pixel) bits of the float model: what the integer model's loss is measured against."""
    model = copy.deepcopy(compressor).eval()
    _each_context_once(model.prior)
    device = next(itertools.chain(model.parameters(), model.buffers())).device
    latent = pixel = 0.0
    for start in range(0, len(images), IMAGES):
        x = torch.from_numpy(images[start : start + IMAGES]).permute(0, 3, 1, 2).to(device)
        output = model(x)
        latent += float(output.latent_nats.double().sum()) / math.log(2)
        pixel += float(output.pixel_nats.double().sum()) / math.log(2)
    return latent, pixel


def _each_context_once(prior: nn.Module | None) -> None:
    """Let a finite-state prior work out a context once, however often it occurs: no gradient is wanted."""
    if isinstance(prior, FSAR):
        prior.detach_context = True
