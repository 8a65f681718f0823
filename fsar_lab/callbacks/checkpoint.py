"""The one checkpoint of a run, from which an interrupted training goes on."""

from __future__ import annotations

import os
from pathlib import Path
from time import monotonic
from typing import Any

import fsar_lab._torchvision_guard  # noqa: F401  isort: skip

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Checkpoint

# With several processes the first one decides, and telling the others makes them wait for each other.
SHARED_CLOCK_STEPS = 32


class LastCheckpoint(Checkpoint):
    """Writes `last.ckpt` every `minutes` and at the end of training, always under the same name.

    Lightning's ModelCheckpoint is not used because, when it saves by time, it skips the end of training,
    and because its temporary file may lie on another file system, where renaming is not atomic.

    Args:
        folder: Where `last.ckpt` goes; made if missing.
        minutes: Least time between two checkpoints; 0 writes one after every step.
    """

    def __init__(self, folder: Path, minutes: float) -> None:
        self.path = folder / "last.ckpt"
        self._seconds = 60.0 * minutes
        self._saved_at = 0.0
        self._saved_step = -1

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Start the clock."""
        self._saved_at = monotonic()
        self._saved_step = trainer.global_step

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Write the checkpoint if it is time."""
        if trainer.world_size > 1 and trainer.global_step % SHARED_CLOCK_STEPS:
            return
        if trainer.strategy.broadcast(monotonic() - self._saved_at >= self._seconds):
            self._save(trainer)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Write the final checkpoint."""
        if trainer.global_step != self._saved_step:
            self._save(trainer)

    def _save(self, trainer: Trainer) -> None:
        """Write to a name beside the final one, then rename: a kill leaves the old checkpoint or the new."""
        unfinished = self.path.with_suffix(".tmp")
        if trainer.is_global_zero:
            self.path.parent.mkdir(parents=True, exist_ok=True)
        trainer.save_checkpoint(unfinished, weights_only=False)  # optimizer and callbacks too
        if trainer.is_global_zero:
            with unfinished.open("rb") as file:
                os.fsync(file.fileno())
            os.replace(unfinished, self.path)
        self._saved_at, self._saved_step = monotonic(), trainer.global_step
