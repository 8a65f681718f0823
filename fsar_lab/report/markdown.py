"""Results as Markdown, for docs/."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from fsar_lab.report import rows as content
from fsar_lab.report.panel_types import TablePanel
from fsar_lab.report.rows import BASELINES, COMPARISON, PARTS, Column, Result

_RUN = Column("run", "codec", left=True)
_RUNS = (
    _RUN,
    *COMPARISON[1:2],
    Column("latents", "bpd_latents", "{:.4f}".format),
    Column("pixels", "bpd_pixels", "{:.4f}".format),
    Column("overhead", "bpd_overhead", "{:.4f}".format),
    Column("estimated", "bpd_estimated", "{:.4f}".format),
    Column("float estimated", "bpd_float_estimated", "{:.4f}".format),
    Column("images seen", "train_images", "{:,}".format),
    *COMPARISON[4:],
)


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


def runs_markdown(results: Sequence[Result]) -> str:
    """Several runs side by side: sizes, parts and speeds, one line each, in the order given."""
    return _markdown([{**result, "codec": result.get("name", "fsar_lab")} for result in results], _RUNS)


def panel_markdown(panel: TablePanel) -> str:
    """A table of a report: title, a table for each section, note."""
    parts = [f"### {panel.title}"]
    for title, rows, _ in panel.sections:
        parts += [*([f"**{title}**"] if title else []), _markdown(rows, panel.columns)]
    return "\n\n".join([*parts, panel.note])


def _markdown(rows: Sequence[Mapping[str, Any]], columns: Sequence[Column]) -> str:
    head = [column.heading for column in columns]
    rule = [":---" if column.left else "---:" for column in columns]
    body = [[cell.replace("|", "\\|") for cell in cells] for cells in content.lines(rows, columns)]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in [head, rule, *body])
