"""The small files of a run directory: its configuration, what came of it, and how often it was tried.

Imports neither torch nor hydra, so that finished jobs of a sweep are found at once.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import socket
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml

from fsar_lab import slurm
from fsar_lab.config.build import to_plain
from fsar_lab.config.schema import TrainConfig
from fsar_lab.errors import RunningElsewhereError

CONFIG = "config.yaml"
RESULT = "result.json"
ATTEMPTS = "attempts.json"
MAX_ATTEMPTS = 3  # of a job of a sweep, as long as its configuration stays the same


def write_text(path: Path, text: str) -> None:
    """Write under another name, then rename: a reader sees the old file or the whole new one."""
    temporary = path.with_name(path.name + ".partial")
    temporary.write_text(text, encoding="utf-8")
    os.replace(temporary, path)


def save_config(run_dir: Path, config: TrainConfig) -> None:
    """The resolved configuration as plain YAML."""
    write_text(run_dir / CONFIG, yaml.safe_dump(to_plain(config), sort_keys=False))


def write_result(run_dir: Path, result: dict[str, Any], name: str = RESULT) -> Path:
    """Write a result atomically; returns its path."""
    path = run_dir / name
    write_text(path, json.dumps(result, indent=2, allow_nan=False) + "\n")
    return path


def read_result(run_dir: Path, name: str = RESULT) -> dict[str, Any]:
    """The run's result; empty if there is none, or none that can be read."""
    content = _read(run_dir / name)
    return content if isinstance(content, dict) else {}


def read_attempts(run_dir: Path) -> list[dict[str, Any]]:
    """The attempts at the run's present configuration, the earliest first."""
    content = _read(run_dir / ATTEMPTS)
    return [one for one in content if isinstance(one, dict)] if isinstance(content, list) else []


def begin_attempt(run_dir: Path, config_hash: str) -> None:
    """Note that an attempt begins now, in this process; those at another configuration are forgotten.

    One that never ended was killed, and is noted as that. Of several processes that begin at the same moment
    one gets through.

    Raises:
        RunningElsewhereError: another living process is at it.
    """
    with _locked(run_dir):
        if running := is_running(run_dir):
            raise RunningElsewhereError(
                f"{run_dir}: process {running['pid']} on {running['host']} is at this run already -> wait "
                "for it, or stop it"
            )
        _begin_attempt(run_dir, config_hash)


def _begin_attempt(run_dir: Path, config_hash: str) -> None:
    attempts = [one for one in read_attempts(run_dir) if one.get("config_hash") == config_hash]
    for one in attempts:
        if one["ended"] is None:
            one["status"] = "killed"
    host, pid = socket.gethostname(), os.getpid()
    attempts.append(
        {
            "started": now(),
            "ended": None,
            "status": "running",
            "config_hash": config_hash,
            "host": host,
            "pid": pid,
            "process": process_start(pid),
            "slurm_job": os.environ.get("SLURM_JOB_ID"),
        }
    )
    _write_attempts(run_dir, attempts)


def end_attempt(run_dir: Path, status: str, error: str | None = None) -> None:
    """Note that the attempt that this process has begun has ended; nothing if its note was removed meanwhile.

    Args:
        run_dir: Run directory in which `begin_attempt` was called.
        status: ok | failed | interrupted (on request: Ctrl-C) | refused (for what is amiss around it: data,
            packages, a key).
        error: Why it failed.
    """
    own = socket.gethostname(), os.getpid()
    with _locked(run_dir):
        attempts = read_attempts(run_dir)
        for one in reversed(attempts):
            if (one["host"], one["pid"]) == own and one["ended"] is None:
                one |= {"ended": now(), "status": status} | ({} if error is None else {"error": error})
                _write_attempts(run_dir, attempts)
                return


def used_up(run_dir: Path, config_hash: str) -> bool:
    """Whether MAX_ATTEMPTS at this configuration failed or were killed; others may end well another time."""
    attempts = [one for one in read_attempts(run_dir) if one.get("config_hash") == config_hash]
    return sum(one["status"] not in ("ok", "interrupted", "refused") for one in attempts) >= MAX_ATTEMPTS


def is_running(run_dir: Path) -> dict[str, Any] | None:
    """The attempt that another living process makes at this moment, if there is one that is known of."""
    attempts = read_attempts(run_dir)
    if not attempts or attempts[-1]["ended"] is not None:
        return None
    last, job = attempts[-1], os.environ.get("SLURM_JOB_ID")
    if (last["host"], last["pid"]) == (socket.gethostname(), os.getpid()):
        return None
    if job is not None and last.get("slurm_job") == job and last["host"] != socket.gethostname():
        return None  # the same job before SLURM began it again, on another machine
    return last if is_gone(last) is False else None


def is_gone(attempt: Mapping[str, Any]) -> bool | None:
    """Whether the process of an attempt is there no more; None if that cannot be known.

    It can be of this machine's processes, and of others' jobs in a queue of SLURM that can be asked.
    """
    if attempt.get("host") == socket.gethostname():
        began = attempt.get("process")
        return None if began is None else process_start(attempt["pid"]) != began
    job = attempt.get("slurm_job")
    return None if job is None else slurm.has_ended(job)


def process_start(pid: int) -> int | None:
    """When a process began, in the kernel's ticks since boot: tells it from a later one of the same number.

    None if there is no such process, or no /proc.
    """
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] == "Z" else int(fields[19])


@contextlib.contextmanager
def _locked(run_dir: Path) -> Iterator[None]:
    """Alone with `attempts.json`: a lock upon the directory, which the kernel drops if the process dies."""
    directory = os.open(run_dir, os.O_RDONLY)
    try:
        with contextlib.suppress(OSError):  # a file system without locks
            fcntl.flock(directory, fcntl.LOCK_EX)
        yield
    finally:
        os.close(directory)


def _write_attempts(run_dir: Path, attempts: list[dict[str, Any]]) -> None:
    write_text(run_dir / ATTEMPTS, json.dumps(attempts, indent=2) + "\n")


def now() -> str:
    """This moment as it is noted: ISO 8601, UTC."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def _read(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
