"""The dashboard as code, and a sweep's report as a W&B run: what they name is what a training really logs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from fsar_lab import collect, dashboard
from fsar_lab.errors import ConfigError, FsarError
from fsar_lab.report.blocks import KEYS, rows_of
from fsar_lab.report.panel_types import Axis, Point, ScatterPanel, TablePanel
from fsar_lab.report.panels import build_panels
from fsar_lab.report.rows import Column
from fsar_lab.report.runs import read_runs
from fsar_lab.report.wandb_table import draw, log_report, settings_of

if TYPE_CHECKING:
    from tests.training.conftest import LoggedSweep

KEY = "0123456789" * 4


@pytest.fixture
def view(logged_sweep: LoggedSweep, tmp_path: Path) -> dict[str, Any]:
    """What `dashboard dry_run=true` writes for the sweep."""
    pytest.importorskip("wandb_workspaces", reason="pip install 'fsar_lab[dashboard]'")
    file = tmp_path / "view.json"
    dashboard.main([f"sweep={logged_sweep.folder}", "baseline=png", "dry_run=true", f"output={file}"])
    content: dict[str, Any] = json.loads(file.read_text())
    return content


def logged_keys(records: dict[str, list[Any]]) -> set[str]:
    """Everything that one run has logged; of tables and pictures the name alone."""
    return {key.split(".")[0] for row in records["history"] for key in row["item"]}


def named_keys(spec: Any) -> Iterator[str]:
    """The logged keys that the JSON of a view names, wherever it does."""
    if isinstance(spec, list):
        for each in spec:
            yield from named_keys(each)
    elif isinstance(spec, dict):
        for key, value in spec.items():
            if key in ("xAxis", "yAxis", "zAxis") and isinstance(value, str):
                yield value.removeprefix("summary:")
            elif key in ("metrics", "mediaKeys") and isinstance(value, list):
                yield from value
            elif key == "columnPinned":
                yield from (name.removeprefix("summary:") for name in value if name != "run:displayName")
            else:
                yield from named_keys(value)


def test_a_column_of_a_table_has_one_type() -> None:
    rows = [{"count": 3, "bpd": 4.5}, {"count": "1 of 3", "bpd": None}]  # as while a sweep runs
    columns = (Column("seeds", "count"), Column("bpd", "bpd"))
    panel = TablePanel(key="a", title="a", columns=columns, sections=[("", rows, True)])
    assert draw(panel).data == [["", "3", 4.5], ["", "1 of 3", None]]


def test_every_key_of_the_dashboard_is_logged_by_a_training(
    logged_sweep: LoggedSweep, view: dict[str, Any]
) -> None:
    named = set(named_keys(view["spec"]["section"]["panelBankConfig"]["sections"]))
    named |= set(named_keys(view["spec"]["section"]["runSets"]))
    assert named >= {
        "val/bpd_estimated",
        "val/perplexity",
        "val/bit_maps",
        "train/images_per_second",
        "test/bpd",
        "test/decode_MBps",
        "coding_speed/threads1_batch8/decode_network_ms",
        "trainer/global_step",
    }
    assert not named - logged_keys(logged_sweep.records["fsar_o1s"])


def test_the_dashboard_shows_the_sweep_s_runs_grouped_by_experiment(
    logged_sweep: LoggedSweep, view: dict[str, Any]
) -> None:
    assert view["displayName"] == "fsar_lab: both"
    (runs,) = view["spec"]["section"]["runSets"]
    conditions = {(f["key"]["name"], f["op"], f["value"]) for f in runs["filters"]["filters"]}
    assert conditions == {("group", "=", "both"), ("jobType", "!=", "collect")}
    (run,) = logged_sweep.records["uniform"]["run"]
    assert run["run_group"] == "both"
    by = [group["name"].removesuffix(".value") for group in runs["grouping"] if group["section"] == "config"]
    assert by == ["experiment_hash"]
    hashes = [records["run"][0]["config"]["update"][by[0]] for records in logged_sweep.records.values()]
    assert len(set(hashes)) == 2


def test_the_dashboard_has_the_table_with_differences(
    logged_sweep: LoggedSweep, view: dict[str, Any]
) -> None:
    panels = [p for s in view["spec"]["section"]["panelBankConfig"]["sections"] for p in s["panels"]]
    texts = [panel["config"]["value"] for panel in panels if panel["viewType"] == "Markdown Panel"]
    result = json.loads((logged_sweep.jobs["uniform"] / "result.json").read_text())
    png = next(row["bpd"] for row in result["baselines"] if row["codec"] == "png")
    figures = f"{result['bpd']:.4f}", f"{100 * (result['bpd'] / png - 1):+.2f}"
    assert [text for text in texts if all(figure in text for figure in figures)]


def test_without_a_key_it_writes_what_it_would_create(tmp_path: Path, root: Path) -> None:
    pytest.importorskip("wandb_workspaces", reason="pip install 'fsar_lab[dashboard]'")
    done = command(tmp_path, root, {}, "project=mine")
    assert done.returncode == 0, done.stderr
    path = tmp_path / "outputs" / "dashboard.json"
    assert f"no key for W&B here: nothing was published; what would be created is in {path}" in done.stdout
    assert done.stdout.endswith("to publish: `wandb login`, then the same command\n")
    assert json.loads(path.read_text())["project"] == "mine"


class StandIn(BaseHTTPRequestHandler):
    """A server that says yes, and keeps the views that it is sent."""

    views: list[dict[str, Any]]

    def do_POST(self) -> None:
        request = json.loads(self.rfile.read(int(self.headers["Content-Length"])) or "{}")
        if "upsertView" in request.get("query", ""):
            self.views.append(request["variables"])
        owner = {
            "id": "u",
            "entity": "somebody",
            "username": "somebody",
            "flags": "{}",
            "teams": {"edges": []},
        }
        data = {"viewer": owner, "upsertView": {"view": {"id": "1", "name": "nw-1-v"}, "inserted": True}}
        answer = json.dumps({"data": data}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *args: Any) -> None:
        pass


def test_with_a_key_it_publishes_the_view(tmp_path: Path, root: Path) -> None:
    pytest.importorskip("wandb_workspaces", reason="pip install 'fsar_lab[dashboard]'")
    StandIn.views = []
    with HTTPServer(("127.0.0.1", 0), StandIn) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        where = {"WANDB_BASE_URL": f"http://127.0.0.1:{server.server_port}", "WANDB_API_KEY": KEY}
        done = command(tmp_path, root, where, "project=mine")
        server.shutdown()
    assert done.returncode == 0, done.stderr
    assert "published: http" in done.stdout
    (sent,) = StandIn.views
    assert (sent["entityName"], sent["projectName"]) == ("somebody", "mine")
    assert "test/bpd" in set(named_keys(json.loads(sent["spec"])))
    assert not (tmp_path / "outputs").exists()


def command(folder: Path, root: Path, environment: dict[str, str], *arguments: str) -> Any:
    """`python -m fsar_lab.dashboard` of somebody who has no key but what the environment gives."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("WANDB")}
    own = {"HOME": str(folder), "NETRC": str(folder / "none"), "FSAR_OUTPUT": str(folder / "outputs")}
    line = [sys.executable, "-m", "fsar_lab.dashboard", *arguments]
    return subprocess.run(
        line, env=kept | own | {"PYTHONPATH": str(root)} | environment, capture_output=True, text=True
    )


