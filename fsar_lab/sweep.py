"""Jobs of a sweep: reuse what is finished, survive what fails, tell in the end what came of each.

Imports neither torch nor lightning.
"""

from __future__ import annotations

import dataclasses
import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from fsar_lab import result_files
from fsar_lab.config.build import config_hash, places, to_plain
from fsar_lab.config.schema import TrainConfig
from fsar_lab.errors import InterruptedTrainingError, TrainingError
from fsar_lab.result_files import ATTEMPTS, CONFIG, MAX_ATTEMPTS, RESULT

Task = Callable[[TrainConfig, Path], float | None]
NOT_A_NUMBER = float("nan")  # what a job that has no result returns


@dataclasses.dataclass
class SweepJob:
    """One job as the command line asks for it."""

    overrides: list[str]
    run_dir: Path
    config: TrainConfig

    @property
    def config_hash(self) -> str:
        """Of its configuration."""
        return config_hash(self.config)


@dataclasses.dataclass
class Outcome:
    """What came of a job; `why` is empty if it is ok."""

    ok: bool
    bpd: float | None
    attempts: int
    why: str
    again: bool = True  # the same command would try it again


def coded(run_dir: Path, config: TrainConfig) -> dict[str, Any]:
    """The result of a run of today's configuration that has coded its images; else empty."""
    result = result_files.read_result(run_dir)
    return result if result.get("status") == "ok" and result.get("config_hash") == config_hash(config) else {}


def finished(run_dir: Path, config: TrainConfig) -> dict[str, Any]:
    """The result of a run that has coded its images and measured all that is asked for now; else empty."""
    result = coded(run_dir, config)
    return result if result and not _missing(result, config) else {}


def _missing(result: Mapping[str, Any], config: TrainConfig) -> list[str]:
    """What is asked for now and was not when a result was made: the hash does not tell."""
    asked, there = config.callbacks, {row["codec"] for row in result.get("baselines") or ()}
    missing = [name for name in asked.coding.baselines if name not in there]
    if asked.coding_speed.enabled and "coding_speed" not in result:
        missing.append("coding speed")
    if asked.coding.siblings and result.get("siblings", []) is None:
        missing.append("siblings")
    return missing


def take_over(run_dir: Path, config: TrainConfig) -> Path | None:
    """Copy the finished run of the same configuration and data that a sweep beside this one has, if any.

    Of one that lacks a measurement that is asked for now the trained model is copied, and no result: it only
    has to be coded. A run of our own that lacks one stays as it is, if no other has all.

    Returns:
        Where it was; None if there is none.
    """
    data = places(to_plain(config), Path.cwd())
    twins = []
    for file in sorted(run_dir.parent.parent.glob(f"*/*/{RESULT}")):
        if file.parent == run_dir or _places_of(file.parent) != data:
            continue
        if coded(file.parent, config):
            twins.append(file.parent)
    whole = [twin for twin in twins if finished(twin, config)]
    twin = next(iter(whole or ([] if coded(run_dir, config) else twins)), None)
    if twin is None:
        return None
    own = shutil.ignore_patterns(RESULT, ".hydra", "wandb")
    shutil.copytree(twin, run_dir, ignore=own, dirs_exist_ok=True)
    result_files.save_config(run_dir, config)  # with this sweep's group in W&B
    if whole:  # the result comes last: then all is there
        result_files.write_result(run_dir, coded(twin, config) | {"name": config.name})
    return twin


def _places_of(run_dir: Path) -> list[str] | None:
    """Where the data of a run lay, of which the hash knows the folders' names alone; None if unknown."""
    try:
        plain = yaml.safe_load((run_dir / CONFIG).read_text(encoding="utf-8"))
        hydra = yaml.safe_load((run_dir / ".hydra" / "hydra.yaml").read_text(encoding="utf-8"))
        return places(plain, Path(hydra["hydra"]["runtime"]["cwd"]))
    except (OSError, ValueError, yaml.YAMLError, AttributeError, KeyError, TypeError):
        return None


