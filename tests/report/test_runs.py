"""Runs are read in whatever state they are."""

from __future__ import annotations

import json
import os
import socket
from pathlib import Path
from typing import Any

import pytest
import yaml

from fsar_lab.config.build import plain_hash
from fsar_lab.errors import ConfigError
from fsar_lab.report.planned import waiting_runs
from fsar_lab.report.runs import Run, read_run, read_runs
from fsar_lab.result_files import process_start

from .conftest import Make


def attempts(path: Path, **last: Any) -> None:
    here = {"started": "2026-11-26T10:00:00+00:00", "ended": None, "status": "running"}
    process = {"host": socket.gethostname(), "pid": os.getpid(), "process": process_start(os.getpid())}
    (path / "attempts.json").write_text(json.dumps([here | process | last]))


def test_a_finished_run(make: Make) -> None:
    run = read_run(make("a", 3, 4.25))
    assert (run.name, run.seed, run.status, run.progress) == ("a", 3, "ok", 1.0)
    assert run.result["bpd"] == 4.25
    assert run.curves["val/bpd_estimated"] == [(10_000.0, 6.0), (25_000.0, 5.0)]
    assert [picture.name for picture in run.pictures] == ["step_0000100.png"]


def test_an_unfinished_run_says_how_far_it_is(make: Make) -> None:
    path = make("a", 0, None)
    os.utime(path / "logs" / "version_0" / "metrics.csv", (0, 90_061))
    assert read_run(path).written == "1970-01-02 01:01"
    assert read_run(path).status == "running" and read_run(path).progress == 0.75
    attempts(path)
    assert read_run(path).status == "running"
    attempts(path, host="elsewhere", pid=1, process=1)  # of another machine nothing is known
    assert read_run(path).status == "running"


def test_a_killed_run_failed(make: Make) -> None:
    path = make("a", 0, None)
    attempts(path, process=-1)  # another process has the number by now
    run = read_run(path)
    assert run.status == "failed" and run.error is not None and "without a word" in run.error
    assert run.progress == 0.75


def test_a_failed_run_says_why(make: Make) -> None:
    path = make("a", 0, 4.0, status="failed", error="TrainingError: boom")
    assert (read_run(path).status, read_run(path).error) == ("failed", "TrainingError: boom")
    attempts(path)  # and it is tried again
    assert read_run(path).status == "running"
    attempts(path, ended="2026-11-26T10:01:00+00:00", status="failed", error="again")
    (path / "result.json").unlink()
    assert (read_run(path).status, read_run(path).error) == ("failed", "again")


