"""Run directories as plain data: finished, failed, running or not yet begun. Needs no torch.

A run directory is read as `fsar_lab.run_files` and the loggers write it: `config.yaml`, `result.json`,
`attempts.json`, `logs/version_*/metrics.csv`, `pictures/*.png`. Each may be missing, or be half a file.
Where a model was trained on one machine and coded on another, or its coding failed at first, the later
evaluation of its own test set counts.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import yaml

from fsar_lab.config.build import plain_hash
from fsar_lab.errors import ConfigError
from fsar_lab.result_files import ATTEMPTS, RESULT, is_gone, read_attempts, read_result

Status = Literal["ok", "failed", "running", "waiting"]
Curve = list[tuple[float, float]]  # training images seen, value
_MARKS = ("config.yaml", RESULT, ATTEMPTS)


@dataclass(frozen=True)
class Run:
    """One run directory.

    Attributes:
        path: the directory.
        name: the experiment's name as configured; the directory's if that is not known yet.
        status: `ok` (coded, decoded, compared), `failed`, `running`, or `waiting` (nothing has begun).
        error: what a failed run died of.
        progress: share of the training images seen, 0 to 1; None if nothing is known.
        attempts: content of attempts.json: how often it was started, and how that ended.
        config: resolved configuration, empty if it is not there yet.
        result: content of result.json, empty until the run has ended.
        curves: logged figures by key, e.g. `val/bpd_estimated`, over all starts of the run.
        overrides: what the command line of this job said, as Hydra recorded it.
        pictures: contact sheets with bit maps, oldest first.
        written: when a figure was last written, `2026-11-26 16:05` UTC: a sign of life.
    """

    path: Path
    name: str
    status: Status
    error: str | None = None
    progress: float | None = None
    attempts: list[dict[str, Any]] = field(default_factory=list)
    config: dict[str, Any] = field(default_factory=dict)
    result: dict[str, Any] = field(default_factory=dict)
    curves: dict[str, Curve] = field(default_factory=dict)
    overrides: list[str] = field(default_factory=list)
    pictures: list[Path] = field(default_factory=list)
    written: str | None = None

    @property
    def seed(self) -> int | None:
        """Seed of the run."""
        return self.config.get("seed")


def read_runs(folder: Path) -> list[Run]:
    """All runs of a sweep's directory, or the one run whose directory `folder` is, ordered by path.

    Raises:
        ConfigError: there is no such folder, or no run in it.
    """
    if not folder.is_dir():
        raise ConfigError(f"{folder}: no such folder; give a sweep's, e.g. outputs/sweeps/NAME, or a run's")
    runs = [read_run(path) for path in _run_directories(folder)]
    if not runs:
        inside = sorted(entry.name for entry in folder.iterdir())
        found = f"it holds {', '.join(inside[:5])}{', ...' if len(inside) > 5 else ''}" if inside else "empty"
        raise ConfigError(
            f"{folder}: no run of fsar_lab in it ({found}); "
            "give the folder of a sweep, whose sub-folders are runs, or that of a run (with its config.yaml)"
        )
    return runs


def read_run(path: Path) -> Run:
    """The state of one run directory at this moment."""
    config = _mapping(path / "config.yaml")
    config = config if _is_ours(config) else {}
    attempts = read_attempts(path)
    result = _result(path, config, attempts)
    curves = _curves(path, int(config.get("trainer", {}).get("batch_size", 1)))
    status, error = _status(config, result, attempts)
    return Run(
        path=path,
        name=str(result.get("name") or config.get("name") or path.name),
        status=status,
        error=error,
        progress=1.0 if status == "ok" else _progress(config, curves),
        attempts=attempts,
        config=config,
        result=result,
        curves=curves,
        overrides=[str(entry) for entry in _list(path / ".hydra" / "overrides.yaml")],
        pictures=sorted(path.glob("pictures/*.png")),
        written=_last_written(path),
    )


def _run_directories(folder: Path) -> Iterator[Path]:
    if _is_run(folder):
        yield folder
    else:
        yield from sorted(entry for entry in folder.iterdir() if entry.is_dir() and _is_run(entry))


def _is_run(path: Path) -> bool:
    """Whether a directory is, or is about to become, one of our runs: other programs have config.yaml too."""
    if (path / ".hydra" / "config.yaml").is_file() and not any((path / mark).exists() for mark in _MARKS):
        return _is_ours(_mapping(path / ".hydra" / "config.yaml"))
    config = _mapping(path / "config.yaml")
    return _is_ours(config) or "config_hash" in read_result(path) or bool(read_attempts(path))


def _result(path: Path, config: Mapping[str, Any], attempts: list[dict[str, Any]]) -> dict[str, Any]:
    """The run's own result if it is ok; else an evaluation of its test set that came after all that failed.

    An attempt that began after the evaluation may have trained another model: then its failure counts.
    """
    own, (evaluation, written) = read_result(path), _last_evaluation(path, config)
    if own.get("status") == "ok" or evaluation.get("status") != "ok":
        return own
    began = [_seconds(one["started"]) for one in attempts if one.get("status") != "ok"]
    if own and not attempts:
        began = [(path / RESULT).stat().st_mtime]
    return own if max(began, default=0.0) > written else evaluation


def _last_evaluation(path: Path, config: Mapping[str, Any]) -> tuple[dict[str, Any], float]:
    """The newest evaluation of the run's own configuration, wherever its images lay; when it was written."""
    found: list[tuple[dict[str, Any], float]] = []
    for file in (path / "evaluations").glob(f"{plain_hash(dict(config))}*.json") if config else ():
        evaluation = read_result(file.parent, file.name)
        told = evaluation.get("written")  # earlier ones do not tell
        found.append((evaluation, _seconds(told) if told else file.stat().st_mtime))
    return max(found, key=lambda one: one[1], default=({}, 0.0))


