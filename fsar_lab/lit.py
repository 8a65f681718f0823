"""The one LightningModule: how a compressor is trained and what is logged."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from fsar_lab import _torchvision_guard  # noqa: F401  (before lightning)
import lightning  # isort: skip

from fsar_lab.config.build import build, to_plain
from fsar_lab.config.schema import TrainConfig
from fsar_lab.errors import TrainingError
from fsar_lab.metrics import BitsPerDimension, CodebookUsage
from fsar_lab.models.build import build_compressor
from fsar_lab.models.compressor import Output

FINITE_CHECK_STEPS = 25  # the loss is looked at on the host only this often


class Lit(lightning.LightningModule):
    """Trains a Compressor on uint8 batches [N, 3, H, W].

    Args:
        config: the whole experiment.
        steps: optimizer steps of the whole training; schedules and restarts are fractions of it.
        start: uint8 [n, 3, H, W] training images from which the coder starts; None when resuming.
    """

    first_bad_step: Tensor

    def __init__(self, config: TrainConfig, steps: int, start: Tensor | None = None) -> None:
        super().__init__()
        self.save_hyperparameters({"config": to_plain(config), "steps": steps}, ignore=["start"])
        self.config, self.steps = config, steps
        self.model = build_compressor(config)
        if start is not None:
            self.model.initialise(start)
        self.register_buffer("first_bad_step", torch.tensor(-1.0), persistent=False)
        self._encoder_output: Tensor | None = None
        self.parts = nn.ModuleDict()
        self.usage = nn.ModuleDict()
        groups, size = self.model.quantizer.groups, self.model.quantizer.codebook_size
        for stage in ("train_", "val_"):  # ModuleDict refuses the name "train"
            self.parts[stage] = nn.ModuleDict({part: BitsPerDimension() for part in ("pixels", "latents")})
            self.usage[stage] = CodebookUsage(groups, size)

    def configure_optimizers(self) -> dict[str, Any]:
        """One optimizer over everything, its schedule stepped after every batch."""
        optimizer = build(self.config.optimizer, parameters=self.model.parameters())
        scheduler = build(self.config.schedule, optimizer=optimizer, steps=self.steps)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}

    def training_step(self, batch: Tensor, batch_idx: int) -> Tensor:
        """Loss of one batch, nats per sub-pixel."""
        output: Output = self.model(batch)
        self._encoder_output = output.y.detach()
        self.model.quantizer.count_usage(output.indices)
        self._remember_bad(output.loss.detach())
        self._update("train_", output, batch)
        return output.loss

    def on_train_batch_end(self, outputs: Any, batch: Tensor, batch_idx: int) -> None:
        """Restart dead codes early in training; look at the loss and log now and then."""
        step = self.global_step
        restart = self.model.quantizer.restart
        if step % restart.every_steps == 0 and step < restart.until * self.steps:
            assert self._encoder_output is not None
            self.model.quantizer.restart_dead(self._encoder_output)
        if step % FINITE_CHECK_STEPS == 0 or step == self.steps:
            bad = int(self.first_bad_step.item())
            if bad >= 0:
                raise TrainingError(
                    f"the loss stopped being finite at step {bad} of {self.steps}; try a lower optimizer.lr, "
                    "trainer.gradient_clip=1, or trainer.detect_anomaly=true to find the operation"
                )
        if step % self.trainer.log_every_n_steps == 0 or step == self.steps:  # type: ignore[attr-defined]
            self._log("train_")
            self.log("train/lr", self.trainer.optimizers[0].param_groups[0]["lr"])

    def validation_step(self, batch: Tensor, batch_idx: int) -> None:
        """Accumulate code lengths over the validation images."""
        self._update("val_", self.model(batch), batch)

    def on_validation_epoch_end(self) -> None:
        """Log bits per dimension and codebook use."""
        self._log("val_")

    def _remember_bad(self, loss: Tensor) -> None:
        """Keep the first step with a non-finite loss on the device: no host synchronisation."""
        step = torch.full_like(self.first_bad_step, float(self.global_step))
        bad = ~torch.isfinite(loss) & (self.first_bad_step < 0)
        self.first_bad_step.copy_(torch.where(bad, step, self.first_bad_step))

    def _update(self, stage: str, output: Output, batch: Tensor) -> None:
        count = batch.numel()
        self.parts[stage]["pixels"].update(output.pixel_nats.detach().sum(), count)
        self.parts[stage]["latents"].update(output.latent_nats.detach().sum(), count)
        self.usage[stage].update(output.indices)

    def _log(self, stage: str) -> None:
        pixels, latents = (self.parts[stage][part].compute() for part in ("pixels", "latents"))
        usage = self.usage[stage].compute()
        prefix = stage.replace("_", "/")
        values = {
            "bpd_estimated": pixels + latents,
            "bpd_pixels_estimated": pixels,
            "bpd_latents_estimated": latents,
            "perplexity": usage["perplexity"],
            "dead_codes": usage["dead_codes"],
        }
        self.log_dict({prefix + key: value for key, value in values.items()}, rank_zero_only=True)
        for metric in (*self.parts[stage].values(), self.usage[stage]):
            metric.reset()

