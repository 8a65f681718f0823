"""Results, and what is being done to get them, on the console (rich)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from fsar_lab.report import rows as content
from fsar_lab.report.panel_types import TablePanel
from fsar_lab.report.rows import STATES, Column, Result

if TYPE_CHECKING:  # reading runs needs more than coding does
    from fsar_lab.report.runs import Run

LONGEST = 30  # characters of a name that leave room for figures on 80 columns


def comparison_table(result: Result) -> Table:
    """Our codec, its siblings and the classical codecs, one line each."""
    images = result.get("images")
    title = f"Coded for real: {images:,} images" if images else "Coded for real"
    return _table(title, content.comparison_rows(result), content.COMPARISON, rule_after=1)


def baselines_table(rows: Sequence[Mapping[str, Any]]) -> Table:
    """Classical codecs alone; rows as `fsar_lab.baselines.measure` gives them."""
    images = rows[0].get("images") if rows else None
    title = f"Classical codecs: {images:,} images" if images else "Classical codecs"
    return _table(title, rows, content.BASELINES, rule_after=0)


def parts_table(result: Result) -> Table:
    """Where the bits go, and what the models had estimated (cross-entropies, not sizes)."""
    rows = content.parts_rows(result)
    return _table("Parts (bpd)", rows, content.PARTS, rule_after=len(rows) - 1)


def print_result(result: Result, console: Console | None = None) -> None:
    """Prints both tables and the remarks below them."""
    console = console or Console()
    console.print(comparison_table(result))
    console.print(parts_table(result))
    for note in content.notes(result):
        console.print(f"[bold yellow]Note:[/] {escape(note)}", highlight=False)


def print_panel(panel: TablePanel, console: Console) -> None:
    """Prints a table of a report, section by section, with those columns that a terminal has room for."""
    columns = [column for column in panel.columns if not panel.console or column.key in panel.console]
    console.rule(f"[bold]{escape(panel.title)}", align="left")
    names = [columns[0].cell(row) for _, rows, _ in panel.sections for row in rows]
    room = min(LONGEST, max(map(len, names), default=0))
    for title, rows, ranked in panel.sections:
        table = _table(None, rows, columns, rule_after=0, best=ranked and len(rows) > 1)
        table.columns[0].min_width = room  # so that the sections' columns stand below each other
        console.print(*([f"[italic]{escape(title)}[/]"] if title else []), table, sep="\n")
    for remark in panel.remarks:
        console.print(f"[bold yellow]Note:[/] {escape(remark)}", highlight=False)


def print_runs(runs: Sequence[Run], console: Console) -> None:
    """Prints how many runs have come to an end, and what there is to say about the others."""
    states = Counter(STATES[run.status] for run in runs)
    console.print(", ".join(f"{n} {state}" for state, n in states.items()))
    for run in runs:
        trained = "" if run.progress is None else f", {run.progress:.0%} of the training images seen"
        if run.written:
            trained += f" by {run.written} UTC"
        if run.status != "ok":
            error = f": {run.error}" if run.error else ""
            said = f"{run.status}: {run.name}, seed {run.seed}{trained}, {run.path}{error}"
            console.print(f"  {escape(said)}", soft_wrap=True)


@contextmanager
def saying(console: Console) -> Iterator[Callable[[str], None]]:
    """Gives a function to tell what is being done: a moving line on a terminal, plain lines elsewhere."""
    if console.is_terminal:
        with console.status("") as status:
            yield lambda text: status.update(escape(text))
    else:
        yield lambda text: console.print(f"{text} ...", markup=False, highlight=False)


def _table(
    title: str | None,
    rows: Sequence[Mapping[str, Any]],
    columns: Sequence[Column],
    rule_after: int,
    best: bool = False,
) -> Table:
    # With a rule after some row, the first row is ours and stands out; so does the best one.
    # Narrow enough for 80 columns; if it is narrower still, names wrap and figures stay whole.
    table = Table(
        title=title, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False, collapse_padding=True
    )
    for column in columns:
        if column.left:
            table.add_column(column.heading, overflow="fold")
        else:
            table.add_column(column.heading, justify="right", no_wrap=True)
    for number, cells in enumerate(content.lines(rows, columns), 1):
        last = number == rule_after and number < len(rows)
        style = "bold" if (rule_after or best) and number == 1 else None
        table.add_row(*map(escape, cells), style=style, end_section=last)
    return table
