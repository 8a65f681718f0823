"""Sweeps in miniature: one job fails, one is killed, and the same command goes on with them."""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from fsar_lab.report.runs import read_runs
from fsar_lab.report.wandb_table import settings_of
from fsar_lab.result_files import ATTEMPTS, RESULT

SUBMITIT = importlib.util.find_spec("submitit") is not None
SLURM = pytest.mark.skipif("FSAR_TEST_SLURM" not in os.environ, reason="`make test-slurm` runs it")
Start = Callable[[list[str]], Any]


@pytest.fixture
def sweep(tiny: list[str]) -> list[str]:
    """The sweep over seeds, of tiny jobs; what to add: seed=, and anything else."""
    kept = [o for o in tiny if not o.startswith(("trainer.train_images=", "dataset.test_images="))]
    few = ["trainer.train_images=80", "dataset.test_images=8", "callbacks.coding.baselines=[]"]
    return [*kept, *few, "prior=uniform", "+sweep=seeds", "experiment=demo"]


def read(sweep_dir: Path, key: str, name: str = RESULT) -> dict[Any, Any]:
    """What the runs of a sweep left in a file, by their value of `key`."""
    found = {}
    for file in sweep_dir.glob(f"*/{name}"):
        value = yaml.safe_load((file.parent / "config.yaml").read_text())
        for part in key.split("."):
            value = value[part]
        found[value] = json.loads(file.read_text())
    return found


def attempts(sweep_dir: Path, key: str) -> dict[Any, list[str]]:
    """The status of each attempt."""
    return {
        value: [one["status"] for one in tried] for value, tried in read(sweep_dir, key, ATTEMPTS).items()
    }


def test_a_failing_job_costs_only_itself(
    sweep: list[str],
    train_command: Start,
    tmp_path: Path,
    wandb_records: Callable[[Path], dict[str, list[Any]]],
) -> None:
    key, sweep_dir = "optimizer.lr", tmp_path / "outputs" / "sweeps" / "seeds"
    sweep += ["seed=5", "optimizer.lr=1e30,4e-3"]

    first = train_command([*sweep, "logger=wandb_offline"])  # neither logger nor threads make it another job
    assert first.wait() == 1, first.stderr
    assert attempts(sweep_dir, key) == {1e30: ["failed"], 4e-3: ["ok"]}
    results = read(sweep_dir, key)
    assert {lr: result["status"] for lr, result in results.items()} == {1e30: "failed", 4e-3: "ok"}
    said = " ".join(first.stdout.split())
    assert "1 of 2 jobs have no result" in said and "the loss stopped being finite" in said
    assert "goes on with the others: python -m fsar_lab.train dataset=fake" in said
    runs = [path.parents[1] for path in sweep_dir.glob("*/wandb/offline-run-*")]
    assert len(runs) == len(set(runs)) == 2  # one W&B run for each job, in its own directory

    again = train_command([*sweep, "trainer.threads=2"])
    assert again.wait() == 1
    assert attempts(sweep_dir, key) == {1e30: ["failed"] * 2, 4e-3: ["ok"]}
    assert "finished already, taken from" in again.stdout
    assert read(sweep_dir, key)[4e-3] == results[4e-3]

    by_status = {json.loads((run / RESULT).read_text())["status"]: run for run in runs}
    stale = results[4e-3] | {"config_hash": "that of another configuration"}
    (by_status["ok"] / RESULT).write_text(json.dumps(stale))
    tried = json.loads((by_status["failed"] / ATTEMPTS).read_text())
    (by_status["failed"] / ATTEMPTS).write_text(json.dumps([*tried, tried[-1]]))
    exhausted = train_command(sweep)
    assert exhausted.wait() == 1
    assert attempts(sweep_dir, key) == {1e30: ["failed"] * 3, 4e-3: ["ok"] * 2}
    assert "3 attempts have failed" in exhausted.stdout and ATTEMPTS in exhausted.stdout

    other = train_command([*sweep, "logger.group=other", "logger=wandb_offline"])
    assert other.wait() == 1
    assert f"finished already in another sweep, copied from {sweep_dir}" in other.stdout
    other_dir = sweep_dir.with_name("other")
    assert read(other_dir, key)[4e-3]["bpd"] == results[4e-3]["bpd"]
    assert attempts(other_dir, key) == {1e30: ["failed"], 4e-3: ["ok"] * 2}
    assert settings_of(read_runs(other_dir), other_dir).group == "other"
    (taken,) = (run for run in read_runs(other_dir) if run.status == "ok")
    records = wandb_records(taken.path)
    assert [run["run_group"] for run in records["run"]] == ["other"]
    assert "test/bpd" in {key for row in records["history"] for key in row["item"]}


@pytest.mark.slow
@pytest.mark.skipif(not SUBMITIT, reason="submitit, of the extra `sweep`, is not installed")
@pytest.mark.parametrize("where", ["local", pytest.param("slurm", marks=SLURM)])
def test_a_killed_job_costs_only_itself(
    where: str, sweep: list[str], train_command: Start, tmp_path: Path
) -> None:
    sweep_dir = tmp_path / "outputs" / "sweeps" / "seeds"
    sweep += [f"hydra/launcher=submitit_{where}", "seed=1,2"]

    first = train_command(sweep)
    pid = next(until(lambda: pids(sweep_dir, seed=1)))
    os.kill(pid, signal.SIGKILL)
    assert first.wait() == 1, first.stderr
    assert attempts(sweep_dir, "seed") == {1: ["running"], 2: ["ok"]}
    assert read(sweep_dir, "seed").keys() == {2}
    assert "killed (it began" in first.stdout and "1 of 2 jobs have no result" in first.stdout

    second = train_command(sweep)
    assert second.wait() == 0, second.stderr
    assert attempts(sweep_dir, "seed") == {1: ["killed", "ok"], 2: ["ok"]}
    assert {seed: result["status"] for seed, result in read(sweep_dir, "seed").items()} == {1: "ok", 2: "ok"}


@pytest.mark.slow
@pytest.mark.skipif(not SUBMITIT, reason="submitit, of the extra `sweep`, is not installed")
@pytest.mark.skipif((os.cpu_count() or 1) < 2, reason="one core: two processes are refused")
def test_a_job_of_two_devices(sweep: list[str], train_command: Start, tmp_path: Path) -> None:
    sweep_dir = tmp_path / "outputs" / "sweeps" / "seeds"
    command = train_command([*sweep, "hydra/launcher=submitit_local", "seed=1", "trainer.devices=2"])
    assert command.wait() == 0, command.stdout + command.stderr
    (result,) = read(sweep_dir, "trainer.devices").values()
    assert (result["status"], result["train_images"]) == ("ok", 80)
    assert attempts(sweep_dir, "trainer.devices") == {2: ["ok"]}


def pids(sweep_dir: Path, seed: int) -> list[int]:
    """The process that is at the job of a seed."""
    return [tried[-1]["pid"] for value, tried in read(sweep_dir, "seed", ATTEMPTS).items() if value == seed]


def until(condition: Callable[[], list[int]], seconds: float = 120) -> Any:
    """What `condition` finds, as soon as it finds something."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        with contextlib.suppress(FileNotFoundError):  # an attempt is noted just before its configuration
            yield from condition()
        time.sleep(0.02)
    raise AssertionError("waited in vain")
