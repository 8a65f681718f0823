"""Training: from a configuration to a trained compressor, resuming what was begun."""

from __future__ import annotations

import ctypes
import dataclasses
import math
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from fsar_lab import _torchvision_guard  # noqa: F401  isort: skip

import lightning
import torch
from lightning.pytorch.loggers import Logger
from torch import Tensor
from torch.utils.data import DataLoader

from fsar_lab.callbacks.averaging import Averaging
from fsar_lab.callbacks.build import build_callbacks
from fsar_lab.callbacks.throughput import Throughput
from fsar_lab.config.schema import ContextConfig, TrainConfig
from fsar_lab.data.dataset import Dataset
from fsar_lab.data.stream import Batches, TrainStream
from fsar_lab.errors import InterruptedTrainingError, TrainingError
from fsar_lab.lit import Lit
from fsar_lab.models.build import build_compressor
from fsar_lab.models.compressor import Compressor
from fsar_lab.run_files import CHECKPOINT, load_compressor, load_parts, save_weights, training_facts

VALIDATION_BATCH = 250
NORMALISATION_IMAGES = 4096  # seen again at the end to set the batch-norm statistics of the average


@dataclasses.dataclass
class Fitted:
    """A trained compressor (evaluation mode, CPU); `facts`: images, seconds and threads of the training."""

    compressor: Compressor
    facts: dict[str, Any]
    is_global_zero: bool = True


