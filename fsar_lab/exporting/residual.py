"""The export of a model with McQuic's quantizer: levels of networks, and a static table for each codebook."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from fsar_lab.codec.engine_residual import unfold_indices
from fsar_lab.codec.engines import make_networks
from fsar_lab.codec.level_prior import LevelPrior
from fsar_lab.codec.residual_networks import Level, ResidualNetworks
from fsar_lab.exporting.quantise import Options
from fsar_lab.exporting.quantise_model import Output
from fsar_lab.exporting.quantise_residual import quantise_down, quantise_up
from fsar_lab.models.compressor import Compressor
from fsar_lab.tables.counted import counted_tables

BATCH = 64  # images at a time


def residual_networks(
    model: Compressor,
    calibration: Tensor,
    outputs: tuple[Output, ...],
    first: Callable[[Callable[[Options], Any]], Any],
) -> ResidualNetworks:
    """The networks of all levels in integers.

    Args:
        model: in evaluation mode, with McQuic's quantizer.
        calibration: uint8 [n, 3, H, W].
        outputs: units of the (mean, log scale) pair.
        first: tries options one after the other until one can be proven exact.
    """
    quantizer, backbone = model.quantizer, model.backbone
    downs = first(lambda options: quantise_down(quantizer, backbone.analysis, calibration, options))
    indices = [down.indices for down in downs]
    ups = first(lambda options: quantise_up(quantizer, backbone.synthesis, indices, outputs, options))
    return ResidualNetworks(
        tuple(Level(down.network, down.search, down.words, *up) for down, up in zip(downs, ups, strict=True))
    )


def level_prior(networks: ResidualNetworks, images: Tensor) -> LevelPrior:
    """Static tables of every codebook, counted in uint8 images [n, 3, H, W]."""
    analyse, _ = make_networks(networks)
    sizes = [level.search.weight.shape[1] for level in networks.levels]
    counts = [np.zeros((networks.code_groups, size), np.int64) for size in sizes]
    for part in torch.split(images, BATCH):
        found = analyse(np.ascontiguousarray(part.permute(0, 2, 3, 1).cpu().numpy()))
        for seen, level in zip(counts, unfold_indices(found, networks.group_counts), strict=True):
            seen += _histograms(level, seen.shape[1])
    parts = zip(counts, networks.group_counts, strict=True)
    return LevelPrior(tuple(counted_tables(seen, groups) for seen, groups in parts))


def _histograms(indices: NDArray[np.uint16], size: int) -> NDArray[np.int64]:
    """How often each code of each group occurs in [N, G, h, w]: int64 [G, K]."""
    groups = indices.swapaxes(0, 1).reshape(indices.shape[1], -1)
    return np.stack([np.bincount(group, minlength=size) for group in groups])