def run_job(task: Task, config: TrainConfig, run_dir: Path) -> float | None:
    """Run one job of a sweep, unless it is finished, running already or has failed too often.

    One that is finished in a sweep beside this one is copied from there. With trainer.resume=false it is
    begun anew.

    Nothing but Ctrl-C gets out: whatever else the task raises is written to result.json.

    Returns:
        What the task returns, the bpd of the finished run, or nan if there is no result.

    Raises:
        KeyboardInterrupt: Ctrl-C.
    """
    hashed, kept = config_hash(config), config.trainer.resume
    if kept and (result := finished(run_dir, config)):
        print(f"{config.name}: finished already, taken from {run_dir}")
        return float(result.get("bpd", NOT_A_NUMBER))
    if running := result_files.is_running(run_dir):
        print(f"{config.name}: {_process(running)} is at it already in {run_dir}")
        return NOT_A_NUMBER
    if result_files.used_up(run_dir, hashed):
        print(f"{config.name}: {_used_up(run_dir)}")
        return NOT_A_NUMBER
    if not kept:
        print(f"{config.name}: begun anew (trainer.resume=false)")
    elif twin := take_over(run_dir, config):
        if result := finished(run_dir, config):
            print(f"{config.name}: finished already in another sweep, copied from {twin}")
            return _tell_taken(config, run_dir, result)
        print(f"{config.name}: trained already in another sweep, its model copied from {twin}")
    elif result := coded(run_dir, config):
        print(f"{config.name}: trained already, coded again for {', '.join(_missing(result, config))}")
    try:
        return task(config, run_dir)
    except (KeyboardInterrupt, InterruptedTrainingError) as error:
        raise KeyboardInterrupt from error
    except Exception as error:
        if running := result_files.is_running(run_dir):  # since a moment: another got through to begin it
            print(f"{config.name}: {_process(running)} is at it already in {run_dir}")
            return NOT_A_NUMBER
        record_failure(run_dir, error, config)
        return NOT_A_NUMBER


def _tell_taken(config: TrainConfig, run_dir: Path, result: dict[str, Any]) -> float:
    """Give a job that was taken over its run in W&B, in this sweep's group; returns the bpd."""
    if config.logger.mode != "none":
        from fsar_lab.fitting import total_steps  # heavy
        from fsar_lab.log_result import log_result
        from fsar_lab.loggers import open_loggers

        try:
            with open_loggers(config, run_dir) as loggers:
                log_result(loggers[:1], run_dir, result, total_steps(config))  # the others' files were copied
        except Exception as error:  # the result stands, as where W&B fails after a training
            record_failure(run_dir, error, config)
    return float(result.get("bpd", NOT_A_NUMBER))


def run_apart(overrides: Sequence[str], run_dir: Path) -> float:
    """Run a job of several devices as a command of its own, whose process Lightning can multiply.

    Args:
        overrides: The job's, as Hydra has them.
        run_dir: Its run directory.

    Returns:
        The bpd.

    Raises:
        TrainingError: The command failed.
    """
    single = ["hydra.mode=RUN", f"hydra.run.dir='{run_dir}'"]
    # Without what says that SLURM has started a task: Lightning would leave it to SLURM to start the others.
    kept = (key for key in os.environ if key == "SLURM_JOB_ID" or not key.startswith("SLURM_"))
    environment = {key: os.environ[key] for key in kept}
    command = [sys.executable, "-m", "fsar_lab.train", *overrides, *single]
    code = subprocess.run(command, env=environment, check=False).returncode
    result = result_files.read_result(run_dir)
    if code or result.get("status") != "ok":
        raise TrainingError(str(result.get("error", f"the training's process ended with {code}")))
    return float(result["bpd"])


