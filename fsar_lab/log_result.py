"""What a finished run tells its loggers: the figures; to W&B also tables and the codec itself."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import fsar_lab._torchvision_guard  # noqa: F401  isort: skip

from lightning.pytorch.loggers import Logger, TensorBoardLogger, WandbLogger

from fsar_lab.callbacks.coding_speed import as_metrics
from fsar_lab.report import rows as content
from fsar_lab.report.markdown import comparison_markdown, parts_markdown
from fsar_lab.report.wandb_table import table
from fsar_lab.run_files import CODEC, RESULT


def log_result(loggers: Iterable[Logger], run_dir: Path, result: dict[str, Any], step: int) -> None:
    """Log a finished run's result.

    Args:
        loggers: All get the figures (W&B's summary has them from there), TensorBoard also the tables
            `test/comparison` and `test/parts` as text, W&B these as tables, and an artifact of type `model`
            that holds the codec and result.json, with the figures as its metadata.
        run_dir: Where the codec and result.json lie.
        result: The content of result.json.
        step: Optimizer steps of the whole training.
    """
    figures = final_figures(result)
    for logger in loggers:
        logger.log_metrics(figures, step=step)
        if isinstance(logger, WandbLogger):
            _tell_wandb(logger.experiment, run_dir, result)
        elif isinstance(logger, TensorBoardLogger):
            logger.experiment.add_text("test/comparison", comparison_markdown(result), step)
            logger.experiment.add_text("test/parts", parts_markdown(result), step)


def final_figures(result: Mapping[str, Any]) -> dict[str, float]:
    """The scalar figures as `test/...`, and those of the coding speed as `coding_speed/...`."""
    flat = {f"test/{key}": float(value) for key, value in result.items() if isinstance(value, int | float)}
    return flat | (as_metrics(dict(result)) if "coding_speed" in result else {})


def _tell_wandb(run: Any, run_dir: Path, result: dict[str, Any]) -> None:
    import wandb

    run.log(
        {
            "test/comparison": table(content.comparison_rows(result), content.COMPARISON),
            "test/parts": table(content.parts_rows(result), content.PARTS),
        }
    )
    about = {key: value for key, value in result.items() if isinstance(value, str | int | float)}
    name = re.sub(r"[^A-Za-z0-9_.-]+", "-", result["name"])[:100]  # what W&B takes, and not more than 128
    codec = wandb.Artifact(f"{name}-{result['config_hash']}", "model", metadata=about)
    for file in (CODEC, RESULT):
        # Immutable: W&B takes the files from the run directory, and makes no copies in the home directory.
        codec.add_file(str((run_dir / file).resolve()), policy="immutable")
    run.log_artifact(codec)
