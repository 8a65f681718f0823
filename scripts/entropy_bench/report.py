"""What is printed: the rows, and how they stand against the goals. Markdown, readable as it is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from entropy_bench.measure import Row

Pair = tuple[float, float]  # encode, decode
EXCESS_MUST = 0.1
WITHIN_EXCESS = ("static", "indexed1024", "indexed64", "fsar_o2_k32")
MERGE_LOSS_MUST = 0.5


@dataclass(frozen=True)
class Goal:
    """Wanted speed of fsar_lab as multiples of another coder's.

    `against` is a coder measured beside it, or the figures (MB/s) of the reference implementation, which is
    not on PyPI: measured elsewhere on the same class of machine, so these ratios are rough.
    """

    workload: str
    what: str
    against: str | Pair
    goal: Pair
    must: Pair


GOALS = [
    Goal("fsar_o2_k32", "reference rans64", (33.0, 20.0), (30, 30), (15, 12)),
    Goal("fsar_o2_k256_merged", "reference tANS-10, full tables", (1.4, 1.7), (300, 150), (150, 80)),
    Goal("fsar_o2_k32_single_image", "reference, one image", (5.7, 5.7), (6, 6), (3, 3)),
    Goal("indexed1024", "torch_ans 0.4.0", "torch_ans", (8, 10), (4, 5)),
    Goal("indexed1024", "constriction 0.5.0", "constriction", (40, 60), (25, 40)),
    Goal("static", "constriction 0.5.0", "constriction", (6, 60), (4, 40)),
    Goal("linear_ar3", "reference", (7.4, 3.5), (40, 80), (20, 40)),
]
THREADS_GOAL, THREADS_MUST = 1.9, 1.7


def table(head: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    """A Markdown table, the first two columns flush left, with equal widths."""
    widths = [max(len(line[i]) for line in [head, *lines]) for i in range(len(head))]
    rule = ["-" * width if i < 2 else "-" * (width - 1) + ":" for i, width in enumerate(widths)]
    padded = [
        [
            cell.ljust(width) if i < 2 else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(line, widths))
        ]
        for line in [head, rule, *lines]
    ]
    return "\n".join("| " + " | ".join(line) + " |" for line in padded)


def number(value: float | None, digits: int) -> str:
    """A figure, or a dash."""
    return "-" if value is None else f"{value:.{digits}f}"


def rows_table(rows: Sequence[Row]) -> str:
    """All rows; errors, and how peers were used, below."""
    head = ["workload", "coder", "isa", "threads", "lanes", "bits", "enc MB/s", "dec MB/s", "b/sym"]
    head += ["excess %", "with states", "bytes/image"]
    lines = [
        [
            row.workload,
            row.coder,
            row.isa or "-",
            str(row.threads),
            number(row.lanes, 0),
            number(row.table_bits, 0),
            number(row.MBps_encode, 1),
            number(row.MBps_decode, 1),
            number(row.bits_per_symbol, 4),
            number(row.excess_percent, 3),
            number(row.excess_with_states_percent, 3),
            number(row.overhead_bytes_per_image, 2),
        ]
        for row in rows
    ]
    notes: dict[str, list[str]] = {}
    for row in rows:
        if row.error or row.mode:
            note = f"ERROR: {row.error}" if row.error else str(row.mode)
            notes.setdefault(f"{row.coder}: {note}", []).append(row.workload)
    return "\n".join(
        [table(head, lines), "", *(f"{note} ({', '.join(names)})" for note, names in notes.items())]
    )


def find(rows: Sequence[Row], workload: str, coder: str, threads: int = 1) -> Row | None:
    """The row with figures, if there is one."""
    for row in rows:
        if (row.workload, row.coder, row.threads, row.error) == (workload, coder, threads, None):
            return row
    return None


def speeds(row: Row | None, wall: bool = False) -> Pair | None:
    """Both speeds of a row."""
    if row is None:
        return None
    encode = row.MBps_wall_encode if wall else row.MBps_encode
    decode = row.MBps_wall_decode if wall else row.MBps_decode
    return None if encode is None or decode is None else (encode, decode)


def verdict(ratio: float, goal: float, must: float) -> str:
    """Which of the two is reached."""
    return "goal" if ratio >= goal else "must" if ratio >= must else "MISSED"


def goal_line(
    what: tuple[str, str], ours: Pair | None, theirs: Pair | None, goal: Pair, must: Pair
) -> list[str]:
    """One line of the table of ratios."""
    wanted = [f"{g:g}x / {m:g}x" for g, m in zip(goal, must, strict=True)]
    if ours is None or theirs is None:
        return [*what, "-", wanted[0], "-", wanted[1], "not measured"]
    ratios = [a / b for a, b in zip(ours, theirs, strict=True)]
    verdicts = [verdict(*one) for one in zip(ratios, goal, must, strict=True)]
    return [*what, f"{ratios[0]:.2f}x", wanted[0], f"{ratios[1]:.2f}x", wanted[1], ", ".join(verdicts)]


def goals_table(rows: Sequence[Row]) -> str:
    """Ratios of fsar_lab's speed to the others', beside goal and must; workloads not run are left out."""
    run = {row.workload for row in rows}
    lines = []
    for goal in GOALS:
        if goal.workload in run:
            ours = speeds(find(rows, goal.workload, "fsar_lab"))
            theirs = (
                speeds(find(rows, goal.workload, goal.against))
                if isinstance(goal.against, str)
                else goal.against
            )
            lines.append(goal_line((goal.workload, goal.what), ours, theirs, goal.goal, goal.must))
    for row in rows:
        if row.coder == "fsar_lab" and row.threads > 1:
            ours = speeds(find(rows, row.workload, row.coder, row.threads), wall=True)
            alone = speeds(find(rows, row.workload, row.coder), wall=True)
            wanted = (THREADS_GOAL, THREADS_GOAL), (THREADS_MUST, THREADS_MUST)
            lines.append(goal_line((row.workload, f"{row.threads} threads : 1, wall"), ours, alone, *wanted))
    head = ["workload", "against", "encode", "goal / must", "decode", "goal / must", "reached"]
    return table(head, lines)


def sizes(rows: Sequence[Row]) -> list[str]:
    """What is asked of sizes, one line each."""
    lines = []
    for workload in WITHIN_EXCESS:
        row = find(rows, workload, "fsar_lab")
        if row is not None and row.excess_percent is not None:
            worst = max(row.excess_percent, row.excess_with_states_percent or 0)
            reached = "reached" if worst <= EXCESS_MUST else "MISSED"
            lines.append(f"{workload}: excess {worst:.3f} %, must be at most {EXCESS_MUST} %: {reached}")
    for row in rows:
        if row.coder == "fsar_lab" and row.merge_loss_percent:
            reached = "reached" if row.merge_loss_percent <= MERGE_LOSS_MUST else "MISSED"
            lines.append(
                f"{row.workload}: merging costs {row.merge_loss_percent:.3f} % (part of the excess), "
                f"must be at most {MERGE_LOSS_MUST} %: {reached}"
            )
    return lines
