"""The tables of a report."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from fsar_lab.report.blocks import Block
from fsar_lab.report.experiments import FITTED, Experiment
from fsar_lab.report.panel_types import TablePanel
from fsar_lab.report.rows import Column, Row, bits, speed

CONSOLE = ("experiment", "count", "bpd", "difference", "decode_MBps")
FRONT = (
    "Pareto front: no other row is better in bpd and as good in decoding speed, or the reverse (speed); "
    "the same with the size of the bundle (bundle). Rows that were not trained have no part in it."
)


def results_table(block: Block, key: str, baseline: str | None) -> TablePanel:
    """Sizes, differences, parts, speeds and what the decoder must hold."""
    against = (
        Column("difference, %", "difference", "{:+.2f}".format, spread="difference_std"),
        Column("pairs", "difference_n"),
    )
    columns = (
        Column("experiment", "experiment", left=True),
        Column("seeds", "count"),
        Column("bpd", "bpd", bits, spread="bpd_std"),
        *(against if baseline else ()),
        Column("latents", "bpd_latents", bits),
        Column("pixels", "bpd_pixels", bits),
        Column("overhead", "bpd_overhead", bits),
        Column("estimated bpd", "bpd_estimated", bits),
        Column("enc MB/s", "encode_MBps", speed),
        Column("dec MB/s", "decode_MBps", speed),
        Column("bundle kB", "codec_bytes", _kilobytes),
        Column("tables kB", "table_bytes", _kilobytes),
        Column("Pareto front", "front", left=True),
    )
    images = f"{block.images:,} test images" if block.images else "test images"
    measured = "bpd from bytes on disk, all headers included, decoded by another process and compared."
    measured += f" {FRONT}"
    if baseline:
        measured += f" Difference: size against {baseline}, in pairs of equal seeds; negative is smaller."
    return TablePanel(
        key=key,
        title=f"{block.dataset}: {images}",
        note=measured,
        remarks=block.notes,
        columns=columns,
        sections=[
            (s.title, [row | {"count": _count(row)} for row in s.rows], s.ranked) for s in block.sections
        ],
        console=CONSOLE,
    )


def _count(row: Row) -> str | None:
    """How many seeds have a result, and of how many, if others have none or none yet."""
    missing = row["failed"] + row["running"] + row["waiting"]
    return f"{row['n']} of {row['n'] + missing}" if missing else row["n"]


def losses_table(blocks: Sequence[Block]) -> TablePanel | None:
    """What each step from the float model to bytes adds, in per cent of the float model's bpd."""
    rows: list[Row] = []
    for row in (row for block in blocks for row in block.rows):
        start = row["bpd_float_estimated"]
        if start is None or row["standing"] == FITTED:
            continue
        steps = {
            "integer": row["bpd_estimated"],
            "coded": row["bpd_latents"] + row["bpd_pixels"],
            "disk": row["bpd"],
        }
        rows.append({"experiment": row["experiment"], "float": start})
        for name, value in steps.items():
            rows[-1] |= {name: value, f"{name}_percent": 100.0 * (value / start - 1.0)}
    percent = "{:+.2f}".format
    columns = (
        Column("experiment", "experiment", left=True),
        Column("float model, estimated", "float", bits),
        Column("integer model, estimated", "integer", bits),
        Column("%", "integer_percent", percent),
        Column("coded, without overhead", "coded", bits),
        Column("%", "coded_percent", percent),
        Column("on disk", "disk", bits),
        Column("%", "disk_percent", percent),
    )
    if not rows:
        return None
    return TablePanel(
        key="losses",
        title="From the float model to bytes",
        note="bpd; per cent of the float model's cross-entropy.",
        columns=columns,
        sections=[("", rows, False)],
    )


def speed_table(experiments: Sequence[Experiment]) -> TablePanel | None:
    """Speeds of networks and coder, apart and together, by threads and images a call; of the first seed."""
    sections: dict[tuple[int, int], list[Row]] = defaultdict(list)
    for experiment in experiments:
        for row in speed_rows(experiment):
            sections[row["threads"], row["batch"]].append({"experiment": experiment.label, **row})
    parts = (("", ""), ("_network", ", networks"), ("_coder", ", coder"))
    sides = (("encode", "enc MB/s"), ("decode", "dec MB/s"))
    columns = [
        Column("experiment", "experiment", left=True),
        *(
            Column(f"{what}{also}", f"{side}{part}_MBps", speed)
            for side, what in sides
            for part, also in parts
        ),
        Column("dec ms an image", "decode_ms", "{:.3g}".format),
    ]
    if not sections:
        return None
    about = next(
        result["coding_speed"]["about"]
        for experiment in experiments
        for result in experiment.results.values()
        if "coding_speed" in result
    )
    return TablePanel(
        key="speed",
        title="Coding speed",
        note=f"{about}. Of the first seed.",
        columns=columns,
        sections=[
            (f"threads: {n}; images a call: {batch:,}", rows, False)
            for (n, batch), rows in sorted(sections.items())
        ],
    )


def runs_table(experiments: Sequence[Experiment]) -> TablePanel:
    """Every run and how far it is."""
    rows = [
        {
            "experiment": experiment.label,
            "seed": run.seed,
            "status": run.status,
            "progress": run.progress,
            "attempts": len(run.attempts) or None,
            "estimate": next((v for _, v in reversed(run.curves.get("val/bpd_estimated", []))), None),
            "seconds": run.result.get("train_seconds"),
            "written": run.written,
            "directory": run.path.name,
            "error": run.error,
        }
        for experiment in experiments
        for run in experiment.runs
    ]
    columns = (
        Column("experiment", "experiment", left=True),
        Column("seed", "seed"),
        Column("state", "status", left=True),
        Column("trained", "progress", "{:.0%}".format),
        Column("attempts", "attempts"),
        Column("last validation bpd, estimated", "estimate", bits),
        Column("training s", "seconds", "{:,.0f}".format),
        Column("last written, UTC", "written", left=True),
        Column("directory", "directory", left=True),
        Column("error", "error", left=True),
    )
    return TablePanel(key="runs", title="Runs", columns=columns, sections=[("", rows, False)])


def speed_rows(experiment: Experiment) -> list[dict[str, Any]]:
    """Rows of the coding-speed table of an experiment's first seed."""
    for result in experiment.results.values():
        return list(result.get("coding_speed", {}).get("rows", ()))
    return []


def _kilobytes(value: float) -> str:
    return f"{value / 1e3:,.0f}" if value >= 1e4 else f"{value / 1e3:.1f}"
