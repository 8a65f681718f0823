"""From a run to the bundle that people ship: statistics, export, and what the integers cost."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fsar_lab import run_files
from fsar_lab.codec.codec import Codec
from fsar_lab.codec.model import CodecModel
from fsar_lab.codec.prior import PriorTables
from fsar_lab.config.build import build
from fsar_lab.config.schema import TrainConfig, VectorQuantizerConfig
from fsar_lab.data.dataset import Dataset
from fsar_lab.entropy import Encoder
from fsar_lab.export import export
from fsar_lab.exporting.estimates import estimated_latent_bits, float_bits
from fsar_lab.fitting import checkpointed_compressor, first_images, sample_images
from fsar_lab.models.compressor import Compressor
from fsar_lab.models.priors.code_freq import CodeFreq
from fsar_lab.models.priors.convolution import Convolution
from fsar_lab.models.priors.fsar import FSAR
from fsar_lab.models.reduced import reduced
from fsar_lab.tables import latents

STATISTICS_SYMBOLS = 1 << 24  # latents in which contexts are counted, at most: 65,536 images of 256
STATISTICS_REPEATS = 2  # of every training image, at most: with another crop or flip
VALIDATION_SAMPLES = 1 << 22  # sub-pixels that are coded for the figures, at most: 1,365 images of 32x32


def make_bundle(
    config: TrainConfig, compressor: Compressor, dataset: Dataset, facts: dict[str, Any]
) -> CodecModel:
    """The integer model of a trained compressor, with its figures on validation images among its facts.

    Args:
        config: of the run. compressor: trained. dataset: its data.
        facts: plain data about the training.

    Raises:
        ExportError: something has no exact integer counterpart.
    """
    calibration = sample_images(dataset, config.callbacks.coding.calibration_images, config.seed + 1)
    statistics = sample_images(dataset, _statistics_images(config, dataset), config.seed + 2)
    facts = {
        **facts,
        "data": dataset.describe(),
        "architecture": {
            part: str(getattr(config, part)._target_).rpartition(".")[2]
            for part in ("backbone", "quantizer", "prior", "coder")
        },
    }
    model = export(compressor, calibration, facts, statistics)
    _, height, width = dataset.shape
    validation = first_images(dataset, max(1, VALIDATION_SAMPLES // (3 * height * width)))
    figures = validation_figures(compressor, model, validation.permute(0, 2, 3, 1).contiguous().numpy())
    return replace(model, facts={**model.facts, "validation": figures})


def _statistics_images(config: TrainConfig, dataset: Dataset) -> int:
    _, height, width = dataset.shape
    symbols = 3 * height * width
    if isinstance(config.quantizer, VectorQuantizerConfig):
        symbols = config.quantizer.groups * (height * width >> 2 * config.backbone.downsamples)
    return max(1, min(STATISTICS_SYMBOLS // max(1, symbols), STATISTICS_REPEATS * len(dataset.train)))


def validation_figures(
    compressor: Compressor, model: CodecModel, images: NDArray[np.uint8]
) -> dict[str, float | int]:
    """What the integer model costs beside the float model, uint8 images [N, H, W, 3].

    `bpd` is from bytes, with all headers; the losses compare the bits of latents and pixels alone.
    """
    codec = Codec(model)
    encoded = codec.encode_parts(images)
    latent, pixel = float_bits(compressor, images)
    figures: dict[str, float | int] = {
        "images": len(images),
        "bpd": encoded.bpd,
        "bpd_float_estimated": (latent + pixel) / images.size,
        "integer_loss_percent": 100 * ((encoded.latents + encoded.pixels) / (latent + pixel) - 1),
        "tables": model.prior.tables if model.prior else 0,
        "table_bytes": codec.table_bytes,
    }
    compressor = reduced(compressor)
    if isinstance(compressor.prior, FSAR | CodeFreq):
        figures["latent_table_loss_percent"] = latent_table_loss(compressor, codec, images)
    if isinstance(compressor.prior, Convolution):
        figures["latent_table_loss_percent"] = latent_integer_loss(compressor, codec, images)
    return figures


def latent_table_loss(compressor: Compressor, codec: Codec, images: NDArray[np.uint8]) -> float:
    """Bits, in per cent, that the few tables cost more than the trained prior says about the same indices."""
    tables = codec.model.prior
    assert isinstance(tables, PriorTables)
    indices = codec.analyse(images)
    size = tables.codebook_size
    contexts = latents.contexts_of(indices, tables.offsets, size, tables.classes, tables.class_counts)
    own = latents.code_length(tables.counts, tables.context_map.reshape(-1)[contexts], indices)
    return 100 * (own / estimated_latent_bits(compressor, indices) - 1)


def latent_integer_loss(compressor: Compressor, codec: Codec, images: NDArray[np.uint8]) -> float:
    """Bits, in per cent, that coding costs more than the float prior says about the same indices."""
    indices, encoder = codec.analyse(images), Encoder(len(images))
    start = encoder.information()
    assert codec.latent_coder is not None
    codec.latent_coder.push(encoder, indices)
    return 100 * ((encoder.information() - start) / estimated_latent_bits(compressor, indices) - 1)


def export_run(run_dir: Path, out: Path | None = None) -> Path:
    """Write the bundle of a run, finished or not; returns its path, by default the run's own.

    Raises:
        ConfigError: no run there. FsarError: not trained far enough, or its files do not fit.
    """
    config = run_files.load_config(run_dir)
    dataset = build(config.dataset)
    facts = {"name": config.name, **run_files.training_facts(run_dir)}
    if (run_dir / run_files.WEIGHTS).is_file():
        compressor = run_files.load_compressor(run_dir)
    else:
        compressor = checkpointed_compressor(config, run_dir, dataset)
        facts["unfinished"] = True
    path = out or run_dir / run_files.CODEC
    path.parent.mkdir(parents=True, exist_ok=True)
    make_bundle(config, compressor, dataset, facts).save(path)
    return path


def print_bundle(path: Path) -> None:
    """A small table about a bundle, read back from its file."""
    from rich.console import Console
    from rich.table import Table

    model = CodecModel.load(path)
    figures = model.facts["validation"]
    rows = {
        "file": str(path),
        "model id": model.id.hex(),
        "size": f"{path.stat().st_size:,} bytes",
        "tables": f"{figures['tables']:,} of the prior; all take {figures['table_bytes'] / 2**20:.1f} MiB",
        f"bpd, {figures['images']:,} validation images": f"{figures['bpd']:.4f}",
        "float model, estimated": f"{figures['bpd_float_estimated']:.4f}",
        "loss of the integers": f"{figures['integer_loss_percent']:+.3f} % of latents and pixels",
    }
    if "latent_table_loss_percent" in figures:
        rows["loss of the prior's tables"] = f"{figures['latent_table_loss_percent']:+.3f} % of latents"
    table = Table(show_header=False, box=None)
    for name, value in rows.items():
        table.add_row(name, value)
    Console(highlight=False).print(table)