def test_half_a_file_is_no_file(make: Make) -> None:
    path = make("a", 0, 4.0)
    text = (path / "result.json").read_text()
    (path / "result.json").write_text(text[: len(text) // 2])
    log = path / "logs" / "version_0" / "metrics.csv"
    log.write_text(log.read_text() + "0,474,4.8,4.")
    run = read_run(path)
    assert run.status == "running"
    assert run.curves["val/bpd_estimated"][-1] == (25_000.0, 5.0)
    (path / "config.yaml").write_text("trainer: [")
    assert read_run(path).status == "waiting"


def test_a_resumed_run_goes_on_with_its_curves(make: Make) -> None:
    path = make("a", 0, None)
    for version, text in (
        (2, "step,val/bpd_estimated\n249,4.75\n499,4.5\n"),
        (10, "step,val/bpd_estimated\n499,4.4\n"),
    ):
        (path / "logs" / f"version_{version}").mkdir()
        (path / "logs" / f"version_{version}" / "metrics.csv").write_text(f"step,val/bpd_estimated\n{text}")
    assert read_run(path).curves["val/bpd_estimated"] == [(10_000.0, 6.0), (25_000.0, 4.75), (50_000.0, 4.4)]


def test_an_evaluation_of_the_own_test_set_counts(make: Make) -> None:
    path = make("a", 0, 4.0)
    (path / "evaluations").mkdir()
    hashed = plain_hash(yaml.safe_load((path / "config.yaml").read_text()))
    (path / "result.json").rename(path / "evaluations" / "0123456789abcdef.json")  # of other images
    assert read_run(path).status == "running"
    (path / "evaluations" / "0123456789abcdef.json").rename(path / "evaluations" / f"{hashed}-0a.json")
    assert read_run(path).status == "ok" and read_run(path).result["bpd"] == 4.0


def test_an_evaluation_counts_if_it_came_after_what_failed(make: Make) -> None:
    path = make("a", 0, 4.0)
    (path / "evaluations").mkdir()
    hashed = plain_hash(yaml.safe_load((path / "config.yaml").read_text()))
    evaluation = json.loads((path / "result.json").read_text()) | {"written": "2026-11-26T12:00:00+00:00"}
    (path / "evaluations" / f"{hashed}.json").write_text(json.dumps(evaluation))
    (path / "result.json").write_text('{"status": "failed", "error": "no compiler"}')
    ended = {"ended": "2026-11-26T12:30:00+00:00", "status": "failed"}
    attempts(path, **ended)  # it began at 10:00
    assert read_run(path).status == "ok" and read_run(path).result["bpd"] == 4.0
    attempts(path, **ended, started="2026-11-26T12:20:00+00:00")  # trained anew since
    assert (read_run(path).status, read_run(path).error) == ("failed", "no compiler")
    attempts(path, started="2026-11-26T12:20:00+00:00")
    assert read_run(path).status == "running"
    (path / "attempts.json").unlink()  # then the files' times tell
    os.utime(path / "result.json", (0, 90_061))
    assert read_run(path).status == "ok"
    os.utime(path / "result.json")
    assert read_run(path).status == "failed"


def test_folders(make: Make, tmp_path: Path) -> None:
    path = make("b", 0, 4.0)
    make("a", 0, None)
    for name in (".submitit", "report"):
        (path.parent / name).mkdir()
    (path.parent / "multirun.yaml").write_text("hydra: {}")
    assert [run.name for run in read_runs(path.parent)] == ["a", "b"]
    assert [run.name for run in read_runs(path)] == ["b"]
    with pytest.raises(ConfigError, match="no such folder"):
        read_runs(tmp_path / "nothing")
    foreign = tmp_path / "foreign"
    foreign.mkdir()
    with pytest.raises(ConfigError, match="empty"):
        read_runs(foreign)
    (foreign / "theirs").mkdir()
    (foreign / "theirs" / "config.yaml").write_text("model: {layers: 3}")
    (foreign / "theirs" / "result.json").write_text('{"accuracy": 1}')
    with pytest.raises(ConfigError, match="it holds theirs"):
        read_runs(foreign)


def plan(folder: Path, task: list[str], params: dict[str, str] | None) -> None:
    folder.mkdir()
    content = {"hydra": {"sweeper": {"params": params}, "overrides": {"task": task}}}
    (folder / "multirun.yaml").write_text(yaml.safe_dump(content))


def test_jobs_that_have_not_begun(tmp_path: Path) -> None:
    plan(tmp_path / "s", ["dataset=fake", "seed=0,1"], {"prior": "uniform,fsar_o1s"})
    every = waiting_runs(tmp_path / "s", ())
    assert {run.status for run in every} == {"waiting"} and sorted(str(run.seed) for run in every) == list(
        "0011"
    )
    some = waiting_runs(tmp_path / "s", {every[0].path.name})
    assert [run.path for run in some] == [run.path for run in every[1:]]
    plan(tmp_path / "old", ["dataset=fake", "no.such=1,2"], None)
    assert waiting_runs(tmp_path / "old", ()) == []
    assert waiting_runs(tmp_path, ()) == []


def test_a_run_is_plain_data() -> None:
    assert Run(Path("x"), "x", "waiting").seed is None