def test_without_the_package_it_names_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(FsarError, match=r"pip install 'fsar_lab\[dashboard\]'"):
        dashboard.main(["dry_run=true"])


@pytest.mark.parametrize("argument", ["prject=mine", "dry_run=perhaps"])
def test_a_mistyped_argument_is_refused(argument: str) -> None:
    with pytest.raises(ConfigError, match=f"{argument.split('=')[0]}.*--help"):
        dashboard.main([argument])


def test_a_sweep_s_report_is_one_run_of_its_group(
    logged_sweep: LoggedSweep,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    wandb_records: Callable[[Path], dict[str, list[Any]]],
) -> None:
    monkeypatch.setenv("WANDB_DATA_DIR", str(tmp_path))
    runs = read_runs(logged_sweep.folder)
    panels, rows = build_panels(runs, "png"), rows_of(runs, "png")
    rate = ScatterPanel(
        key="rate", title="t", x=Axis("speed", "x"), y=Axis("bpd", "y"), points=[Point("a", 1.0, 2.0)]
    )
    log_report([*panels, rate], rows, tmp_path, settings_of(runs, logged_sweep.folder))
    records = wandb_records(tmp_path)
    (run,) = records["run"]
    assert (run["run_group"], run["job_type"]) == ("both", "collect")
    assert [end["exit_code"] for end in records["exit"]] == [0]
    logged = {key: value for row in records["history"] for key, value in row["item"].items()}
    (files,) = tmp_path.glob("wandb/offline-run-*/files")
    for panel in panels:
        if isinstance(panel, TablePanel):
            table = json.loads((files / logged[f"report/{panel.key}.path"]).read_text())
            assert len(set(table["columns"])) == len(table["columns"]) == len(panel.columns) + 1
            shown = [row for _, section, _ in panel.sections for row in section]
            assert [cells[1:] for cells in table["data"]] == [
                [pytest.approx(row.get(column.key)) for column in panel.columns] for row in shown
            ]
    assert logged["report/images.count"] == 2
    points = json.loads((files / logged["report/rate_table.path"]).read_text())
    assert points["data"] == [["a", 1.0, 2.0, None, False, None]]
    everything = json.loads((files / logged["report/rows.path"]).read_text())
    assert everything["columns"] == list(KEYS)
    assert [cells[0] for cells in everything["data"]] == [row["experiment"] for row in rows]


def test_collect_offers_the_report_to_wandb(
    logged_sweep: LoggedSweep,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pytest.importorskip("matplotlib", reason="pip install 'fsar_lab[report]'")
    sent: list[Any] = []
    monkeypatch.setattr(collect, "log_report", lambda *arguments: sent.append(arguments))
    collect.main([str(logged_sweep.folder), f"out={tmp_path}", "wandb=offline"])
    ((panels, rows, out, settings),) = sent
    assert {"results", "losses", "images"} <= {panel.key for panel in panels}
    assert [row["experiment"] for row in rows][-1] == "png"
    assert (out, settings.mode, settings.group) == (tmp_path, "offline", "both")


def test_every_figure_of_a_report_comes_from_a_training(logged_sweep: LoggedSweep) -> None:
    panels = {panel.key: panel for panel in build_panels(read_runs(logged_sweep.folder), "png")}
    assert set(panels) == {
        *("results", "rate-speed", "rate-bundle", "rate-tables", "bits", "time", "training", "perplexity"),
        *("dead-codes", "losses", "speed", "images", "runs"),
    }
    for key in ("results", "losses", "speed", "runs"):
        table = panels[key]
        assert isinstance(table, TablePanel)
        rows = [row for _, rows, _ in table.sections for row in rows if row.get("standing") != "classical"]
        missing = {(key, c.heading) for row in rows for c in table.columns if row.get(c.key) is None}
        assert missing <= {("runs", "error"), ("results", "Pareto front")}, missing
