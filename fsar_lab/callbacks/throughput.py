"""Training speed: images per second, and the share of time spent outside forward and backward."""

from __future__ import annotations

from dataclasses import dataclass, field
from time import perf_counter
from typing import Any

import fsar_lab._torchvision_guard  # noqa: F401  isort: skip

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor
from torch.utils.hooks import RemovableHandle

Mark = float | torch.cuda.Event


@dataclass
class _Window:
    """What happened between two loggings; spans are (start, end) of one forward or one backward."""

    images: int = 0
    seconds: float = 0.0
    spans: list[tuple[Mark, Mark]] = field(default_factory=list)


class Throughput(Callback):
    """Logs `train/images_per_second` and `train/share_outside`; keeps totals over resumptions.

    The forward pass is that of `pl_module.model`, the backward pass what happens between Lightning's
    backward hooks. Everything else between two training steps counts as outside: gathering the batch, the
    optimizer, clipping, metrics, logging, checkpoints. Validation is left out of all figures. On a GPU the
    spans are CUDA events that are read one window later, when they have passed: no step waits for them.

    Attributes:
        train_images: Images of all processes seen so far, those before a resumption included.
        train_seconds: Seconds in which they were seen.
    """

    def __init__(self) -> None:
        self.train_images = 0
        self.train_seconds = 0.0
        self._cuda = False
        self._last = 0.0
        self._open: Mark | None = None
        self._window = _Window()
        self._finished: _Window | None = None
        self._hooks: list[RemovableHandle] = []

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Begin to watch the model's forward pass."""
        self._cuda = pl_module.device.type == "cuda"
        self._window, self._finished, self._last = _Window(), None, perf_counter()
        model = pl_module.model
        assert isinstance(model, torch.nn.Module)
        self._hooks = [
            model.register_forward_pre_hook(lambda module, inputs: self._begin(module.training)),
            model.register_forward_hook(lambda module, inputs, output: self._end(module.training)),
        ]

    def on_before_backward(self, trainer: Trainer, pl_module: LightningModule, loss: Tensor) -> None:
        """Begin of the backward pass."""
        self._begin(True)

    def on_after_backward(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """End of the backward pass."""
        self._end(True)

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Tensor, batch_idx: int
    ) -> None:
        """Count the step; log every `log_every_n_steps` of the trainer."""
        now = perf_counter()
        images = len(batch) * trainer.world_size
        self.train_images += images
        self.train_seconds += now - self._last
        self._window.images += images
        self._window.seconds += now - self._last
        self._last = now
        if trainer.global_step % trainer.log_every_n_steps == 0:  # type: ignore[attr-defined]
            self._log(pl_module)

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Stop the clock."""
        if not self._hooks:  # the check before the training, or a validation on its own
            return
        elapsed = perf_counter() - self._last
        self.train_seconds += elapsed
        self._window.seconds += elapsed

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Go on with the clock."""
        self._last = perf_counter()

    def teardown(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Stop watching the model."""
        for hook in self._hooks:
            hook.remove()
        self._hooks = []

    def state_dict(self) -> dict[str, Any]:
        """The totals."""
        return {"train_images": self.train_images, "train_seconds": self.train_seconds}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from the totals of a checkpoint."""
        self.train_images = int(state_dict["train_images"])
        self.train_seconds = float(state_dict["train_seconds"])

    def _begin(self, training: bool) -> None:
        if training:
            self._open = self._mark()

    def _end(self, training: bool) -> None:
        if training and self._open is not None:
            self._window.spans.append((self._open, self._mark()))
            self._open = None

    def _mark(self) -> Mark:
        if not self._cuda:
            return perf_counter()
        event = torch.cuda.Event(enable_timing=True)  # type: ignore[no-untyped-call]
        event.record()
        return event

    def _log(self, pl_module: LightningModule) -> None:
        """Log the window that ends now, or on a GPU the last one whose events have all passed."""
        window, self._window = self._window, _Window()
        pl_module.log("train/images_per_second", window.images / window.seconds, rank_zero_only=True)
        if self._cuda:
            window, self._finished = self._finished, window  # type: ignore[assignment]
        inside = None if window is None else _seconds(window.spans)
        if inside is not None:
            share = max(0.0, 1.0 - inside / window.seconds)
            pl_module.log("train/share_outside", share, rank_zero_only=True)


def _seconds(spans: list[tuple[Mark, Mark]]) -> float | None:
    """Sum of the spans in seconds; None if there is none or the device has not reached the last one's end."""
    total = 0.0
    for start, end in reversed(spans):
        if isinstance(start, torch.cuda.Event) and isinstance(end, torch.cuda.Event):
            if not end.query():  # type: ignore[no-untyped-call]
                return None
            total += start.elapsed_time(end) / 1e3
        else:
            assert isinstance(start, float) and isinstance(end, float)
            total += end - start
    return total if spans else None
