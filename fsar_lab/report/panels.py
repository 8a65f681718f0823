"""From runs to the panels of a report; every renderer draws the same ones."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from fsar_lab.report.blocks import Block, blocks_of
from fsar_lab.report.experiments import CLASSICAL, TRAINED, UNTRAINED, Experiment, experiments_of
from fsar_lab.report.panel_tables import losses_table, results_table, runs_table, speed_rows, speed_table
from fsar_lab.report.panel_types import (
    Axis,
    BarsPanel,
    ImagesPanel,
    Line,
    LinesPanel,
    Panel,
    Point,
    ScatterPanel,
)
from fsar_lab.report.pareto import FRONTS
from fsar_lab.report.rows import Row
from fsar_lab.report.runs import Run

ONE_THREAD = (
    "MB = 10⁶ bytes of uint8 samples, one thread, the largest number of images a call; learned codecs: wall "
    "clock, tables built beforehand; classical codecs: CPU seconds, a file for each image."
)
JOINED = "The line joins the Pareto front: points that no other beats in both measures; the others are pale."
BPD = Axis("bits per 8-bit sample (bpd)", "bpd")
SEEN = Axis("training images seen", "images")
# Rate against ...: key, title, axis, its unit in that of the rows, note.
RATES = (
    ("speed", "decoding speed", Axis("decoding, MB/s", "decode_MBps", log=True), 1.0, ONE_THREAD),
    (
        "bundle",
        "the size of the bundle",
        Axis("bundle, kB", "codec_bytes", log=True),
        1e-3,
        "The bundle is the file that the decoder needs: the model and its tables.",
    ),
    (
        "tables",
        "tables in memory",
        Axis("tables held, kB", "table_bytes", log=True),
        1e-3,
        "Tables as the decoder holds them in memory.",
    ),
)
# Logged figures: key, title, axis, note.
CURVES = (
    (
        "training",
        "Training",
        Axis("validation bpd, estimated", "val/bpd_estimated"),
        "Estimated: cross-entropy of the float model on validation images, not bytes.",
    ),
    (
        "perplexity",
        "Codebook use",
        Axis("perplexity of the codes", "val/perplexity"),
        "Equally likely codes that would carry as much; mean over codebooks, validation images.",
    ),
    (
        "dead-codes",
        "Dead codes",
        Axis("codes never chosen", "val/dead_codes"),
        "Codes of all codebooks together that no validation image chose.",
    ),
)


def build_panels(runs: Sequence[Run], baseline: str | None = None) -> list[Panel]:
    """All panels of a report, in the order in which they are read.

    Args:
        runs: as `read_runs` gives them, of one or several folders.
        baseline: name of the experiment (or classical codec) that differences are taken against.

    Raises:
        ConfigError: there is no such experiment.
    """
    blocks, _ = blocks_of(runs, baseline)
    experiments = experiments_of(runs)
    panels: list[Panel | None] = []
    for number, block in enumerate(blocks):
        suffix, where = (f"-{number}", f": {block.dataset}") if len(blocks) > 1 else ("", "")
        panels.append(results_table(block, f"results{suffix}", baseline))
        panels += [
            rate_against(block, f"rate-{key}{suffix}", f"Rate against {what}{where}", axis, unit, note)
            for key, what, axis, unit, note in RATES
        ]
        panels.append(bits_bars(block, f"bits{suffix}", f"Where the bits go{where}"))
        panels.append(time_bars(block, f"time{suffix}", f"Where decoding spends its time{where}"))
    datasets = _by_dataset(experiments)
    for number, (dataset, members) in enumerate(datasets.items()):
        suffix, where = (f"-{number}", f": {dataset}") if len(datasets) > 1 else ("", "")
        panels += [
            curves(members, f"{key}{suffix}", f"{title}{where}", axis, note)
            for key, title, axis, note in CURVES
        ]
    panels += [losses_table(blocks), speed_table(experiments), pictures(experiments), runs_table(experiments)]
    return [panel for panel in panels if panel is not None]


def rate_against(block: Block, key: str, title: str, x: Axis, unit: float, note: str) -> ScatterPanel | None:
    """bpd against one other figure; rows without it, and rows that were not trained, are left out."""
    name = next((name for name, key, _ in FRONTS if key == x.key), None)
    points = [
        Point(
            label,
            unit * row[x.key],
            row["bpd"],
            classical=row["standing"] == CLASSICAL,
            spread=row["bpd_std"],
            front=name in (row["front"] or "").split(", ") if name else None,
        )
        for label, row in _comparable(block)
        if row[x.key]
    ]
    if len(points) < 2:
        return None
    if any(point.front for point in points):
        note += " " + JOINED
    return ScatterPanel(key=key, title=title, note=note, x=x, y=BPD, points=points)


def bits_bars(block: Block, key: str, title: str) -> BarsPanel | None:
    """Latents, pixels and overhead of every learned codec."""
    parts = ("latents", "pixels", "overhead")
    bars = [
        (label, [row[f"bpd_{part}"] for part in parts])
        for label, row in _comparable(block)
        if row["bpd_pixels"] is not None
    ]
    return BarsPanel(key=key, title=title, x=BPD, parts=parts, bars=bars) if bars else None


def time_bars(block: Block, key: str, title: str) -> BarsPanel | None:
    """Milliseconds an image in the networks and in everything else."""
    bars = []
    for experiment in block.experiments:
        rows = [row for row in speed_rows(experiment) if row["threads"] == 1]
        if rows:
            row = max(rows, key=lambda row: int(row["batch"]))
            bars.append((experiment.label, [row["decode_network_ms"], row["decode_coder_ms"]]))
    bars.sort(key=lambda bar: sum(bar[1]))
    note = "One thread, the largest number of images a call; coder: entropy coder, checksums and container."
    axis = Axis("decoding, ms an image", "decode_ms")
    parts = ("networks", "coder")
    return BarsPanel(key=key, title=title, note=note, x=axis, parts=parts, bars=bars) if bars else None


def curves(experiments: Sequence[Experiment], key: str, title: str, y: Axis, note: str) -> LinesPanel | None:
    """A logged figure of all runs, also of those that are still training."""
    lines = [
        Line(experiment.label, number, run.curves[y.key])
        for number, experiment in enumerate(experiments)
        for run in experiment.runs
        if len(run.curves.get(y.key, ())) > 1
    ]
    return LinesPanel(key=key, title=title, note=note, x=SEEN, y=y, lines=lines) if lines else None


def pictures(experiments: Sequence[Experiment]) -> ImagesPanel | None:
    """The last contact sheet of the first run of every experiment."""
    images = [
        (experiment.label, run.pictures[-1])
        for experiment in experiments
        for run in [next((run for run in experiment.runs if run.pictures), None)]
        if run is not None
    ]
    note = "Validation images and the bits that each pixel cost, estimated."
    return (
        ImagesPanel(key="images", title="Images and bit maps", note=note, images=images) if images else None
    )


def _comparable(block: Block) -> list[tuple[str, Row]]:
    """Rows for charts, labels telling budgets apart; those not trained only if no other was trained."""
    budgets = sum(section.ranked for section in block.sections)
    rows = []
    for row in block.rows:
        label = row["experiment"]
        if row["standing"] == TRAINED and budgets > 1:
            label += f", {row['train_images'] / 1e3:,.0f}k images"
        if row["standing"] == UNTRAINED:
            if budgets:
                continue
            label += ", not trained"
        rows.append((label, row))
    return rows


def _by_dataset(experiments: Sequence[Experiment]) -> dict[str, list[Experiment]]:
    found: dict[str, list[Experiment]] = defaultdict(list)
    for experiment in experiments:
        found[experiment.dataset].append(experiment)
    return found
