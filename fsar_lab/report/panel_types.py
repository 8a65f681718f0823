"""What a report shows, as plain data; page.py, plots.py, collect and the W&B side draw it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from fsar_lab.report.rows import Column, Row


@dataclass(frozen=True)
class Axis:
    """What is measured along an axis; `key` is that of rows, or under which the loggers have it."""

    label: str
    key: str
    log: bool = False


@dataclass(frozen=True)
class Point:
    """One point of a scatter plot; `spread` is the standard deviation of y over several seeds.

    `front`: it is on the Pareto front of the two measures; None where there is no such front.
    """

    label: str
    x: float
    y: float
    classical: bool = False
    spread: float | None = None
    front: bool | None = None


@dataclass(frozen=True)
class Line:
    """One curve; the seeds of an experiment share its label and its number, which decides the colour."""

    label: str
    series: int
    points: Sequence[tuple[float, float]]


@dataclass(frozen=True, kw_only=True)
class Panel:
    """What every panel has: `key` names its anchor and files, `note` is what a reader must know."""

    key: str
    title: str
    note: str = ""


@dataclass(frozen=True, kw_only=True)
class TablePanel(Panel):
    """Sections of rows under one heading: the section's title or "", its rows, and whether they are ranked.

    `console` are the keys of the columns that a terminal has room for (empty: all), `remarks` what is to be
    said about these figures, one sentence each.
    """

    columns: Sequence[Column]
    sections: Sequence[tuple[str, Sequence[Row], bool]]
    console: Sequence[str] = ()
    remarks: Sequence[str] = ()


@dataclass(frozen=True, kw_only=True)
class ScatterPanel(Panel):
    """Points over two measures."""

    x: Axis
    y: Axis
    points: Sequence[Point]


@dataclass(frozen=True, kw_only=True)
class LinesPanel(Panel):
    """Curves over training images."""

    x: Axis
    y: Axis
    lines: Sequence[Line]


@dataclass(frozen=True, kw_only=True)
class BarsPanel(Panel):
    """Stacked horizontal bars: one for each (label, values), its values in the order of `parts`."""

    x: Axis
    parts: Sequence[str]
    bars: Sequence[tuple[str, Sequence[float]]]


@dataclass(frozen=True, kw_only=True)
class ImagesPanel(Panel):
    """Pictures with captions."""

    images: Sequence[tuple[str, Path]]


Chart = ScatterPanel | LinesPanel | BarsPanel
