"""How evenly a codebook's vectors are used, as a distribution over the codes."""

from __future__ import annotations

import fsar_lab._torchvision_guard  # noqa: F401  isort: skip

from lightning.pytorch import Callback, LightningModule, Trainer

from fsar_lab.loggers import log_histogram
from fsar_lab.metrics import CodebookUsage


class CodebookUse(Callback):
    """Logs `val/codebook_use` at every validation to the loggers that take distributions (not to CSV).

    Each code of each group counts once, with its share of the group's codes times their number K: 0 is a dead
    code, and all are 1 if all are used alike. Of several processes the first one's images are counted.
    """

    def on_validation_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Log what the module has counted; its own hook, which begins anew, comes after the callbacks'."""
        usage = getattr(getattr(pl_module, "val_figures", None), "usage", None)  # None: no codebooks
        if trainer.sanity_checking or not trainer.is_global_zero or not isinstance(usage, CodebookUsage):
            return
        counts = usage.histogram.double().cpu().numpy()
        shares = counts / counts.sum(1, keepdims=True).clip(1.0)
        log_histogram(trainer.loggers, "val/codebook_use", shares * counts.shape[1], trainer.global_step)
