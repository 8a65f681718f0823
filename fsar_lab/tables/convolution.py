"""A trained convolution prior to integers."""

from __future__ import annotations

import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from fsar_lab.codec.convolution_prior import MAX_SHIFT, ConvolutionPrior
from fsar_lab.codec.fixed_point import LOGIT_BITS
from fsar_lab.codec.integer_network import NetworkError
from fsar_lab.errors import ExportError
from fsar_lab.models.priors.convolution import Convolution
from fsar_lab.tables.latents import BITS  # finer counts cost more: states of 32 bits hold too few of them

UNIT = math.log(2) / (1 << LOGIT_BITS)  # nats of a logit's last place


@torch.no_grad()
def convolution_prior(prior: Convolution, codebooks: Tensor) -> ConvolutionPrior:
    """The integer counterpart of a trained prior.

    Args:
        prior: trained.
        codebooks: float [G, K, D], whose vectors are the contexts; [1, K, D] of a convolution over planes.

    Raises:
        ExportError: it is not finite, too large for a table, or its logits are beyond 128 bits.
    """
    groups, size, dim = codebooks.shape
    weight = prior.convolution.weight.double().cpu()
    weight = weight.view(groups, size, groups, dim, *weight.shape[2:])
    assert prior.convolution.bias is not None
    bias = prior.convolution.bias.double().cpu().view(groups, size)
    # A constant added to all logits of a group changes nothing; without it they are smallest.
    weight, bias = weight - weight.mean(1, keepdim=True), bias - bias.mean(1, keepdim=True)
    taps = weight[..., prior.used.cpu() > 0].permute(4, 2, 3, 0, 1).flatten(3)
    scaled, vectors = taps.numpy() / UNIT, codebooks.double().cpu().numpy()
    static = prior.static
    if not all(np.isfinite(values).all() for values in (scaled, vectors, bias.numpy())):
        raise ExportError("the prior's convolution or the codebook has values that are not finite")
    vector_scale = 32767 / max(float(np.abs(vectors).max()), 1e-30)
    fine = math.log2(32767 * vector_scale / max(float(np.abs(scaled).max()), 1e-30))
    shift = min(max(math.floor(fine), 1), MAX_SHIFT)
    whole = np.rint(scaled * (2.0**shift / vector_scale))
    if np.abs(whole).max() > 32767:
        raise ExportError("the prior's convolution has weights that no 16-bit integers express")
    result = ConvolutionPrior(
        weight=whole.astype(np.int16),
        vectors=np.rint(vectors * vector_scale).astype(np.int16),
        shift=shift,
        bias=_units(bias),
        static=None if static is None else _units((static - static.mean(1, keepdim=True)).double().cpu()),
        mask=prior.mask,
        kernel=prior.kernel,
        bits=BITS,
        planes=prior.groups // groups,
    )
    try:
        result.check()
    except NetworkError as error:
        raise ExportError(str(error)) from error
    return result


def _units(logits: Tensor) -> NDArray[np.int32]:
    """Logits in nats to whole units."""
    return np.rint(np.clip(logits.numpy() / UNIT, -(2.0**30), 2.0**30)).astype(np.int32)
