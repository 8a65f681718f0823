"""The one LightningModule: how a compressor is trained and what is logged."""

from __future__ import annotations

from typing import Any

import fsar_lab._torchvision_guard  # noqa: F401  isort: skip

import lightning
import torch
from lightning.pytorch.utilities.types import OptimizerLRScheduler
from torch import Tensor, nn

from fsar_lab.config.build import build, to_plain
from fsar_lab.config.schema import CausalNetConfig, TrainConfig
from fsar_lab.data.stream import unrelated_seed
from fsar_lab.errors import TrainingError
from fsar_lab.metrics import BitsPerDimension, CodebookUsage
from fsar_lab.models.build import build_compressor
from fsar_lab.models.compressor import Compressor, Output

FINITE_CHECK_STEPS = 25  # the loss is looked at on the host only this often


class Figures(nn.Module):
    """What one stage (training or validation) has cost since it was last asked."""

    def __init__(self, model: Compressor) -> None:
        super().__init__()
        self.pixels, self.latents = BitsPerDimension(), BitsPerDimension()
        books = model.codebooks
        self.usage = CodebookUsage(books.groups, books.codebook_size) if books else None

    def update(self, output: Output, sub_pixels: int) -> None:
        """Add one batch, without waiting for the device."""
        self.pixels.update(output.pixel_nats, sub_pixels)
        self.latents.update(output.latent_nats, sub_pixels)
        if self.usage:
            self.usage.update(output.indices)

    def take(self) -> dict[str, Tensor]:
        """The figures, summed over processes; starts anew."""
        pixels, latents = self.pixels.compute(), self.latents.compute()
        figures = {
            "bpd_estimated": pixels + latents,
            "bpd_pixels_estimated": pixels,
            "bpd_latents_estimated": latents,
        }
        self.pixels.reset()
        self.latents.reset()
        if self.usage:
            usage = self.usage.compute()
            figures |= {key: usage[key] for key in ("perplexity", "dead_codes")}
            self.usage.reset()
        return figures


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
        if config.start.run is not None:
            self.model.freeze(config.start.freeze)
        self.register_buffer("first_bad_step", torch.tensor(-1.0), persistent=False)
        self._encoder_output: Tensor | None = None
        # Every process has its own images' code counts and losses; DDP would overwrite them with rank 0's.
        self._ddp_params_and_buffers_to_ignore = ["model.quantizer.usage", "first_bad_step"]
        self.train_figures, self.val_figures = Figures(self.model), Figures(self.model)

    def configure_optimizers(self) -> OptimizerLRScheduler:
        """One optimizer over everything, its schedule stepped after every batch."""
        optimizer = build(self.config.optimizer, parameters=self._parameter_groups())
        scheduler = build(self.config.schedule, optimizer=optimizer, steps=self.steps)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}

    def _parameter_groups(self) -> list[dict[str, Any]]:
        """What is trained; a coder that has learned already apart, with its share of the learning rate."""
        coder = self.config.coder
        share = coder.lr_share if isinstance(coder, CausalNetConfig) else 1.0
        apart = set(self.model.coder.parameters()) if share != 1 else set()
        trained = [weight for weight in self.model.parameters() if weight.requires_grad]
        groups = [
            {"params": [weight for weight in trained if weight not in apart]},
            {
                "params": [weight for weight in trained if weight in apart],
                "lr": self.config.optimizer.lr * share,
            },
        ]
        return [group for group in groups if group["params"]]

    def training_step(self, batch: Tensor, batch_idx: int) -> Tensor:
        """Loss of one batch, nats per sub-pixel."""
        # All random numbers of a step follow from seed, step and rank, so that a resumed training goes on
        # as if it had never stopped, and the ranks draw different ones.
        self._seed(unrelated_seed(self.config.seed, f"noise/{self.global_rank}", self.global_step))
        self.model.on_step(self.global_step, self.steps)
        output: Output = self.model(batch)
        if self.model.codebooks:
            assert output.y is not None
            self._encoder_output = output.y.detach()
            self.model.codebooks.count_usage(output.indices)
        self._remember_bad(output.loss.detach())
        self.train_figures.update(output, batch.numel())
        return output.loss

    def _seed(self, seed: int) -> None:
        """Seed the generator in use; torch.manual_seed would also queue a call for every absent GPU."""
        if self.device.type == "cuda":
            torch.cuda.manual_seed(seed)
        else:
            torch.default_generator.manual_seed(seed)

    def optimizer_step(self, *args: Any, **kwargs: Any) -> None:
        """Update the weights; early in training restart dead codes, before a checkpoint can be written."""
        super().optimizer_step(*args, **kwargs)
        step = self.global_step + 1  # counted only after this hook
        if (books := self.model.codebooks) is None or "quantizer" in self.model.frozen:
            return
        if step % books.restart.every_steps == 0 and step < books.restart.until * self.steps:
            assert self._encoder_output is not None
            books.restart_dead(self._encoder_output)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Keep the counts of which codes are used: no model needs them, a resumed training does.

        Raises:
            TrainingError: the weights are not finite; the earlier checkpoint stays.
        """
        self._stop_if_bad()
        if not all(bool(weight.isfinite().all()) for weight in self.model.parameters()):
            raise TrainingError(_not_finite("the weights", self.global_step, self.steps))
        if self.model.codebooks:
            checkpoint["codebook_usage"] = self.model.codebooks.usage.clone()

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Go on counting which codes are used."""
        if self.model.codebooks:
            self.model.codebooks.usage.copy_(checkpoint["codebook_usage"])

    def on_train_batch_end(self, outputs: Any, batch: Tensor, batch_idx: int) -> None:
        """Look at the loss and log now and then."""
        step = self.global_step
        if step % FINITE_CHECK_STEPS == 0 or step == self.steps:
            self._stop_if_bad()
        if step % self.trainer.log_every_n_steps == 0 or step == self.steps:  # type: ignore[attr-defined]
            self._log("train/", self.train_figures)
            self.log("train/lr", self.trainer.optimizers[0].param_groups[0]["lr"])

    def validation_step(self, batch: Tensor, batch_idx: int) -> None:
        """Accumulate code lengths over the validation images."""
        self.val_figures.update(self.model(batch), batch.numel())

    def on_validation_epoch_end(self) -> None:
        """Log bits per dimension and codebook use."""
        self._log("val/", self.val_figures)

    def _remember_bad(self, loss: Tensor) -> None:
        """Keep the first step with a non-finite loss on the device: no host synchronisation."""
        step = torch.full_like(self.first_bad_step, float(self.global_step))
        bad = ~torch.isfinite(loss) & (self.first_bad_step < 0)
        self.first_bad_step.copy_(torch.where(bad, step, self.first_bad_step))

    def _stop_if_bad(self) -> None:
        """End the training if a loss was not finite.

        All processes must come to the same conclusion, or those left over would wait for ever.
        """
        bad = int(self.trainer.strategy.reduce(self.first_bad_step.clone(), reduce_op="max").item())
        if bad >= 0:
            raise TrainingError(_not_finite("the loss", bad, self.steps))

    def _log(self, prefix: str, figures: Figures) -> None:
        self.log_dict({prefix + key: value for key, value in figures.take().items()}, rank_zero_only=True)


def _not_finite(what: str, step: int, steps: int) -> str:
    return (
        f"{what} stopped being finite at step {step} of {steps}; try a lower optimizer.lr, "
        "trainer.gradient_clip=1, or trainer.detect_anomaly=true to find the operation"
    )
