"""The Pareto front: found, drawn, and a column of the tables."""

from __future__ import annotations

import re

import numpy as np
import pytest

from fsar_lab.report import pareto
from fsar_lab.report.blocks import rows_of
from fsar_lab.report.panel_types import ScatterPanel, TablePanel
from fsar_lab.report.panels import JOINED, build_panels
from fsar_lab.report.runs import Run, read_run

from .conftest import Make


def test_what_no_other_dominates() -> None:
    rng = np.random.default_rng(0)
    for _ in range(50):
        points = [(float(x), float(y)) for x, y in rng.integers(0, 8, (12, 2))]
        dominated = {
            i
            for i, (x, y) in enumerate(points)
            if any(a <= x and b <= y and (a, b) != (x, y) for a, b in points)
        }
        assert pareto.front(points) == set(range(len(points))) - dominated
    assert pareto.front([]) == set()


@pytest.fixture
def runs(make: Make) -> list[Run]:
    figures = {  # bpd, MB/s, bundle
        "small": (3.4, 3.0, 150_000),
        "fast": (3.8, 60.0, 9_000),
        "slow": (3.9, 20.0, 8_000),
        "poor": (3.9, 19.0, 20_000),
    }
    return [
        read_run(make(name, 0, bpd, decode_MBps=speed, codec_bytes=size))
        for name, (bpd, speed, size) in figures.items()
    ]


def test_rows_and_points(runs: list[Run], make: Make) -> None:
    runs.append(read_run(make("smoke", 0, 2.0, "trainer.train_images=2_000")))  # not ranked: beats nobody
    fronts = {row["experiment"]: row["front"] for row in rows_of(runs)}
    assert fronts == {
        "small": "speed, bundle",
        "fast": "speed, bundle",
        "slow": "bundle",
        "poor": None,
        "smoke": None,
        "jxl_e7": None,
        "png": None,
    }
    panels = {panel.key: panel for panel in build_panels(runs)}
    speed, bundle, tables = (panels[f"rate-{key}"] for key in ("speed", "bundle", "tables"))
    for panel, expected in ((speed, {"small", "fast"}), (bundle, {"small", "fast", "slow"})):
        assert isinstance(panel, ScatterPanel) and JOINED in panel.note
        assert {point.label for point in panel.points if point.front} == expected
    assert isinstance(tables, ScatterPanel) and JOINED not in tables.note
    assert {point.front for point in tables.points} == {None}
    results = panels["results"]
    assert isinstance(results, TablePanel) and any(column.key == "front" for column in results.columns)


def test_drawn(runs: list[Run]) -> None:
    plots = pytest.importorskip("fsar_lab.report.plots")
    pytest.importorskip("matplotlib", reason="plots need fsar_lab[report]")
    panels = {panel.key: panel for panel in build_panels(runs)}
    svg = plots.inline_svg(panels["rate-speed"], plots.WIDE)
    assert svg.count('-front">') == 1
    panel = panels["rate-speed"]
    assert isinstance(panel, ScatterPanel)
    for number, point in enumerate(panel.points):
        mark = re.search(rf'-mark{number}">(.*?)</g>', svg, re.DOTALL)
        assert mark is not None and (f"opacity: {plots.PALE}" in mark[1]) is not point.front, point.label
    for name in ("small", "fast"):
        assert f">{name}</text>" in svg
    assert "-front" not in plots.inline_svg(panels["rate-tables"], plots.WIDE)