def record_failure(run_dir: Path, error: Exception, config: TrainConfig) -> None:
    """Make sure that result.json tells of a failure, and tell it on the terminal.

    A result that is there stands: then the failure came after it, e.g. when W&B was to be told.
    """
    text = f"{type(error).__name__}: {error}"
    told = str(result_files.read_result(run_dir).get("error", ""))
    if not coded(run_dir, config) and not (told and told in text):
        failed = {
            "status": "failed",
            "error": text,
            "name": config.name,
            "config_hash": config_hash(config),
        }
        result_files.write_result(run_dir, failed)
    print(f"{config.name}: failed, {text}", file=sys.stderr)


def outcome(job: SweepJob) -> Outcome:
    """What came of a job, from what its run directory holds."""
    result, attempts = result_files.read_result(job.run_dir), result_files.read_attempts(job.run_dir)
    if done := finished(job.run_dir, job.config):
        return Outcome(True, done.get("bpd"), len(attempts), "")
    if running := result_files.is_running(job.run_dir):
        why = f"not finished: {_process(running)} is at it"
    elif done := coded(job.run_dir, job.config):
        why = f"not measured: {', '.join(_missing(done, job.config))}"
    elif result.get("status") == "failed":
        why = str(result.get("error"))
    elif attempts and attempts[-1]["ended"] is None:
        why = f"killed (it began {attempts[-1]['started']})"
    else:
        why = "not run"
    spent = not running and result_files.used_up(job.run_dir, job.config_hash)
    if spent:
        why = f"{_used_up(job.run_dir)}; the last: {why}"
    return Outcome(False, None, len(attempts), why, again=not spent)


def report(jobs: Sequence[SweepJob], command: Sequence[str], console: Console) -> int:
    """Print a table of what came of each job, and how to go on with those that failed.

    Args:
        jobs: Every job of the sweep.
        command: Arguments of the command line that runs it.
        console: Where to print.

    Returns:
        The exit code: 0 if every job has its result, else 1.
    """
    outcomes = [outcome(job) for job in jobs]
    shared = set.intersection(*(set(job.overrides) for job in jobs)) if len(jobs) > 1 else set()
    table = Table(box=None, pad_edge=False)
    for heading in ("job", "status", "bpd", "attempts", "directory"):
        table.add_column(heading, overflow="fold")
    for job, came in zip(jobs, outcomes, strict=True):
        bpd = "–" if came.bpd is None else f"{came.bpd:.4f}"
        status = "ok" if came.ok else "failed"
        own = " ".join(o for o in job.overrides if o not in shared)
        # Escaped: Rich would take baselines=[png] for a style, and leave it out.
        table.add_row(escape(own), status, bpd, str(came.attempts), job.run_dir.name)
    console.print(table)
    if all(came.ok for came in outcomes):
        return 0
    console.print(f"\n{sum(not came.ok for came in outcomes)} of {len(jobs)} jobs have no result:")
    for job, came in zip(jobs, outcomes, strict=True):
        if not came.ok:
            console.print(escape(f"  {job.run_dir}\n    {came.why}"), soft_wrap=True)
    if not any(came.again for came in outcomes if not came.ok):
        console.print("Finished jobs are kept; the same command would run none of the others.")
        return 1
    # Which would begin the finished ones anew, too.
    kept = [argument for argument in command if argument != "trainer.resume=false"]
    again = shlex.join(["python", "-m", "fsar_lab.train", *kept])
    console.print("Finished jobs are kept; the same command goes on with the others:")
    console.print(f"  {escape(again)}", soft_wrap=True)
    return 1


def _process(attempt: Mapping[str, Any]) -> str:
    return f"process {attempt['pid']} on {attempt['host']}"


def _used_up(run_dir: Path) -> str:
    files = f"see {run_dir / RESULT}; delete {run_dir / ATTEMPTS} to try again"
    return f"{MAX_ATTEMPTS} attempts have failed -> {files}"
