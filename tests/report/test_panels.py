"""Charts show what can be compared, and say where that is little."""

from __future__ import annotations

from fsar_lab.report.panel_types import BarsPanel, LinesPanel, ScatterPanel
from fsar_lab.report.panels import build_panels
from fsar_lab.report.runs import Run, read_run

from .conftest import Make


def labels(runs: list[Run], key: str) -> list[str]:
    panel = next(panel for panel in build_panels(runs) if panel.key == key)
    if isinstance(panel, ScatterPanel):
        return [point.label for point in panel.points]
    if isinstance(panel, BarsPanel):
        return [label for label, _ in panel.bars]
    assert isinstance(panel, LinesPanel)
    return [line.label for line in panel.lines]


def test_what_was_not_trained_stays_out_of_the_charts_unless_nothing_was(make: Make) -> None:
    smoke = [read_run(make("smoke", 0, 2.0, "trainer.train_images=2_000"))]
    assert labels(smoke, "rate-speed") == ["smoke, not trained", "jxl_e7", "png"]
    runs = [*smoke, read_run(make("a", 0, 4.0)), read_run(make("late", 0, None))]
    assert labels(runs, "rate-speed") == ["a", "jxl_e7", "png"]
    assert labels(runs, "bits") == ["a"]
    assert labels(runs, "training") == ["smoke", "a", "late"]
    runs.append(read_run(make("b", 0, 4.0, "trainer.train_images=100_000")))
    assert labels(runs, "rate-bundle") == ["b, 100k images", "a, 50k images"]


def test_units_and_marks(make: Make) -> None:
    runs = [read_run(make("a", seed, bpd, codec_bytes=2_000)) for seed, bpd in ((0, 4.0), (1, 4.2))]
    panels = {panel.key: panel for panel in build_panels([*runs, read_run(make("b", 0, 5.0))])}
    bundle = panels["rate-bundle"]
    assert isinstance(bundle, ScatterPanel) and "kB" in bundle.x.label
    assert [(p.x, round(p.y, 6), p.spread is None, p.classical) for p in bundle.points] == [
        (2.0, 4.1, False, False),
        (270.0, 5.0, True, False),
    ]
    speed = panels["rate-speed"]
    assert isinstance(speed, ScatterPanel)
    assert [point.label for point in speed.points if point.classical] == ["jxl_e7", "png"]
    training = panels["training"]
    assert isinstance(training, LinesPanel) and "estimated" in training.y.label
    assert [line.series for line in training.lines] == [0, 0, 1]  # seeds share a colour
    time = panels["time"]
    assert isinstance(time, BarsPanel) and time.bars[0] == ("a", [0.5, 0.1])
