"""A profile of some training steps, for looking at what a step spends its time on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import fsar_lab._torchvision_guard  # noqa: F401  isort: skip

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from torch.profiler import ProfilerActivity, profile, schedule

WAIT, WARM_UP, STEPS = 5, 3, 20  # steps skipped, warmed up and recorded
ROWS = 40  # operators in the table


class StepProfile(Callback):
    """Writes `table.txt` (operators by time) and `trace.json` (Chrome, Perfetto) once, early in training.

    A training that ends before all steps are recorded writes those it has.

    Args:
        folder: Where the two files go; made if missing.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._profiler: profile | None = None

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Start to record, on the first process only."""
        if not trainer.is_global_zero:
            return
        activities = [ProfilerActivity.CPU]
        if torch.cuda.is_available():
            activities.append(ProfilerActivity.CUDA)
        steps = schedule(wait=WAIT, warmup=WARM_UP, active=STEPS, repeat=1)
        self._profiler = profile(activities=activities, schedule=steps, on_trace_ready=self._write)
        self._profiler.start()

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Tell the profiler that a step is over."""
        if self._profiler is not None:
            self._profiler.step()

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Write what is recorded if that has not happened yet."""
        self._stop()

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """Stop recording; an open profiler would slow down the next run in this process."""
        self._stop()

    def _stop(self) -> None:
        if self._profiler is not None:
            profiler, self._profiler = self._profiler, None
            profiler.stop()

    def _write(self, profiler: profile) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        order = "self_cuda_time_total" if torch.cuda.is_available() else "self_cpu_time_total"
        table = profiler.key_averages().table(sort_by=order, row_limit=ROWS)
        (self.folder / "table.txt").write_text(table, encoding="utf-8")
        profiler.export_chrome_trace(str(self.folder / "trace.json"))
