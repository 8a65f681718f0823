"""The command line itself: exit codes, no traceback, help that teaches, sweeps."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import fsar_lab

APP = """
import sys
from fsar_lab.config.app import run_app
from fsar_lab.config.build import config_hash
from fsar_lab.result_files import write_result
from fsar_lab.errors import DataError

def task(config, directory):
    assert "torch" not in sys.modules
    if config.name == "broken":
        raise DataError("the file is broken -> get it again")
    print("RAN", type(config.prior).__name__, directory)
    write_result(directory, {"status": "ok", "name": config.name, "config_hash": config_hash(config),
        "coding_speed": {}, "siblings": [{}]})

run_app(task)
"""


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    (folder / "app.py").write_text(APP)
    root = str(Path(fsar_lab.__file__).parents[1])
    environment = {**os.environ, "PYTHONPATH": root, "FSAR_OUTPUT": str(folder / "outputs")}
    environment.pop("HYDRA_FULL_ERROR", None)
    return subprocess.run(
        [sys.executable, "app.py", *arguments],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_overrides_decide_the_run_directory(tmp_path: Path) -> None:
    runs = [
        run(tmp_path, "dataset=fake", "trainer.threads=1", "prior=uniform"),
        run(tmp_path, "prior=uniform", "trainer.threads=2", "dataset=fake"),
    ]
    assert [done.returncode for done in runs] == [0, 0], runs[0].stderr
    (directory,) = (tmp_path / "outputs").iterdir()
    assert [done.stdout.split() for done in runs] == [["RAN", "UniformConfig", str(directory)]] * 2


def test_mistakes_end_with_2_and_without_traceback(tmp_path: Path) -> None:
    done = run(tmp_path, "dataset=fake", "backbone=shallow")
    assert (done.returncode, done.stdout) == (2, "")
    head, problem = done.stderr.splitlines()
    assert head == "fsar_lab: this cannot work:"
    assert problem.endswith("quantizer.groups=2")
    assert not (tmp_path / "outputs").exists()


def test_errors_of_a_run_end_with_2_and_without_traceback(tmp_path: Path) -> None:
    done = run(tmp_path, "dataset=fake", "name=broken")
    assert done.returncode == 2
    assert done.stderr.splitlines() == ["fsar_lab: DataError:", "  the file is broken -> get it again"]


def test_help_names_every_option(tmp_path: Path) -> None:
    done = run(tmp_path, "--help")
    assert done.returncode == 0
    for word in ("experiment=demo", "fsar_o2s", "cifar10_npz", "FSAR_OUTPUT", "-m prior="):
        assert word in done.stdout


def test_multirun(tmp_path: Path) -> None:
    done = run(tmp_path, "-m", "dataset=fake", "prior=uniform,fsar_o1s")
    assert done.returncode == 0, done.stderr
    lines = [line.split() for line in done.stdout.splitlines() if line.startswith("RAN")]
    assert [line[1] for line in lines] == ["UniformConfig", "FSARConfig"]
    assert len({line[2] for line in lines}) == 2
