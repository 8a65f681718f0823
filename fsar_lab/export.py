"""A trained compressor to an integer-only codec: `python -m fsar_lab.export run=DIRECTORY [out=FILE]`.

Training exports by itself. The command does it again for a run, e.g. with a newer fsar_lab, or for one that
is still training: then from its last checkpoint. It counts contexts in training images, merges the prior's
tables, turns the networks into integers, codes validation images with the result and prints what that cost.

  python -m fsar_lab.export run=outputs/fsar-1a2b3c4d    writes codec.fsarm there
  python -m fsar_lab.export run=outputs/fsar-1a2b3c4d out=small.fsarm

The file is all that coding needs: `fsar_lab.Codec.load(FILE)`. docs/FORMAT-bundle.md specifies it.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from fsar_lab.codec import engine_c
from fsar_lab.codec.bits_back import sample
from fsar_lab.codec.engines import posterior_pairs
from fsar_lab.codec.integer_network import CodeSearch, IntegerNetwork
from fsar_lab.codec.model import CodecModel
from fsar_lab.codec.networks import Networks
from fsar_lab.codec.parts import PriorPart
from fsar_lab.codec.prior import uniform_tables
from fsar_lab.errors import ConfigError, ExportError
from fsar_lab.exporting.pixels import outputs, pixel_facts, pixel_part
from fsar_lab.exporting.quantise import Options
from fsar_lab.exporting.quantise_model import quantise_analysis, quantise_synthesis
from fsar_lab.exporting.quantise_posterior import normal_prior, prune, quantise_posterior
from fsar_lab.exporting.residual import level_prior, residual_networks
from fsar_lab.models.coders.causal_net import CausalNet
from fsar_lab.models.compressor import Compressor
from fsar_lab.models.priors.code_freq import CodeFreq
from fsar_lab.models.priors.convolution import Convolution
from fsar_lab.models.priors.fsar import FSAR
from fsar_lab.models.quantizers.entropy_bottleneck import EntropyBottleneck
from fsar_lab.models.quantizers.gaussian import GaussianLatents
from fsar_lab.models.quantizers.mcquic import McQuic
from fsar_lab.models.reduced import reduced
from fsar_lab.tables import latents
from fsar_lab.tables.convolution import convolution_prior
from fsar_lab.tables.pixels_alone import pixels_alone
from fsar_lab.tables.prior_tables import fsar_tables, static_tables

CALIBRATION_VALUES = 1 << 25  # values of one full-size activation kept at a time: bounds the memory
MAX_BITS = 16  # of a table
ROUNDING_IMAGES = 256  # for the ranges of a causal network that was never rounded
FILLS = (0.95, 0.8, 0.5, 0.25)  # parts of 2^24 to plan for, until every layer's proof succeeds
T = TypeVar("T")


def export(
    compressor: Compressor, calibration: Tensor, facts: dict[str, Any], statistics: Tensor | None = None
) -> CodecModel:
    """Make the integer model of a trained compressor.

    Args:
        compressor: trained; it is left as it is.
        calibration: uint8 [n, 3, H, W], training images from which activation ranges are taken.
        facts: plain data about training, stored in the file.
        statistics: uint8 [n, 3, H, W], training images in which the prior's contexts are counted, the more
            the better; None takes those of the calibration.

    Raises:
        ExportError: something has no exact integer counterpart; the message names it.
    """
    model = reduced(copy.deepcopy(compressor).cpu().eval().float())
    if isinstance(model.coder, CausalNet) and not model.coder.rounding.active:
        model.coder.start_rounding()
        with torch.no_grad():
            model(calibration[:ROUNDING_IMAGES].cpu())
    if model.backbone is None:
        seen = calibration if statistics is None else statistics
        return CodecModel(None, None, pixels_alone(model.coder, seen), facts)
    facts = {**facts, **pixel_facts(model.coder)}
    pixels_used = CALIBRATION_VALUES // (model.quantizer.groups * model.quantizer.dim)
    calibration = calibration[: max(1, pixels_used // (calibration.shape[2] * calibration.shape[3]))].cpu()
    with torch.no_grad():
        if isinstance(model.quantizer, GaussianLatents):
            prune(model, calibration)
            networks = _sampling_networks(model, calibration)
            return CodecModel(networks, normal_prior(model.quantizer), pixel_part(model.coder), facts)
        seen = calibration if statistics is None else statistics
        if isinstance(model.quantizer, McQuic):
            levels = residual_networks(model, calibration, outputs(model.coder), _first)
            return CodecModel(levels, level_prior(levels, seen), pixel_part(model.coder), facts)
        networks = _networks(model, calibration)
        indices = _indices(networks.analysis, networks.code_search, seen if _counts(model) else calibration)
    return CodecModel(networks, prior_part(model, indices.numpy()), pixel_part(model.coder), facts)


def _networks(model: Compressor, calibration: Tensor) -> Networks:
    """Analysis and synthesis in integers."""
    analysis, search = _first(lambda options: _analysis(model, calibration, options))
    indices = _indices(analysis, search, calibration)
    units, network = outputs(model.coder), model.backbone.synthesis
    table, synthesis = _first(
        lambda options: quantise_synthesis(network, model.quantizer.codebooks, indices, units, options)
    )
    return Networks(analysis, search, table, synthesis)


def _sampling_networks(model: Compressor, calibration: Tensor) -> Networks:
    """Analysis and synthesis in integers, with a posterior between them."""
    gaussian, network = model.quantizer, model.backbone.synthesis
    analysis, posterior = _first(
        lambda options: quantise_posterior(model.backbone.analysis, gaussian, calibration, options)
    )
    run = posterior_pairs(engine_c.Network(analysis, threads=torch.get_num_threads()))
    indices = torch.from_numpy(sample(posterior, run(_channels_last(calibration))).astype(np.int64))
    units = outputs(model.coder)
    table, synthesis = _first(
        lambda options: quantise_synthesis(network, gaussian.centres(), indices, units, options)
    )
    return Networks(analysis, posterior, table, synthesis)


def _first(attempt: Callable[[Options], T]) -> T:
    """The first plan whose proof succeeds: finer activations are tried first."""
    for fill in FILLS[:-1]:
        try:
            return attempt(Options(fill=fill))
        except ExportError:
            continue
    return attempt(Options(fill=FILLS[-1]))


def _analysis(model: Compressor, calibration: Tensor, options: Options) -> tuple[IntegerNetwork, CodeSearch]:
    network = model.backbone.analysis
    bonus = None
    if hasattr(model.prior, "log_weights"):  # 2 sigma^2 ln e: log-softmax(-d / 2 sigma^2) + ln e, scaled
        bonus = 2 * model.quantizer.posterior_variance() * model.prior.log_weights().double().numpy()
    return quantise_analysis(network, model.quantizer.codebooks, calibration, options, bonus)


def _indices(analysis: IntegerNetwork, search: CodeSearch, images: Tensor) -> Tensor:
    """Indices that the integer analysis gives for uint8 images [n, 3, H, W]: int64 [n, G, h, w]."""
    run = engine_c.Analysis(analysis, search, threads=torch.get_num_threads())
    return torch.from_numpy(run(_channels_last(images)).astype(np.int64))


def _channels_last(images: Tensor) -> NDArray[np.uint8]:
    """uint8 [n, 3, H, W] as the networks take them: [n, H, W, 3]."""
    return np.ascontiguousarray(images.permute(0, 2, 3, 1).numpy())


def _counts(model: Compressor) -> bool:
    """Whether the prior's tables are counted in training images."""
    return isinstance(model.quantizer, EntropyBottleneck) or isinstance(model.prior, FSAR | CodeFreq)


