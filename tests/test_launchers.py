"""How many jobs of a sweep run at once, and with how many threads each."""

from __future__ import annotations

import os
from types import SimpleNamespace
from typing import Any

import pytest

pytest.importorskip("submitit", reason="of the extra `sweep`")

from fsar_lab import launchers


def at_once(jobs: int, threads: int | None = None, devices: int = 1, accelerator: str = "cpu") -> int:
    launcher: Any = launchers.LocalLauncher(submitit_folder="folder")
    trainer = SimpleNamespace(threads=threads, devices=devices, accelerator=accelerator)
    launcher.config = SimpleNamespace(trainer=trainer)
    found: int = launcher.at_once(jobs)
    return found


def test_jobs_share_the_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")  # put back in the end, whatever the launcher sets
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: range(16))
    for asked, expected, threads in [
        ({"jobs": 40}, 16, "1"),
        ({"jobs": 5}, 5, "3"),
        ({"jobs": 1}, 1, "16"),
        ({"jobs": 40, "threads": 4}, 4, "4"),
        ({"jobs": 40, "threads": 4, "devices": 2}, 2, "4"),
        ({"jobs": 40, "threads": 32}, 1, "32"),
    ]:
        monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
        assert (at_once(**asked), os.environ["OMP_NUM_THREADS"]) == (expected, threads), asked
    assert at_once(40, accelerator="gpu") == 1
    monkeypatch.setenv("OMP_NUM_THREADS", "8")
    assert at_once(40) == 2


def test_a_job_that_submitit_does_not_know_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    launcher: Any = launchers.SlurmLauncher(submitit_folder="folder", array_parallelism=1)
    ended = {"7": True, "8": False}
    monkeypatch.setattr("fsar_lab.slurm.has_ended", ended.get)
    for state, number, expected in (("UNKNOWN", "7", True), ("UNKNOWN", "8", False), ("RUNNING", "7", False)):
        watcher = SimpleNamespace(get_state=lambda job, mode, state=state: state)
        job = SimpleNamespace(done=lambda: False, job_id=number, watcher=watcher)
        assert launcher.has_ended(job) is expected


def test_a_cluster_decides_for_itself() -> None:
    launcher: Any = launchers.SlurmLauncher(
        submitit_folder="folder", array_parallelism=10, cpus_per_task=None
    )
    launcher.config = SimpleNamespace(trainer=SimpleNamespace(threads=4))
    assert (launcher.at_once(40), launcher.at_once(3)) == (10, 3)
    assert launcher.params["cpus_per_task"] == 4
