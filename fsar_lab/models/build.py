"""From a configuration to a compressor."""

from __future__ import annotations

from fsar_lab.config.build import build
from fsar_lab.config.schema import GaussianLatentsConfig, TrainConfig
from fsar_lab.models.compressor import Compressor


def build_compressor(config: TrainConfig) -> Compressor:
    """The model that a configuration describes, with fresh weights from torch's current generator."""
    coder = build(config.coder)
    backbone = build(config.backbone, out_channels=coder.out_channels, **_latent_channels(config))
    quantizer = build(config.quantizer)
    sizes = {}
    if quantizer is not None:
        sizes = {"groups": quantizer.groups, "codebook_size": quantizer.codebook_size, "dim": quantizer.dim}
    return Compressor(backbone, quantizer, build(config.prior, **sizes), coder)


def _latent_channels(config: TrainConfig) -> dict[str, int]:
    """Channels before and behind the quantizer where they are not the backbone's width."""
    if not isinstance(config.quantizer, GaussianLatentsConfig):
        return {}
    channels = config.quantizer.channels
    return {"y_channels": 2 * channels, "z_channels": channels}
