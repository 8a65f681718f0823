"""From a configuration to a compressor."""

from __future__ import annotations

from fsar_lab.config.build import build
from fsar_lab.config.schema import CausalNetConfig, NoneConfig, TrainConfig
from fsar_lab.models.compressor import Compressor


def build_compressor(config: TrainConfig) -> Compressor:
    """The model that a configuration describes, with fresh weights from torch's current generator."""
    sees = isinstance(config.coder, CausalNetConfig) and not isinstance(config.backbone, NoneConfig)
    coder = build(config.coder, **({"conditioned": True} if sees else {}))
    quantizer = build(config.quantizer)
    sizes: dict[str, int] = {}
    if hasattr(quantizer, "latent_channels"):  # fewer than the analysis network gives
        sizes = {"latent_channels": quantizer.latent_channels}
    backbone = build(config.backbone, out_channels=coder.out_channels, **sizes)
    sizes = {}
    if hasattr(quantizer, "codebook_size"):
        sizes = {"groups": quantizer.groups, "codebook_size": quantizer.codebook_size, "dim": quantizer.dim}
    compressor = Compressor(backbone, quantizer, build(config.prior, **sizes), coder)
    for part in (compressor.quantizer, compressor.prior):
        if hasattr(part, "anneal"):
            part.anneal = config.anneal
    return compressor
