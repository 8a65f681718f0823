"""The average of the weights, where the training is."""

from __future__ import annotations

import fsar_lab._torchvision_guard  # noqa: F401  isort: skip

import torch
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import WeightAveraging

from fsar_lab.optim import ema_update


class Averaging(WeightAveraging):
    """Exponential moving average of all weights: what is validated, exported and coded with.

    Args:
        decay: see `fsar_lab.optim.ema_update`.
    """

    def __init__(self, decay: float) -> None:
        super().__init__(multi_avg_fn=ema_update(decay))

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Make the average on the device of the training.

        Lightning would take the module's, which is still the CPU: every step on a GPU would copy all weights.
        """
        self._device = trainer.strategy.root_device
        super().setup(trainer, pl_module, stage)
        if self._average_model is not None:
            self._average_model.n_averaged = torch.tensor(0)  # the host looks at it in every step
