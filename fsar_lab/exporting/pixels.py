"""Trained coders to the pixel parts of a codec, and the units of what the synthesis network must say."""

from __future__ import annotations

from typing import Any

import numpy as np
from torch import nn

from fsar_lab.codec.mean_offset import BITS, MeanOffsetTables
from fsar_lab.codec.mean_scale import MeanScaleTables
from fsar_lab.codec.mixture import WEIGHTS, MixtureTables
from fsar_lab.codec.parts import PixelPart
from fsar_lab.errors import ExportError
from fsar_lab.exporting.causal import causal_tables, conditions
from fsar_lab.exporting.quantise_model import Output
from fsar_lab.models.coders.causal_net import CausalNet
from fsar_lab.models.coders.gaussian_mean_offset import GaussianMeanOffset
from fsar_lab.models.coders.linear_ar import LinearAR
from fsar_lab.models.coders.location_scale import LocationScale
from fsar_lab.models.coders.logistic import Logistic
from fsar_lab.models.coders.logistic_mixture import LogisticMixture
from fsar_lab.tables import pixels


def outputs(coder: nn.Module) -> tuple[Output, ...]:
    """Integer units of the synthesis network's outputs for one colour, (logit, scale) after (logit, scale).

    Those of a causal network are for all of them, conditions one after the other.

    Raises:
        ExportError: a coder that has no integer counterpart.
    """
    if isinstance(coder, CausalNet):
        return conditions(coder)
    config: Any = coder.config
    sigmoid = isinstance(coder, LocationScale) and config.sigmoid_mean
    unit, zero = pixels.logit_unit(sigmoid)
    step = (config.log_scale_max - config.log_scale_min) / (config.num_scales - 1)
    half = pixels.LOGITS // 2
    pair = (
        Output(unit, zero, -half, half - 1),
        Output(step, config.log_scale_min, 0, config.num_scales - 1),
    )
    if isinstance(coder, LocationScale):
        return pair
    if isinstance(coder, LogisticMixture):
        half, most = WEIGHTS // 2, config.weight_range
        weights = Output(most / half, 0.0, -half, half - 1), Output(most / half, -most, 0, WEIGHTS - 1)
        return pair * coder.COMPONENTS + weights
    raise ExportError(f"{type(coder).__name__} has no integer counterpart")


def pixel_part(coder: nn.Module) -> PixelPart:
    """The coder in integers.

    Raises:
        ExportError: a coder that has no integer counterpart.
    """
    if isinstance(coder, CausalNet):
        return causal_tables(coder)
    config: Any = coder.config
    scales = pixels.scale_grid(config.log_scale_min, config.log_scale_max, config.num_scales)
    if isinstance(coder, GaussianMeanOffset):
        return MeanOffsetTables(pixels.offset_counts(scales, BITS), pixels.mean_lut(config.sigmoid_mean))
    if isinstance(coder, LogisticMixture):
        lut, none = pixels.mean_lut(sigmoid_mean=False), np.zeros(0, np.int32)
        cdf = pixels.fine_cdfs(scales, Logistic.distribution)
        components = MeanScaleTables(cdf, lut, ((), (), ()), none, np.zeros(3, np.int32))
        return MixtureTables(components, pixels.weight_exponentials(config.weight_range))
    if not isinstance(coder, LocationScale):
        raise ExportError(f"{type(coder).__name__} has no integer counterpart")
    weight, bias = np.zeros((coder.colours, 0)), np.zeros(coder.colours)
    if isinstance(coder, LinearAR):
        weight, bias = coder.weight.detach().double().numpy(), coder.bias.detach().double().numpy()
    fixed_weight, fixed_bias = pixels.linear_ar(coder.taps, weight, bias)
    return MeanScaleTables(
        pixels.fine_cdfs(scales, coder.distribution),
        pixels.mean_lut(config.sigmoid_mean),
        coder.taps,
        fixed_weight,
        fixed_bias,
    )


def pixel_facts(coder: nn.Module) -> dict[str, Any]:
    """What `codec.estimate` must know of the coder beside its integers; decides no bit."""
    if isinstance(coder, CausalNet):
        return {}
    config: Any = coder.config
    distribution = coder.distribution if isinstance(coder, LocationScale) else Logistic.distribution
    return {
        "distribution": distribution,
        "log_scale_min": config.log_scale_min,
        "log_scale_max": config.log_scale_max,
    }
