"""From a configuration to a compressor."""

from __future__ import annotations

from fsar_lab.config.build import build
from fsar_lab.config.schema import TrainConfig
from fsar_lab.models.compressor import Compressor


def build_compressor(config: TrainConfig) -> Compressor:
    """The model that a configuration describes, with fresh weights from torch's current generator."""
    coder = build(config.coder)
    backbone = build(config.backbone, out_channels=coder.out_channels)
    quantizer = build(config.quantizer)
    sizes = {}
    if quantizer is not None:
        sizes = {"groups": quantizer.groups, "codebook_size": quantizer.codebook_size, "dim": quantizer.dim}
    return Compressor(backbone, quantizer, build(config.prior, **sizes), coder)
