"""Tables of coded results, for the console and for documents; pure functions of result.json's content."""

from fsar_lab.report.markdown import baselines_markdown, comparison_markdown, parts_markdown
from fsar_lab.report.rows import COMPARISON, PARTS, comparison_rows, notes, parts_rows
from fsar_lab.report.tables import baselines_table, comparison_table, parts_table, print_result

__all__ = [
    "COMPARISON",
    "PARTS",
    "baselines_markdown",
    "baselines_table",
    "comparison_markdown",
    "comparison_rows",
    "comparison_table",
    "notes",
    "parts_markdown",
    "parts_rows",
    "parts_table",
    "print_result",
]
