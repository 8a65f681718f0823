"""Results as Markdown, for docs/."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from fsar_lab.report import rows as content
from fsar_lab.report.panel_types import TablePanel
from fsar_lab.report.rows import BASELINES, COMPARISON, PARTS, Column, Result


def comparison_markdown(result: Result) -> str:
    """The comparison table with its remarks."""
    remarks = "".join(f"\n*Note: {note}*\n" for note in content.notes(result))
    return _markdown(content.comparison_rows(result), COMPARISON) + remarks


def baselines_markdown(rows: Sequence[Mapping[str, Any]]) -> str:
    """Classical codecs alone; rows as `fsar_lab.baselines.measure` gives them."""
    return _markdown(rows, BASELINES)


def parts_markdown(result: Result) -> str:
    """The table of parts."""
    return _markdown(content.parts_rows(result), PARTS)


def panel_markdown(panel: TablePanel) -> str:
    """A table of a report: title, a table for each section, remarks, note."""
    parts = [f"### {panel.title}"]
    for title, rows, _ in panel.sections:
        parts += [*([f"**{title}**"] if title else []), _markdown(rows, panel.columns)]
    if panel.remarks:
        parts.append("\n".join(f"- {remark}" for remark in panel.remarks))
    return "\n\n".join([part.rstrip("\n") for part in [*parts, panel.note] if part])


def _markdown(rows: Sequence[Mapping[str, Any]], columns: Sequence[Column]) -> str:
    head = [column.heading for column in columns]
    rule = [":---" if column.left else "---:" for column in columns]
    body = [[cell.replace("|", "\\|") for cell in cells] for cells in content.lines(rows, columns)]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in [head, rule, *body])
