"""What a finished run tells its loggers: the figures; to W&B also tables and the codec itself."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import fsar_lab._torchvision_guard  # noqa: F401  isort: skip

from lightning.pytorch.loggers import Logger, TensorBoardLogger, WandbLogger

from fsar_lab.callbacks.coding_speed import as_metrics
from fsar_lab.report import rows as content
from fsar_lab.report.markdown import comparison_markdown, parts_markdown
from fsar_lab.report.rows import Column
from fsar_lab.run_files import CODEC, RESULT


def log_result(loggers: Iterable[Logger], run_dir: Path, result: dict[str, Any], step: int) -> None:
    """Log a finished run's result.

    Args:
        loggers: CSV gets the figures, TensorBoard also the two tables as text, W&B the figures as its summary,
            the tables `test/comparison` and `test/parts`, and an artifact of type `model` that holds the
            codec and result.json, with the figures as its metadata.
        run_dir: Where the codec and result.json lie.
        result: The content of result.json.
        step: Optimizer steps of the whole training.
    """
    figures = final_figures(result)
    for logger in loggers:
        logger.log_metrics(figures, step=step)
        if isinstance(logger, WandbLogger):
            _tell_wandb(logger.experiment, run_dir, result, figures)
        elif isinstance(logger, TensorBoardLogger):
            logger.experiment.add_text("test/comparison", comparison_markdown(result), step)
            logger.experiment.add_text("test/parts", parts_markdown(result), step)


def final_figures(result: Mapping[str, Any]) -> dict[str, float]:
    """The scalar figures as `test/...`, and those of the coding speed as `coding_speed/...`."""
    flat = {f"test/{key}": float(value) for key, value in result.items() if isinstance(value, int | float)}
    return flat | (as_metrics(dict(result)) if "coding_speed" in result else {})


def wandb_table(rows: Sequence[Mapping[str, Any]], columns: Sequence[Column]) -> Any:
    """Rows as a wandb.Table: numbers stay numbers, what is missing stays empty."""
    import wandb

    return wandb.Table(
        columns=[column.heading for column in columns],
        data=[[row.get(column.key) for column in columns] for row in rows],
    )


def artifact_name(*parts: str) -> str:
    """A name that W&B takes: letters, digits, `_.-`, at most 128 of them."""
    return re.sub(r"[^A-Za-z0-9_.-]+", "-", "-".join(parts))[:128]


def _tell_wandb(run: Any, run_dir: Path, result: dict[str, Any], figures: dict[str, float]) -> None:
    import wandb

    run.summary.update(figures)
    run.log(
        {
            "test/comparison": wandb_table(content.comparison_rows(result), content.COMPARISON),
            "test/parts": wandb_table(content.parts_rows(result), content.PARTS),
        }
    )
    about = {key: value for key, value in result.items() if isinstance(value, str | int | float)}
    codec = wandb.Artifact(artifact_name(result["name"], result["config_hash"]), "model", metadata=about)
    for name in (CODEC, RESULT):
        # Immutable: W&B takes the files from the run directory, and makes no copies in the home directory.
        codec.add_file(str(run_dir / name), policy="immutable")
    run.log_artifact(codec)
