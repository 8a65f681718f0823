"""The W&B workspace of a project or of one sweep, as code. Needs the package wandb-workspaces.

W&B draws what the runs have logged, so a panel here is a choice of keys: those of the curves and of the
rate-against plots are the other reports' own (`fsar_lab.report.panels`); tables of differences, which W&B
does not compute, come as text. The runs are grouped by experiment: all seeds of one configuration together.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import wandb_workspaces.reports.v2 as wr
import wandb_workspaces.workspaces as ws

from fsar_lab.report.markdown import panel_markdown
from fsar_lab.report.panel_types import Panel, TablePanel
from fsar_lab.report.panels import BPD, CURVES, RATES
from fsar_lab.report.wandb_table import JOB_TYPE

STEP = "trainer/global_step"
EXPERIMENT = "experiment_hash"  # of the runs' configuration: equal where the seed alone differs
MORE_CURVES = (
    ("bpd in training, estimated", "train/bpd_estimated"),
    ("the pixels' part, validation bpd, estimated", "val/bpd_pixels_estimated"),
    ("the latents' part, validation bpd, estimated", "val/bpd_latents_estimated"),
    ("learning rate", "train/lr"),
    ("training images per second", "train/images_per_second"),
)
# Final figures of result.json side by side, a bar for each experiment.
PARTS = (
    ("Bits per 8-bit sample (bpd), from the bytes on disk", ("bpd",)),
    ("Where the bits go: latents, pixels, overhead (bpd)", ("bpd_latents", "bpd_pixels", "bpd_overhead")),
    ("Estimated by the integer and the float model (bpd)", ("bpd_estimated", "bpd_float_estimated")),
)
SPEEDS = (
    ("Coding speed, MB/s, one thread", ("encode_MBps", "decode_MBps")),
    ("The same without the networks, MB/s", ("encode_coder_MBps", "decode_coder_MBps")),
)
SHOWN_OTHERWISE = ("speed", "runs")  # as bars, and as W&B's own list of runs
PICTURES = "val/bit_maps"
TABLE = "test/comparison"  # ours and the classical codecs, of every run
COLUMNS = ("test/bpd", "test/bpd_latents", "test/bpd_pixels", "test/encode_MBps", "test/decode_MBps")


def build_workspace(
    project: str,
    entity: str,
    group: str | None = None,
    panels: Sequence[Panel] = (),
    speeds: Sequence[tuple[int, int]] = (),
) -> ws.Workspace:
    """A workspace, not yet saved.

    Args:
        project: W&B project.
        entity: User or team.
        group: Only the runs of this group, i.e. of one sweep.
        panels: Of the sweep's report; its tables become text.
        speeds: (threads, images a call) of the coding-speed measurements that the runs have.
    """
    of_group = [] if group is None else [ws.Metric("Group") == group]
    sections = [
        ws.Section("Results", list(_results(panels)), is_open=True),
        ws.Section("Rate", list(_rates()), is_open=True),
        ws.Section("Training", list(_curves()), is_open=True),
        ws.Section("Coding speed", list(_speeds(speeds)), is_open=True),
        ws.Section("Images and bit maps", [wr.MediaBrowser(media_keys=[PICTURES])], is_open=True),
    ]
    return ws.Workspace(
        entity=entity,
        project=project,
        name=f"fsar_lab: {group or 'all runs'}",
        sections=sections,
        settings=ws.WorkspaceSettings(x_axis=STEP),
        runset_settings=ws.RunsetSettings(
            filters=ws.And(ws.Metric("JobType") != JOB_TYPE, *of_group),
            groupby=[ws.Metric("Name"), ws.Config(EXPERIMENT)],
            pinned_columns=[f"summary:{key}" for key in COLUMNS],
        ),
        auto_generate_panels=True,  # what is logged beside, e.g. the distribution of the codes' use
    )


def _results(panels: Sequence[Panel]) -> Iterator[Any]:
    for panel in panels:
        if isinstance(panel, TablePanel) and panel.key not in SHOWN_OTHERWISE:
            yield wr.MarkdownPanel(markdown=panel_markdown(panel))
    for title, figures in PARTS:
        yield wr.BarPlot(title=title, metrics=[f"test/{figure}" for figure in figures])
    yield wr.WeavePanelSummaryTable(table_name=TABLE)


def _rates() -> Iterator[Any]:
    for _, what, axis, _, _ in RATES:
        x, y = (wr.SummaryMetric(f"test/{key}") for key in (axis.key, BPD.key))
        yield wr.ScatterPlot(title=f"Rate (bpd) against {what}", x=x, y=y, log_x=axis.log)


def _curves() -> Iterator[Any]:
    for title, key in [*((axis.label, axis.key) for _, _, axis, _ in CURVES), *MORE_CURVES]:
        yield wr.LinePlot(title=title, x=STEP, y=[key])


def _speeds(speeds: Sequence[tuple[int, int]]) -> Iterator[Any]:
    for title, figures in SPEEDS:
        yield wr.BarPlot(title=title, metrics=[f"test/{figure}" for figure in figures])
    for threads, batch in speeds:
        prefix = f"coding_speed/threads{threads}_batch{batch}"
        title = f"Networks and coder, ms an image; threads: {threads}, images a call: {batch}"
        sides = ("encode", "decode")
        keys = [f"{prefix}/{side}_{part}_ms" for side in sides for part in ("network", "coder")]
        yield wr.BarPlot(title=title, metrics=keys)
