"""Attempts are counted for a configuration, and tell running, killed, failed and interrupted ones apart."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from fsar_lab import result_files
from fsar_lab.result_files import begin_attempt, end_attempt, is_running, read_attempts, used_up


def test_three_failures_use_a_job_up_unless_its_configuration_changes(tmp_path: Path) -> None:
    for status in ("failed", "interrupted", "failed", "ok", "refused", "failed"):
        assert not used_up(tmp_path, "a")
        begin_attempt(tmp_path, "a")
        end_attempt(tmp_path, status, None if status == "ok" else "why")
    assert used_up(tmp_path, "a")
    assert not used_up(tmp_path, "b")
    begin_attempt(tmp_path, "b")
    assert [one["config_hash"] for one in read_attempts(tmp_path)] == ["b"]


def test_an_attempt_that_never_ended_was_killed_and_counts(tmp_path: Path) -> None:
    for _ in range(4):
        begin_attempt(tmp_path, "a")
    assert [one["status"] for one in read_attempts(tmp_path)] == ["killed"] * 3 + ["running"]
    assert used_up(tmp_path, "a")
    assert read_attempts(tmp_path)[-1]["pid"] == os.getpid()


def test_a_job_runs_as_long_as_its_process_lives(tmp_path: Path) -> None:
    begin_attempt(tmp_path, "a")
    assert is_running(tmp_path) is None  # it is we
    end_attempt(tmp_path, "failed")
    code = "import pathlib, sys; from fsar_lab.result_files import begin_attempt;"
    code += "begin_attempt(pathlib.Path(sys.argv[1]), 'a'); print('begun', flush=True); sys.stdin.read()"
    command = [sys.executable, "-c", code, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None and process.stdout.readline() == b"begun\n"
        running = is_running(tmp_path)
        assert running is not None and running["pid"] == process.pid
        process.kill()
        process.wait()
        assert is_running(tmp_path) is None
    attempts = read_attempts(tmp_path)
    attempts[-1] |= {"pid": 1, "process": -1}  # another process has the number now
    result_files.write_text(tmp_path / result_files.ATTEMPTS, json.dumps(attempts))
    assert is_running(tmp_path) is None


def test_of_several_that_begin_at_once_one_gets_through(tmp_path: Path) -> None:
    code = (
        "import pathlib, sys; from fsar_lab.result_files import begin_attempt; from fsar_lab import errors\n"
    )
    code += "print('ready', flush=True); sys.stdin.readline()\n"
    code += "try: begin_attempt(pathlib.Path(sys.argv[1]), 'a'); print('begun', flush=True)\n"
    code += "except errors.RunningElsewhereError as error: print(error, flush=True)\n"
    code += "sys.stdin.readline()"
    command = [sys.executable, "-c", code, str(tmp_path)]
    pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True, "bufsize": 1}
    for expected in (1, 2):  # those of the first round are dead in the second, and block nothing
        processes = [subprocess.Popen(command, **pipes) for _ in range(4)]
        assert [process.stdout.readline() for process in processes] == ["ready\n"] * 4
        for process in processes:
            process.stdin.write("go\n")
        said = [process.stdout.readline() for process in processes]
        assert said.count("begun\n") == 1, said
        assert sum("is at this run already" in line for line in said) == 3
        for process in processes:
            process.kill()
            process.communicate()
        assert len(read_attempts(tmp_path)) == expected


def test_what_cannot_be_read_counts_as_absent(tmp_path: Path) -> None:
    (tmp_path / result_files.ATTEMPTS).write_text("{")
    (tmp_path / result_files.RESULT).write_text("[]")
    assert read_attempts(tmp_path) == [] and result_files.read_result(tmp_path) == {}
