"""The callbacks of a training run, from its configuration."""

from __future__ import annotations

from pathlib import Path

import fsar_lab._torchvision_guard  # noqa: F401  isort: skip

from lightning.pytorch import Callback
from torch import Tensor

from fsar_lab.callbacks.checkpoint import LastCheckpoint
from fsar_lab.callbacks.codebook_use import CodebookUse
from fsar_lab.callbacks.pictures import Pictures
from fsar_lab.callbacks.profile import StepProfile
from fsar_lab.callbacks.progress import TrainingProgress
from fsar_lab.callbacks.throughput import Throughput
from fsar_lab.config.schema import TrainConfig


def build_callbacks(config: TrainConfig, run_dir: Path, validation_images: Tensor) -> list[Callback]:
    """What watches and saves a training.

    Args:
        config: The whole configuration.
        run_dir: Run directory: checkpoints/, pictures/ and profile/ go below it.
        validation_images: uint8 [n, 3, H, W]; the first `callbacks.pictures.images` of them are drawn.

    Returns:
        A Throughput first; then, if switched on, progress, pictures and profile; the checkpoint last, which
        so holds what the others counted. Give the trainer `enable_progress_bar=False`.
    """
    settings, training = config.callbacks, config.trainer
    callbacks: list[Callback] = [Throughput()]
    if settings.progress:
        steps = -(-training.train_images // training.batch_size)
        callbacks.append(TrainingProgress(steps * training.batch_size, training.batch_size))
    if settings.pictures.enabled:
        callbacks.append(Pictures(validation_images[: settings.pictures.images], run_dir / "pictures"))
        callbacks.append(CodebookUse())
    if training.profile:
        callbacks.append(StepProfile(run_dir / "profile"))
    callbacks.append(LastCheckpoint(run_dir / "checkpoints", training.checkpoint_minutes))
    return callbacks
