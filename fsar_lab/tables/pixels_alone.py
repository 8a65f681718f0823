"""Coders that need no networks, in integers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from fsar_lab.codec.context import BITS, ContextTables
from fsar_lab.codec.parts import PixelPart
from fsar_lab.codec.planes import Planes
from fsar_lab.entropy import counts_from_weights
from fsar_lab.errors import ExportError
from fsar_lab.exporting.causal import causal_tables
from fsar_lab.models.coders.causal_net import CausalNet
from fsar_lab.models.coders.context import FLOOR, Context
from fsar_lab.models.coders.pixel_priors import PixelPrior
from fsar_lab.models.priors.fsar import FSAR
from fsar_lab.tables.convolution import convolution_prior
from fsar_lab.tables.prior_tables import fsar_tables

if TYPE_CHECKING:
    from torch import Tensor, nn


def pixels_alone(coder: nn.Module, images: Tensor) -> PixelPart:
    """The pixel part of a model without networks.

    Args:
        coder: trained or fitted.
        images: uint8 [n, 3, H, W], training images in which a prior's contexts are counted.

    Raises:
        ExportError: the coder wants networks.
    """
    if isinstance(coder, Context):
        return context_tables(coder)
    if isinstance(coder, CausalNet):
        return causal_tables(coder)
    if not isinstance(coder, PixelPrior):
        raise ExportError(f"{type(coder).__name__} cannot code pixels without networks")
    codebooks = coder.codebooks.detach()
    if isinstance(coder.prior, FSAR):
        return Planes(fsar_tables(coder.prior, codebooks, images.numpy().astype(np.int64)))
    return Planes(convolution_prior(coder.prior, codebooks))


def context_tables(coder: Context) -> ContextTables:
    """A fitted `Context` is in integers already; its counts become tables of 2^16."""
    weights = np.rint((coder.counts.double().numpy() + FLOOR) * 1000).astype(np.uint64)
    return ContextTables(
        weights=coder.weight.numpy().astype(np.int16),
        bias=coder.bias.numpy().astype(np.int32),
        energy=coder.energy.numpy().astype(np.int16),
        base=coder.base.numpy().astype(np.int32),
        thresholds=coder.thresholds.numpy().astype(np.int32),
        counts=counts_from_weights(weights.reshape(-1, 256), BITS).astype(np.uint16),
        levels=coder.levels.numpy().astype(np.int16),
        slopes=coder.slopes.numpy().astype(np.int16),
    )
