"""Where the figures of a run go: a CSV file in its directory, and Weights & Biases if it is switched on."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import fsar_lab._torchvision_guard  # noqa: F401  isort: skip

from lightning.pytorch.loggers import CSVLogger, Logger, WandbLogger
from lightning.pytorch.utilities import rank_zero_only

from fsar_lab.config.build import config_hash, to_plain
from fsar_lab.config.schema import TrainConfig
from fsar_lab.errors import ConfigError


def build_loggers(config: TrainConfig, run_dir: Path) -> list[Logger]:
    """The loggers of one run. Prefer `open_loggers`, which also closes them.

    Args:
        config: The whole configuration; it is logged as plain data.
        run_dir: Run directory; W&B writes to `run_dir/wandb`, the CSV logger to `run_dir/logs/version_<n>`
            (a resumed run begins a new version and so keeps the earlier figures).

    Returns:
        A CSVLogger, and before it a WandbLogger unless `config.logger.mode` is `none`.

    Raises:
        ConfigError: `config.logger.mode` is unknown.
    """
    mode = config.logger.mode
    if mode not in ("offline", "online", "none"):
        raise ConfigError(f"logger.mode={mode}: no such mode -> offline, online or none")
    loggers: list[Logger] = [CSVLogger(run_dir, name="logs", flush_logs_every_n_steps=1)]
    if mode != "none":
        loggers.insert(0, _wandb_logger(config, run_dir))
    return loggers


@contextmanager
def open_loggers(config: TrainConfig, run_dir: Path) -> Iterator[list[Logger]]:
    """`build_loggers` for the length of a `with` block; the W&B run is finished whatever happens inside.

    A W&B run left open would be taken over silently by the next run in the same process (a sweep), so one
    that is still open at the start is finished too.
    """
    run_dir.mkdir(parents=True, exist_ok=True)
    if config.logger.mode == "none":
        yield build_loggers(config, run_dir)
        return
    import wandb

    if wandb.run is not None:
        wandb.finish()
    exit_code = 1
    try:
        yield build_loggers(config, run_dir)
        exit_code = 0
    finally:
        wandb.finish(exit_code=exit_code)


def first_process() -> bool:
    """Whether this is the process of a training that writes and prints."""
    return int(getattr(rank_zero_only, "rank", 0) or 0) == 0


def wandb_logger(loggers: list[Logger]) -> WandbLogger | None:
    """The W&B logger among a trainer's loggers, if there is one."""
    return next((logger for logger in loggers if isinstance(logger, WandbLogger)), None)


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
    import wandb

    settings = config.logger
    online = settings.mode == "online"
    try:
        run = wandb.init(
            project=settings.project,
            entity=settings.entity,
            name=config.name,
            group=settings.group,
            tags=list(settings.tags),
            config=to_plain(config) | {"config_hash": config_hash(config)},
            dir=run_dir,
            mode="online" if online else "offline",
            settings=wandb.Settings(silent=not online, console="off", disable_code=True),
        )
    except wandb.errors.Error as error:
        reason = str(error).splitlines()[0]
        remedy = "`wandb login`, or logger=wandb_offline, or logger=none"
        raise ConfigError(f"logger.mode={settings.mode}: W&B did not start: {reason} -> {remedy}") from error
    run.define_metric("trainer/global_step")  # the x-axis that Lightning's logger fills
    run.define_metric("*", step_metric="trainer/global_step", step_sync=True)
    return run
