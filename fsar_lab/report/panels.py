"""What a report shows, as plain data built once; page.py, plots.py, collect and the W&B side draw it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from fsar_lab.report.rows import Column, Row
from fsar_lab.report.runs import Run

Kind = Literal["ours", "classical"]


@dataclass(frozen=True)
class Axis:
    """What is measured along an axis; `key` is the row's or the logged figure's."""

    label: str
    key: str
    unit: str = ""
    log: bool = False


@dataclass(frozen=True)
class Point:
    """One point of a scatter plot, with its standard deviation where there are several seeds."""

    label: str
    x: float
    y: float
    kind: Kind = "ours"
    y_std: float | None = None


@dataclass(frozen=True)
class Line:
    """One curve: (x, y) points."""

    label: str
    points: Sequence[tuple[float, float]]


@dataclass(frozen=True)
class Panel:
    """What every panel has: `key` is its anchor and file name, `note` what a reader must know."""

    key: str
    title: str
    note: str = ""


@dataclass(frozen=True)
class TablePanel(Panel):
    """Sections of rows under one heading: (title of the section or "", its rows)."""

    columns: Sequence[Column] = ()
    sections: Sequence[tuple[str, Sequence[Row]]] = ()


@dataclass(frozen=True)
class ScatterPanel(Panel):
    """Points over two measures."""

    x: Axis = field(default=Axis("", ""))
    y: Axis = field(default=Axis("", ""))
    points: Sequence[Point] = ()


@dataclass(frozen=True)
class LinesPanel(Panel):
    """Curves over training images; `y.key` is the key under which the loggers have them."""

    x: Axis = field(default=Axis("", ""))
    y: Axis = field(default=Axis("", ""))
    lines: Sequence[Line] = ()


@dataclass(frozen=True)
class BarsPanel(Panel):
    """Stacked horizontal bars: one for each (label, values), the parts in the order of `parts`."""

    x: Axis = field(default=Axis("", ""))
    parts: Sequence[str] = ()
    bars: Sequence[tuple[str, Sequence[float]]] = ()


@dataclass(frozen=True)
class ImagesPanel(Panel):
    """Pictures with captions."""

    images: Sequence[tuple[str, Path]] = ()


def build_panels(runs: Sequence[Run], baseline: str | None = None) -> list[Panel]:
    """All panels of a report, in the order in which they are read.

    Args:
        runs: as `read_runs` gives them, of one or several folders.
        baseline: name of the experiment that differences are taken against.
    """
    raise NotImplementedError
