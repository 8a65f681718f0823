"""A report as one HTML file that opens offline: no script, style, font or picture from anywhere else."""

from __future__ import annotations

import base64
from collections import Counter
from collections.abc import Sequence
from html import escape
from importlib.resources import files
from itertools import groupby
from typing import Any

from fsar_lab.report.panel_types import (
    BarsPanel,
    Chart,
    ImagesPanel,
    LinesPanel,
    Panel,
    ScatterPanel,
    TablePanel,
)
from fsar_lab.report.plots import NARROW, WIDE, inline_svg
from fsar_lab.report.rows import STATES, Column, Row
from fsar_lab.report.runs import Run

LONG = 40  # characters of a cell that may be broken into lines
FOLDED = ("losses", "speed")  # tables of detail, closed at first


def page(title: str, about: str, runs: Sequence[Run], panels: Sequence[Panel]) -> str:
    """The whole page.

    Args:
        title: e.g. the sweep's name.
        about: one line below it: where from and when.
        runs: counted by state.
        panels: what to show, in this order.

    Raises:
        FsarError: matplotlib is not installed.
    """
    states: Counter[str] = Counter(run.status for run in runs)
    chips = "".join(
        f'<li data-state="{state}">{states[state]} {word}</li>'
        for state, word in STATES.items()
        if states[state]
    )
    links = "".join(f'<a href="#{panel.key}">{escape(panel.title)}</a>' for panel in _milestones(panels))
    content = "".join(
        f'<div class="{"charts" if charts else "panels"}">{"".join(map(_section, group))}</div>'
        for charts, group in groupby(panels, key=lambda panel: isinstance(panel, Chart))
    )
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="icon" href="data:,">
<title>{escape(title)}</title>
<style>
{_asset("page.css")}</style>
</head>
<body>
<header>
<h1>{escape(title)}</h1>
<p class="about">{escape(about)}</p>
<ul class="states">{chips}</ul>
</header>
<nav aria-label="Panels"><div>{links}</div></nav>
<main>
{content}
</main>
<footer>
<p>bpd: bits per 8-bit sample, from bytes on disk. <em>Estimated</em>: a cross-entropy, not bytes.
±: standard deviation over seeds. MB: 10<sup>6</sup> bytes of uint8 samples.
A name that finds no room in a chart appears under the pointer; headings of tables sort.</p>
</footer>
<script>
{_asset("page.js")}</script>
</body>
</html>
"""


def _milestones(panels: Sequence[Panel]) -> list[Panel]:
    """What the bar at the top leads to: every table, and the first of a group of charts."""
    groups = groupby(panels, key=lambda panel: type(panel) if isinstance(panel, Chart) else id(panel))
    return [next(group) for _, group in groups]


def _section(panel: Panel) -> str:
    note = f'<p class="note">{escape(panel.note)}</p>' if panel.note else ""
    heading = f"<h2>{escape(panel.title)}</h2>"
    body = f"{note}{_body(panel)}"
    if panel.key in FOLDED:
        return f'<section id="{panel.key}"><details><summary>{heading}</summary>{body}</details></section>\n'
    return f'<section id="{panel.key}">{heading}{body}</section>\n'


def _body(panel: Panel) -> str:
    if isinstance(panel, TablePanel):
        return _remarks(panel.remarks) + _table(panel)
    if isinstance(panel, ImagesPanel):
        pictures = (
            f'<figure><figcaption>{escape(label)}</figcaption><img alt="{escape(label)}" loading="lazy" '
            f'src="data:image/png;base64,{base64.b64encode(path.read_bytes()).decode()}"></figure>'
            for label, path in panel.images
        )
        return f'<div class="images">{"".join(pictures)}</div>'
    assert isinstance(panel, ScatterPanel | LinesPanel | BarsPanel)
    drawn = ((name, inline_svg(panel, width)) for name, width in (("wide", WIDE), ("narrow", NARROW)))
    return "".join(f'<figure class="chart"><div class="{name}">{svg}</div></figure>' for name, svg in drawn)


def _remarks(remarks: Sequence[str]) -> str:
    if not remarks:
        return ""
    return f'<ul class="remarks">{"".join(f"<li>{escape(remark)}</li>" for remark in remarks)}</ul>'


def _table(panel: TablePanel) -> str:
    heads = "".join(
        f'<th scope="col"{_left(column)}><button type="button">{escape(column.heading)}</button></th>'
        for column in panel.columns
    )
    bodies = []
    for title, rows, ranked in panel.sections:
        name = f'<th colspan="{len(panel.columns)}" scope="rowgroup"><span>{escape(title)}</span></th>'
        lines = [f"<tr>{name}</tr>"] if title else []
        for number, row in enumerate(rows):
            best = ' class="best"' if ranked and number == 0 and len(rows) > 1 else ""
            lines.append(f"<tr{best}>{''.join(_cell(column, row) for column in panel.columns)}</tr>")
        bodies.append(f"<tbody>{''.join(lines)}</tbody>")
    return f'<div class="scroll"><table><thead><tr>{heads}</tr></thead>{"".join(bodies)}</table></div>'


def _cell(column: Column, row: Row) -> str:
    value, text = row.get(column.key), column.cell(row)
    kinds = {"left": column.left, "long": len(text) > LONG and column.key == "error"}
    names = " ".join(name for name, applies in kinds.items() if applies)
    attributes = f' class="{names}"' if names else ""
    attributes += f' data-value="{escape(str(value))}"' if value is not None else ""
    return f"<td{attributes}>{_state(value) if column.key == 'status' else escape(text)}</td>"


def _state(value: Any) -> str:
    return f'<span data-state="{escape(str(value))}">{escape(STATES.get(value, str(value)))}</span>'


def _left(column: Column) -> str:
    return ' class="left"' if column.left else ""


def _asset(name: str) -> str:
    return files("fsar_lab.report").joinpath(name).read_text(encoding="utf-8")
