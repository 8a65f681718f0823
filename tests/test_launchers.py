"""How many jobs of a sweep run at once, and with how many threads each."""

from __future__ import annotations

import os
from types import SimpleNamespace
from typing import Any

import pytest

pytest.importorskip("submitit", reason="of the extra `sweep`")

from hydra import initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.types import RunMode

from fsar_lab import launchers
from fsar_lab.config import resolvers, store
from fsar_lab.config.options import CONFIG_DIR


def trainer(threads: int | None = None, devices: int = 1, accelerator: str = "cpu") -> Any:
    return SimpleNamespace(threads=threads, devices=devices, accelerator=accelerator)


def started(trainers: list[Any]) -> list[str]:
    """The threads that each of those jobs would inherit that start before the first has ended."""
    launcher: Any = launchers.LocalLauncher(submitit_folder="folder")
    launcher.prepare(trainers)
    running: list[Any] = []
    threads = []
    while len(running) < len(trainers) and launcher.has_room(trainers[len(running)], running):
        running.append(trainers[len(running)])
        threads.append(os.environ["OMP_NUM_THREADS"])
    return threads


def at_once(jobs: int, **each: Any) -> int:
    return len(started([trainer(**each)] * jobs))


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


def test_jobs_of_several_widths(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: range(16))
    assert started([trainer(t) for t in (4, 8, None, 2, 1)]) == ["4", "8", "2", "2"]
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    assert started([trainer(1), trainer(16), trainer(1)]) == ["1"]
    assert started([trainer(4), trainer(1, accelerator="gpu")]) == ["4"]
    assert started([trainer(1, accelerator="gpu"), trainer(4)]) == ["1"]


def test_a_job_says_itself_how_many_threads_it_has() -> None:
    store.register()
    resolvers.register()
    with initialize_config_dir(str(CONFIG_DIR), version_base=None):
        loader = GlobalHydra.instance().config_loader()
        launcher: Any = launchers.LocalLauncher(submitit_folder="folder")
        launcher.config = loader.load_configuration("train", ["dataset=fake"], RunMode.MULTIRUN)
        launcher.hydra_context = SimpleNamespace(config_loader=loader)
        found = [launcher._trainer(own) for own in (["trainer.threads=3"], ["trainer.devices=2"])]
    assert [(one.threads, one.devices) for one in found] == [(3, 1), (None, 2)]


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
    launcher.prepare([trainer(4), trainer(), trainer(2)])
    assert launcher.params["cpus_per_task"] == 4
    assert launcher.has_room(trainer(), [trainer()] * 9) and not launcher.has_room(
        trainer(), [trainer()] * 10
    )
    launcher.prepare([trainer(8)])
    assert launcher.params["cpus_per_task"] == 4  # as it was asked for
