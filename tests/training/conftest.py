"""What whole trainings in miniature share."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch

# 40 steps of 8 images of 16x16 on a model of 8 channels: a second on one core.
TINY = (
    "dataset=fake",
    "dataset.side=16",
    "dataset.train_images=64",
    "dataset.validation_images=9",
    "dataset.test_images=64",
    "backbone.width=8",
    "quantizer.dim=8",
    "quantizer.codebook_size=16",
    "coder.num_scales=32",
    "coder.fit_images=64",
    "trainer.train_images=320",
    "trainer.batch_size=8",
    "trainer.threads=1",
    "logger=none",
    "callbacks=none",
    "callbacks.coding.calibration_images=16",
    "backbone=shallow_c32",
    "coder=gaussian_linear_ar",
)


@pytest.fixture
def tiny() -> list[str]:
    """Overrides that make the default composition tiny."""
    return list(TINY)


@pytest.fixture(autouse=True)
def own_threads() -> Iterator[None]:
    """Trainings set torch's threads for the whole process; put them back."""
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)


# A process that has imported everything a training needs, and forks one child for each line it reads.
# To start Python anew for each costs more than the tiny trainings themselves.
WARM = """
import json, os, runpy, sys
import fsar_lab.coding, fsar_lab.export, fsar_lab.fitting, fsar_lab.loggers, fsar_lab.report.tables
for line in sys.stdin:
    order = json.loads(line)
    child = os.fork()
    if child == 0:
        for number, name in ((1, "stdout"), (2, "stderr")):
            os.dup2(os.open(order[name], os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644), number)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.environ.clear()
        os.environ.update(order["environment"])
        sys.argv = ["train", *order["arguments"]]
        code = 0
        try:
            runpy.run_module("fsar_lab.train", run_name="__main__", alter_sys=True)
        except SystemExit as end:
            code = end.code or 0
        except BaseException:
            sys.excepthook(*sys.exc_info())
            code = 1
        sys.stdout.flush(), sys.stderr.flush()
        os._exit(code)
    print(child, flush=True)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""


class Command:
    """`python -m fsar_lab.train` with some overrides, running in a process of its own."""

    def __init__(
        self, warm: subprocess.Popen[str], arguments: list[str], environment: dict[str, str], folder: Path
    ):
        self._warm, self._out, self._err = warm, folder / "stdout.txt", folder / "stderr.txt"
        order = {"arguments": arguments, "environment": environment}
        order |= {"stdout": str(self._out), "stderr": str(self._err)}
        assert warm.stdin is not None
        print(json.dumps(order), file=warm.stdin, flush=True)
        self.pid = self._answer()

    def _answer(self) -> int:
        assert self._warm.stdout is not None
        return int(self._warm.stdout.readline())

    def wait(self) -> int:
        """Its exit code; negative if a signal ended it."""
        return self._answer()

    @property
    def stdout(self) -> str:
        return self._out.read_text()

    @property
    def stderr(self) -> str:
        return self._err.read_text()


@pytest.fixture(scope="session")
def warm_python(root: Path) -> Iterator[subprocess.Popen[str]]:
    """See WARM."""
    environment = os.environ | {"PYTHONPATH": str(root), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", WARM]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, env=environment, stdin=pipe, stdout=pipe, text=True) as process:
        yield process
        assert process.stdin is not None
        process.stdin.close()
    assert process.returncode == 0


def user_environment(root: Path, folder: Path) -> dict[str, str]:
    """Environment of the command that users type; its runs go to folder/outputs."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("HYDRA_", "PL_"))}
    return kept | {"PYTHONPATH": str(root), "FSAR_OUTPUT": str(folder / "outputs"), "OMP_NUM_THREADS": "1"}


@pytest.fixture
def environment(root: Path, tmp_path: Path) -> dict[str, str]:
    """The user's environment, with tmp_path as folder."""
    return user_environment(root, tmp_path)


@pytest.fixture
def train_command(
    warm_python: subprocess.Popen[str], environment: dict[str, str], tmp_path: Path
) -> Callable[[list[str]], Command]:
    """Starts `python -m fsar_lab.train` with the overrides given; one at a time."""
    return lambda overrides: Command(warm_python, overrides, environment, tmp_path)


@dataclass(frozen=True)
class LoggedSweep:
    """A sweep of two tiny jobs in one process, whose loggers were all switched on.

    Attributes:
        folder: that of the sweep.
        jobs: run directory of each job, by its prior.
        records: what W&B's own reader finds in each job's one run, by prior and type of record.
    """

    folder: Path
    jobs: dict[str, Path]
    records: dict[str, dict[str, list[Any]]]


@pytest.fixture(scope="session")
def logged_sweep(
    warm_python: subprocess.Popen[str], root: Path, tmp_path_factory: pytest.TempPathFactory
) -> LoggedSweep:
    """See the class."""
    folder = tmp_path_factory.mktemp("logged")
    environment = user_environment(root, folder) | {"WANDB_DATA_DIR": str(folder / "wandb_data")}
    there = importlib.util.find_spec("tensorboardX") is not None
    overrides = [
        "-m",
        *(option for option in TINY if option not in ("logger=none", "callbacks=none")),
        "prior=uniform,fsar_o1s",
        "name=both",
        "logger=wandb_offline",
        f"logger.tensorboard={there}",
        "logger.tags=[mine]",
        "trainer.validate_every=0.5",
        "callbacks.progress=false",
        "callbacks.pictures.images=2",
        "callbacks.coding.siblings=false",
        "callbacks.coding.baselines=[png]",
        "callbacks.coding_speed.batch_sizes=[8]",
        "callbacks.coding_speed.repeats=1",
    ]
    command = Command(warm_python, overrides, environment, folder)
    assert command.wait() == 0, command.stderr
    assert "wandb:" not in command.stdout + command.stderr
    sweep = folder / "outputs" / "sweeps" / "both"
    jobs = {}
    for path in sweep.glob("*/.hydra/overrides.yaml"):
        prior = next(line for line in path.read_text().splitlines() if line.startswith("- prior="))
        jobs[prior.removeprefix("- prior=")] = path.parent.parent
    assert set(jobs) == {"uniform", "fsar_o1s"}
    return LoggedSweep(sweep, jobs, {prior: wandb_records(job) for prior, job in jobs.items()})


def wandb_records(folder: Path) -> dict[str, list[Any]]:
    """The records of the one offline run below a folder, by type."""
    (file,) = folder.glob("wandb/offline-run-*/run-*.wandb")
    command = [sys.executable, "-m", "wandb", "leet", "inspect", "--json", str(file)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    records = defaultdict(list)
    for line in done.stdout.splitlines():
        record = json.loads(line)
        records[record["type"]].append(record.get(record["type"]))
    return records


@pytest.fixture(name="wandb_records")
def _wandb_records() -> Callable[[Path], dict[str, list[Any]]]:
    """The function of that name."""
    return wandb_records