def _seconds(moment: str) -> float:
    return datetime.fromisoformat(moment).timestamp()


def _is_ours(config: Mapping[str, Any]) -> bool:
    return {"backbone", "prior", "coder", "dataset", "trainer"} <= config.keys()


def _status(
    config: Mapping[str, Any], result: Mapping[str, Any], attempts: list[dict[str, Any]]
) -> tuple[Status, str | None]:
    last = attempts[-1] if attempts else {}
    if result.get("status") == "ok":
        return "ok", None
    if last and last.get("ended") is None:
        if is_gone(last):
            return "failed", "its process ended without a word: killed, or out of memory"
        return "running", None
    if result or last:
        return "failed", str(result.get("error") or last.get("error") or "no error was recorded")
    return ("running" if config else "waiting"), None


def _last_written(path: Path) -> str | None:
    files = [path / RESULT, *path.glob("logs/version_*/metrics.csv")]
    times = [file.stat().st_mtime for file in files if file.is_file()]
    return f"{datetime.fromtimestamp(max(times), UTC):%Y-%m-%d %H:%M}" if times else None


def _progress(config: Mapping[str, Any], curves: Mapping[str, Curve]) -> float | None:
    wanted = config.get("trainer", {}).get("train_images")
    if not wanted:
        return None
    logged = (curve[-1][0] for key, curve in curves.items() if key.startswith(("train/", "val/")))
    seen = max(logged, default=0.0)
    return min(1.0, seen / float(wanted))


def _curves(path: Path, batch_size: int) -> dict[str, Curve]:
    """The logged figures over images seen; where a resumed run has logged a step again, the later one."""
    points: dict[str, dict[int, float]] = {}
    for log in sorted(path.glob("logs/version_*/metrics.csv"), key=_version):
        with log.open(encoding="utf-8", newline="", errors="replace") as file:
            for row in csv.DictReader(line for line in file if line.endswith("\n")):
                step = row.pop("step", None)
                if step is None or not step.isdigit():
                    continue
                for key, text in row.items():
                    if text and isinstance(text, str) and key not in (None, "epoch"):
                        _put(points.setdefault(key, {}), int(step), text)
    return {
        key: [((step + 1) * float(batch_size), value) for step, value in sorted(values.items())]
        for key, values in points.items()
        if values
    }


def _put(values: dict[int, float], step: int, text: str) -> None:
    try:
        values[step] = float(text)
    except ValueError:  # half a row
        return


def _version(log: Path) -> int:
    number = log.parent.name.removeprefix("version_")
    return int(number) if number.isdigit() else -1


def _load(path: Path) -> Any:
    """The content of a YAML file; None if it is missing, half written or something else."""
    try:
        return yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError):
        return None


def _mapping(path: Path) -> dict[str, Any]:
    content = _load(path)
    return content if isinstance(content, dict) else {}


def _list(path: Path) -> list[Any]:
    content = _load(path)
    return content if isinstance(content, list) else []
