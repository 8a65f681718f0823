"""Rows and panels of a report as what W&B draws. Needs wandb, imported only when something is drawn."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from fsar_lab import wandb_run
from fsar_lab.config.schema import LoggerConfig
from fsar_lab.errors import FsarError
from fsar_lab.report.panel_types import BarsPanel, ImagesPanel, Panel, ScatterPanel, TablePanel
from fsar_lab.report.rows import Column, Row
from fsar_lab.report.runs import Run

JOB_TYPE = "collect"  # by which dashboards tell a report from a training
PREFIX = "report"


def settings_of(runs: Sequence[Run], folder: Path, mode: str = "offline") -> LoggerConfig:
    """Project, entity and group of W&B that the runs of a sweep were configured with.

    Where they name no group it is that of the folder's name.

    Raises:
        FsarError: they do not agree.
    """
    found = {"group": folder.resolve().name}
    for key in ("project", "entity", "group"):
        values = {str(value) for run in runs if (value := (run.config.get("logger") or {}).get(key))}
        if len(values) > 1:
            raise FsarError(
                f"{folder}: the runs have several {key}s in W&B ({', '.join(sorted(values))}) -> name the "
                "folders of one sweep only"
            )
        if values:
            found[key] = values.pop()
    return LoggerConfig(mode, found.get("project", LoggerConfig.project), found.get("entity"), found["group"])


def log_report(panels: Sequence[Panel], rows: Sequence[Row], out: Path, settings: LoggerConfig) -> None:
    """Log a sweep's report as one W&B run of job type `collect` in the sweep's group.

    Args:
        panels: As `build_panels` gives them; each becomes `report/<key>`.
        rows: As `rows_of` gives them; they become the table `report/rows`.
        out: The offline files go to `out/wandb`.
        settings: Project, entity, group, and `offline` or `online`.

    Raises:
        ConfigError: W&B refuses, for want of a key or of a network.
    """
    content = {panel.key: drawn for panel in panels if (drawn := draw(panel)) is not None}
    if rows:
        content["rows"] = _table(list(rows[0]), [list(row.values()) for row in rows])
    with wandb_run.finished():
        run = wandb_run.start(settings, out, name=f"{settings.group} report", job_type=JOB_TYPE)
        run.log({f"{PREFIX}/{key}": drawn for key, drawn in content.items()})


def table(rows: Sequence[Mapping[str, Any]], columns: Sequence[Column]) -> Any:
    """Rows as a wandb.Table: numbers stay numbers, what is missing stays empty."""
    return _table([column.heading for column in columns], [[row.get(c.key) for c in columns] for row in rows])


def draw(panel: Panel) -> Any:
    """The panel as a W&B table, plot or list of pictures; None for curves, which the runs themselves have."""
    import wandb

    match panel:
        case TablePanel(columns=columns, sections=sections):
            return _table(
                ["section", *_headings(columns)],
                [[title, *(row.get(c.key) for c in columns)] for title, rows, _ in sections for row in rows],
            )
        case ScatterPanel(x=x, y=y, points=points):
            headings = ["codec", x.label, y.label, "standard deviation", "classical", "Pareto front"]
            rows = [[p.label, p.x, p.y, p.spread, p.classical, p.front] for p in points]
            return wandb.plot.scatter(_table(headings, rows), x.label, y.label, panel.title)
        case BarsPanel(parts=parts, bars=bars):
            return _table(["codec", *parts], [[label, *values] for label, values in bars])
        case ImagesPanel(images=images):
            return [wandb.Image(str(path), caption=caption) for caption, path in images]
    return None


def _headings(columns: Sequence[Column]) -> list[str]:
    """The columns' headings, told apart by their keys where they are alike: W&B finds columns by name."""
    headings = [column.heading for column in columns]
    return [c.heading if headings.count(c.heading) == 1 else f"{c.heading} {c.key}" for c in columns]


def _table(headings: Sequence[str], rows: list[list[Any]]) -> Any:
    """A wandb.Table; its columns take one type each, so numbers beside texts (`2 of 3`) become texts."""
    import wandb

    texts = [any(isinstance(value, str) for value in column) for column in zip(*rows, strict=True)]
    data = [
        [str(value) if text and value is not None else value for text, value in zip(texts, row, strict=True)]
        for row in rows
    ]
    return wandb.Table(columns=list(headings), data=data)
