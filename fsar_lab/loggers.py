"""Where the figures of a run go: a CSV file in its directory, and W&B and TensorBoard if switched on."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import fsar_lab._torchvision_guard  # noqa: F401  isort: skip

import numpy as np
from lightning.pytorch.loggers import CSVLogger, Logger, TensorBoardLogger, WandbLogger
from lightning.pytorch.utilities import rank_zero_only
from numpy.typing import NDArray

from fsar_lab import wandb_run
from fsar_lab.config.build import config_hash, plain_hash, to_plain
from fsar_lab.config.schema import TrainConfig
from fsar_lab.errors import ConfigError


def build_loggers(config: TrainConfig, run_dir: Path) -> list[Logger]:
    """The loggers of one run. Prefer `open_loggers`, which also closes them.

    Args:
        config: The whole configuration; it is logged as plain data.
        run_dir: Run directory; W&B writes to `run_dir/wandb`, TensorBoard to `run_dir/tensorboard`, the CSV
            logger to `run_dir/logs/version_<n>` (a resumed run begins a new version and so keeps the
            earlier figures).

    Returns:
        A CSVLogger last; before it a WandbLogger unless `config.logger.mode` is `none`, and a
        TensorBoardLogger if `config.logger.tensorboard`.

    Raises:
        ConfigError: `config.logger.mode` is unknown.
    """
    mode = config.logger.mode
    if mode not in ("offline", "online", "none"):
        raise ConfigError(f"logger.mode={mode}: no such mode -> offline, online or none")
    loggers: list[Logger] = []
    if mode != "none":
        loggers.append(_wandb_logger(config, run_dir))
    if config.logger.tensorboard:  # one folder for all attempts: TensorBoard joins the curves of its files
        loggers.append(TensorBoardLogger(run_dir, name="tensorboard", version="", default_hp_metric=False))
    return [*loggers, CSVLogger(run_dir, name="logs", flush_logs_every_n_steps=1)]


@contextmanager
def open_loggers(config: TrainConfig, run_dir: Path) -> Iterator[list[Logger]]:
    """`build_loggers` for the length of a `with` block; all are closed whatever happens inside.

    See `wandb_run.finished` for the run of W&B, one for each job of a sweep.
    """
    run_dir.mkdir(parents=True, exist_ok=True)
    with wandb_run.finished() if config.logger.mode != "none" else nullcontext():
        loggers = build_loggers(config, run_dir)
        try:
            yield loggers
        finally:
            for logger in loggers:
                if isinstance(logger, TensorBoardLogger):  # it writes what it still holds
                    logger.finalize("finished")


def first_process() -> bool:
    """Whether this is the process of a training that writes and prints."""
    return int(getattr(rank_zero_only, "rank", 0) or 0) == 0


def log_picture(loggers: Iterable[Logger], key: str, picture: NDArray[np.uint8], step: int) -> None:
    """Send a picture, uint8 [height, width, 3], to the loggers that take pictures."""
    for logger in loggers:
        if isinstance(logger, WandbLogger):
            logger.log_image(key, [picture], step=step)
        elif isinstance(logger, TensorBoardLogger):
            logger.experiment.add_image(key, picture, step, dataformats="HWC")


def log_histogram(loggers: Iterable[Logger], key: str, values: NDArray[np.float64], step: int) -> None:
    """Send the distribution of `values` (any shape) to the loggers that take distributions."""
    for logger in loggers:
        if isinstance(logger, WandbLogger):
            import wandb

            logger.log_metrics({key: wandb.Histogram(values.ravel().tolist())}, step=step)  # type: ignore[dict-item]
        elif isinstance(logger, TensorBoardLogger):
            logger.experiment.add_histogram(key, values, step)


def quiet_console() -> None:
    """Keep Lightning's banners, tips and advice about workers off the terminal; errors stay."""
    for name in ("lightning.pytorch", "lightning.fabric"):
        logging.getLogger(name).setLevel(logging.WARNING)
    for message in (
        r".*does not have many workers.*",
        r".*recommended to use `self\.log\(.*sync_dist=True.*",  # metrics are summed over processes already
        r".*`Trainer\.fit` stopped.*",
        r".*Checkpoint directory .* exists and is not empty.*",
        r".*The number of training batches .* is smaller than the logging interval.*",
        r".*`isinstance\(treespec, LeafSpec\)` is deprecated.*",
        r".*in eval mode at the start of training.*",  # parts that are frozen
        r".*The `srun` command is available on your system but is not used.*",  # where SLURM is installed
    ):
        warnings.filterwarnings("ignore", message=message)


def _wandb_logger(config: TrainConfig, run_dir: Path) -> WandbLogger:
    return WandbLogger(
        save_dir=run_dir, project=config.logger.project, experiment=_start_wandb_run(config, run_dir)
    )


@rank_zero_only
def _start_wandb_run(config: TrainConfig, run_dir: Path) -> Any:
    """Start the run here, not in Lightning: its own offline switch sets WANDB_MODE for the whole process.

    A resumed run is a new W&B run, since the offline files of one id cannot be continued.

    Raises:
        ConfigError: W&B refuses, for want of a key or of a network.
    """
    plain = to_plain(config)
    # By the second hash the seeds of an experiment are put together.
    about = plain | {"config_hash": config_hash(config), "experiment_hash": plain_hash(plain | {"seed": 0})}
    run = wandb_run.start(config.logger, run_dir, name=config.name, config=about)
    run.define_metric("trainer/global_step")  # the x-axis that Lightning's logger fills
    run.define_metric("*", step_metric="trainer/global_step", step_sync=True)
    return run