def fit(config: TrainConfig, run_dir: Path, dataset: Dataset, loggers: list[Logger]) -> Fitted:
    """Train the model of `config`, go on with its checkpoint, or take it from `run_dir` if it is finished.

    Raises:
        TrainingError: the loss is not finite, memory ran out, the checkpoint does not fit, or Ctrl-C.
    """
    training = config.trainer
    if facts := training_facts(run_dir):
        return Fitted(load_compressor(run_dir), facts)
    checkpoint = run_dir / CHECKPOINT
    resume = checkpoint if checkpoint.is_file() else None
    steps = total_steps(config)
    lightning.seed_everything(config.seed, verbose=False)
    if training.threads:
        torch.set_num_threads(training.threads)
    keep_freed_memory()
    if isinstance(config.coder, ContextConfig):
        return without_training(config, run_dir, dataset)
    lit = Lit(config, steps, None if resume else start_images(config, dataset))
    if config.start.run is not None and not resume:
        load_parts(lit.model, Path(config.start.run), config.start.load)
    callbacks = build_callbacks(config, run_dir, first_images(dataset, config.callbacks.pictures.images))
    averaging = Averaging(training.ema_decay)
    if training.ema_decay:
        callbacks.append(averaging)
    trainer = lightning.Trainer(
        default_root_dir=run_dir,
        accelerator=training.accelerator,
        devices=training.devices,
        max_steps=steps,
        val_check_interval=max(1, math.ceil(steps * training.validate_every)),
        check_val_every_n_epoch=None,
        num_sanity_val_steps=0,
        log_every_n_steps=max(1, min(50, steps // 10)),
        gradient_clip_val=training.gradient_clip or None,
        deterministic=training.deterministic,
        detect_anomaly=training.detect_anomaly,
        use_distributed_sampler=False,  # the streams divide themselves over the ranks
        enable_progress_bar=False,
        enable_model_summary=False,
        enable_checkpointing=True,
        callbacks=callbacks,
        logger=loggers,
    )
    data = _Data(config, dataset, steps)
    try:
        with memory_remedy(config), checkpoint_remedy(resume):
            trainer.fit(lit, datamodule=data, ckpt_path=resume, weights_only=True)
    except SystemExit:  # Lightning's way to end after Ctrl-C
        if not trainer.interrupted:
            raise
        said = f"interrupted at step {trainer.global_step} of {steps}"
        raise InterruptedTrainingError(f"{said}; the same command goes on from the last checkpoint") from None
    if training.ema_decay:
        averaging.on_train_end(trainer, lit)  # not called if the checkpoint was of the last step already
    compressor = lit.model.cpu()
    if training.ema_decay and "backbone" not in compressor.frozen:
        settle_normalisation(compressor, data.stream(0))
    throughput = next(callback for callback in callbacks if isinstance(callback, Throughput))
    facts = {
        "train_images": throughput.train_images,
        "train_seconds": round(throughput.train_seconds, 3),
        "train_threads": torch.get_num_threads(),
    }
    if (share := trainer.callback_metrics.get("train/share_outside")) is not None:
        facts["train_share_outside"] = round(float(share), 4)  # of forward and backward, last steps
    if trainer.is_global_zero:
        save_weights(run_dir, compressor, facts)
    return Fitted(compressor.eval(), facts, trainer.is_global_zero)


def without_training(config: TrainConfig, run_dir: Path, dataset: Dataset) -> Fitted:
    """The model of a coder that is fitted to training images and has nothing to train by gradients."""
    compressor, images = build_compressor(config), start_images(config, dataset)
    assert images is not None
    began = time.perf_counter()
    compressor.initialise(images)
    facts = {
        "train_images": len(images),
        "train_seconds": round(time.perf_counter() - began, 3),
        "train_threads": torch.get_num_threads(),
    }
    save_weights(run_dir, compressor, facts)
    return Fitted(compressor.eval(), facts)


def checkpointed_compressor(config: TrainConfig, run_dir: Path, dataset: Dataset) -> Compressor:
    """The model of an unfinished run as its last checkpoint has it, in evaluation mode on the CPU.

    Raises:
        TrainingError: there is no checkpoint yet, or it belongs to another version.
    """
    path = run_dir / CHECKPOINT
    if not path.is_file():
        raise TrainingError(f"{run_dir}: no checkpoint yet -> wait for the first, or train to the end")
    # With weight averaging this is the average; the weights that are trained stand elsewhere in the file.
    state = torch.load(path, map_location="cpu", weights_only=True)["state_dict"]
    prefix = "model."
    compressor = build_compressor(config)
    with checkpoint_remedy(path):
        compressor.load_state_dict(
            {k.removeprefix(prefix): v for k, v in state.items() if k.startswith(prefix)}
        )
    if config.trainer.ema_decay and not (config.start.run and "backbone" in config.start.freeze):
        settle_normalisation(compressor, _Data(config, dataset, total_steps(config)).stream(0))
    return compressor.eval()


def total_steps(config: TrainConfig) -> int:
    """Optimizer steps that show `trainer.train_images` images (at least one)."""
    return max(1, math.ceil(config.trainer.train_images / config.trainer.batch_size))


def first_images(dataset: Dataset, count: int) -> Tensor:
    """Up to `count` validation images, uint8 [n, 3, H, W]."""
    return dataset.validation.batch(torch.arange(min(count, len(dataset.validation))))


def start_images(config: TrainConfig, dataset: Dataset) -> Tensor | None:
    """Training images, uint8 [n, 3, H, W], from which the coder's starting values are fitted, if they are."""
    count = getattr(config.coder, "fit_images", 2048)
    return sample_images(dataset, count, config.seed) if count else None


def sample_images(dataset: Dataset, count: int, seed: int) -> Tensor:
    """`count` training images drawn at random, uint8 [count, 3, H, W]; the same for the same seed."""
    generator = torch.Generator().manual_seed(seed)
    indices = torch.randint(len(dataset.train), (count,), generator=generator)
    return dataset.train.batch(indices, generator)


class _Data(lightning.LightningDataModule):
    """Streams of whole batches, already gathered: the loader only passes them on."""

    def __init__(self, config: TrainConfig, dataset: Dataset, steps: int) -> None:
        super().__init__()
        self.config, self.dataset, self.steps = config, dataset, steps

    def stream(self, start_step: int, rank: int = 0, world_size: int = 1) -> TrainStream:
        """Training batches from `start_step` on."""
        training = self.config.trainer
        return TrainStream(
            self.dataset.train,
            training.batch_size,
            self.steps,
            self.config.seed,
            rank,
            world_size,
            start_step,
            training.overfit_batches,
        )

    def train_dataloader(self) -> DataLoader[Tensor]:
        """From the step that the trainer has reached: a resumed training sees the images it has not seen."""
        assert self.trainer is not None
        stream = self.stream(self.trainer.global_step, self.trainer.global_rank, self.trainer.world_size)
        return self._loader(iter(stream))  # no length: a resumed trainer would take it for an epoch's

    def transfer_batch_to_device(self, batch: Tensor, device: torch.device, dataloader_idx: int) -> Tensor:
        """To a GPU through pinned memory: only then does the host not wait for the copy."""
        if device.type == "cuda":
            batch = batch.pin_memory()
        return batch.to(device, non_blocking=True)

    def val_dataloader(self) -> DataLoader[Tensor]:
        """Validation images, divided over the ranks."""
        assert self.trainer is not None
        rank, ranks = self.trainer.global_rank, self.trainer.world_size
        return self._loader(Batches(self.dataset.validation, VALIDATION_BATCH, rank, ranks))

    @staticmethod
    def _loader(batches: Any) -> DataLoader[Tensor]:
        return batches  # type: ignore[no-any-return]  # any iterable will do


@torch.no_grad()
def settle_normalisation(compressor: Compressor, stream: TrainStream) -> None:
    """Measure the batch-norm statistics that belong to the averaged weights.

    The running statistics followed the weights that were trained, not their average.
    """
    wanted = math.ceil(NORMALISATION_IMAGES / stream.batch_size)
    batches = (stream.batch(step) for step in range(min(stream.steps, wanted)))
    torch.optim.swa_utils.update_bn(batches, compressor)


def keep_freed_memory() -> None:
    """Tell glibc to keep freed memory: the step's large tensors are then not mapped anew every time.

    Worth a quarter of the step on a CPU. Elsewhere than on glibc this does nothing.
    """
    m_trim_threshold, m_mmap_threshold = -1, -3
    if sys.platform == "linux":
        try:
            libc = ctypes.CDLL("libc.so.6")
            libc.mallopt(m_mmap_threshold, 1 << 30)
            libc.mallopt(m_trim_threshold, (1 << 31) - 1)
        except (OSError, AttributeError):  # another C library
            return


@contextmanager
def checkpoint_remedy(checkpoint: Path | None) -> Iterator[None]:
    """Turn a checkpoint of another version's model into advice."""
    try:
        yield
    except RuntimeError as error:
        if checkpoint is None or "loading state_dict" not in str(error):
            raise
        raise TrainingError(
            f"{checkpoint} does not fit the model of this version -> trainer.resume=false starts anew"
        ) from error


@contextmanager
def memory_remedy(config: TrainConfig) -> Iterator[None]:
    """Turn running out of memory into advice."""
    try:
        yield
    except (torch.OutOfMemoryError, MemoryError, RuntimeError) as error:
        exhausted = isinstance(error, torch.OutOfMemoryError | MemoryError) or "allocate memory" in str(error)
        if not exhausted:
            raise
        half = max(1, config.trainer.batch_size // 2)
        raise TrainingError(
            f"out of memory; try trainer.batch_size={half} (now {config.trainer.batch_size}) "
            "or a smaller backbone"
        ) from error
