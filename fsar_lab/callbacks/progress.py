"""How far the training is: a bar on a terminal, plain lines anywhere else."""

from __future__ import annotations

from time import monotonic
from typing import Any

import fsar_lab._torchvision_guard  # noqa: F401  isort: skip

from lightning.pytorch import Callback, LightningModule, Trainer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

LINE_SECONDS = 10.0  # plain lines come no faster than this …
LINE_SHARE = 0.05  # … then after this share of the training,
LINE_SECONDS_MOST = 60.0  # or at the latest after this time


class TrainingProgress(Callback):
    """Shows images done, estimated bpd and its parts, codebook use, speed, time left, last validation.

    Figures are read from the trainer's logged metrics, and only after a step that logged new ones: reading
    them on a GPU waits for it.

    Args:
        total_images: Images of the whole training.
        batch_size: Global batch size.
        console: Where to write; standard output by default. A bar is drawn only on a terminal.
    """

    def __init__(self, total_images: int, batch_size: int, console: Console | None = None) -> None:
        self.total_images = total_images
        self.batch_size = batch_size
        self.console = console or Console()
        self._bar: Progress | None = None
        self._task = TaskID(0)
        self._figures = ""
        self._validation = ""
        self._line_at = (0.0, 0)  # when the last line was written and how many images were done
        self._started = (0.0, 0)

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Begin to show; a resumed training starts where it stopped."""
        if not trainer.is_global_zero:
            return
        done = self._done(trainer)
        self._started = self._line_at = monotonic(), done
        if self.console.is_terminal:
            self._bar = _bar(self.console)
            self._task = self._bar.add_task("", total=self.total_images, completed=done, figures="")
            self._bar.start()
        else:
            self.console.print(f"training: {done:,} of {self.total_images:,} images done", highlight=False)

    def on_train_batch_start(
        self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Read new figures: those of the last step are complete only now."""
        if trainer.is_global_zero and trainer.global_step % trainer.log_every_n_steps == 0:  # type: ignore[attr-defined]
            self._figures = figures(_values(trainer, "train/"))

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Move the bar, or write a line if it is time for one."""
        if not trainer.is_global_zero:
            return
        done = self._done(trainer)
        if self._bar is not None:
            text = f"{self._figures}\n{self._validation}" if self._validation else self._figures
            self._bar.update(self._task, completed=done, figures=text)
            return
        waited, new = monotonic() - self._line_at[0], done - self._line_at[1]
        if waited >= LINE_SECONDS_MOST or (waited >= LINE_SECONDS and new >= LINE_SHARE * self.total_images):
            self._line(done)

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Show the validation that has just ended."""
        if not trainer.is_global_zero or trainer.sanity_checking:
            return
        values = _values(trainer, "val/")
        self._validation = "validation: " + figures(values) if values else ""
        if self._bar is None and self._validation:
            done = self._done(trainer)
            self.console.print(f"{done:>9,} images  {self._validation}", highlight=False, soft_wrap=True)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """The last line; the bar stays as it is."""
        if trainer.is_global_zero and self._bar is None:
            self._figures = figures(_values(trainer, "train/"))
            self._line(self._done(trainer))
        self._stop()

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """Give the terminal back."""
        self._stop()

    def _done(self, trainer: Trainer) -> int:
        return min(trainer.global_step * self.batch_size, self.total_images)

    def _line(self, done: int) -> None:
        now = monotonic()
        parts = [
            f"{done:>9,} of {self.total_images:,} images ({done / self.total_images:.0%})",
            self._figures,
        ]
        new, elapsed = done - self._started[1], now - self._started[0]
        if new > 0 and done < self.total_images:
            parts.append(f"{_duration(elapsed / new * (self.total_images - done))} left")
        self.console.print("  ".join(part for part in parts if part), highlight=False, soft_wrap=True)
        self._line_at = now, done

    def _stop(self) -> None:
        if self._bar is not None:
            self._bar.stop()
            self._bar = None


def figures(values: dict[str, float]) -> str:
    """One line of text from logged values without their `train/` or `val/`; what is missing is left out.

    >>> figures({"bpd_estimated": 4.5, "bpd_pixels_estimated": 3.9, "bpd_latents_estimated": 0.6})
    '4.500 bpd estimated (3.900 pixels + 0.600 latents)'
    """
    parts = []
    if "bpd_estimated" in values:
        text = f"{values['bpd_estimated']:.3f} bpd estimated"
        if "bpd_pixels_estimated" in values and "bpd_latents_estimated" in values:
            pixels, latents = values["bpd_pixels_estimated"], values["bpd_latents_estimated"]
            text += f" ({pixels:.3f} pixels + {latents:.3f} latents)"
        parts.append(text)
    for key, form in (
        ("perplexity", "perplexity {:.0f}"),
        ("dead_codes", "{:.0f} dead codes"),
        ("lr", "lr {:.1e}"),
        ("images_per_second", "{:,.0f} images/s"),
    ):
        if key in values:
            parts.append(form.format(values[key]))
    return "  ".join(parts)


def _values(trainer: Trainer, prefix: str) -> dict[str, float]:
    metrics = trainer.callback_metrics
    return {
        key.removeprefix(prefix): float(value) for key, value in metrics.items() if key.startswith(prefix)
    }


def _bar(console: Console) -> Progress:
    columns = (BarColumn(24), MofNCompleteColumn(), TextColumn("images"), TimeRemainingColumn())
    return Progress(
        *columns, TextColumn("left  {task.fields[figures]}"), console=console, refresh_per_second=4
    )


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