def prior_part(model: Compressor, indices: NDArray[np.int64]) -> PriorPart:
    """The prior in integers; one uniform table where the prior has no context.

    Args:
        model: whose prior it is.
        indices: int64 [n, G, h, w] of training images.
    """
    if isinstance(model.prior, Convolution):
        return convolution_prior(model.prior, model.quantizer.codebooks)
    groups, size = model.quantizer.groups, model.quantizer.codebook_size
    if isinstance(model.quantizer, EntropyBottleneck):
        return own_tables(model.quantizer, indices)
    offsets = model.prior.offsets
    if isinstance(model.prior, FSAR):
        return fsar_tables(model.prior, model.quantizer.codebooks, indices)
    if isinstance(model.prior, CodeFreq):
        p = torch.softmax(model.prior.logits.detach().double(), -1).numpy()
        return static_tables(p, indices, latents.BITS)
    if offsets:
        raise ExportError(
            f"{type(model.prior).__name__} has contexts but no tables yet; use an fsar or uniform prior"
        )
    return uniform_tables(groups, size, latents.BITS)


def own_tables(quantizer: EntropyBottleneck, indices: NDArray[np.int64]) -> PriorPart:
    """Static tables of the channels, from their densities and from indices int64 [n, G, h, w].

    Most channels hardly ever leave their mode: with 14 bits the other symbols' floor would cost 0.006 bit a
    latent, of which there are several for each sub-pixel.
    """
    p = quantizer.probabilities().detach().double().numpy()
    return static_tables(p, indices, MAX_BITS)


def _command(run_dir: Path, arguments: list[str]) -> None:
    from fsar_lab.bundle import export_run, print_bundle

    given = dict(argument.partition("=")[::2] for argument in arguments)
    if set(given) - {"out"} or "" in given.values():
        raise ConfigError(f"{' '.join(arguments)}: export takes run=DIRECTORY and out=FILE (see --help)")
    print_bundle(export_run(run_dir, Path(given["out"]) if given else None))


if __name__ == "__main__":
    from fsar_lab.config.app import run_on_finished

    run_on_finished("export", __doc__, _command)
