"""Jobs in a queue: ended, going on, or not to be known; squeue is played by what it prints."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

from fsar_lab import result_files, slurm


@pytest.mark.parametrize(
    ("code", "said", "complaint", "ended"),
    [
        (0, "RUNNING", "", False),
        (0, "FAILED", "", True),
        (0, "", "", True),
        (1, "", "slurm_load_jobs error: Invalid job id specified", True),
        (1, "", "slurm_load_jobs error: Unable to contact slurm controller", False),
    ],
)
def test_a_queue_that_does_not_answer_ends_no_job(
    code: int, said: str, complaint: str, ended: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer = SimpleNamespace(returncode=code, stdout=f"{said}\n", stderr=complaint)
    monkeypatch.setattr("subprocess.run", lambda *args, **kwargs: answer)
    assert slurm.has_ended("7") is ended


def test_no_queue_no_job(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    assert slurm.has_ended("7")


def test_a_job_on_another_machine_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    running = {"7"}
    monkeypatch.setattr(slurm, "has_ended", lambda job: job not in running)
    monkeypatch.setattr("socket.gethostname", lambda: "node1")
    monkeypatch.setenv("SLURM_JOB_ID", "7")
    result_files.begin_attempt(tmp_path, "a")
    monkeypatch.setattr("socket.gethostname", lambda: "node2")
    assert result_files.is_running(tmp_path) is None  # the same job, begun again elsewhere
    monkeypatch.setenv("SLURM_JOB_ID", "8")
    found = result_files.is_running(tmp_path)
    assert found is not None and (found["host"], found["slurm_job"]) == ("node1", "7")
    running.clear()
    assert result_files.is_running(tmp_path) is None
