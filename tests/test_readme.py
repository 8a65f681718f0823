"""What README.md tells people to type works: cheap commands run, trainings compose, targets exist."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from fsar_lab.config import options

ROOT = Path(__file__).resolve().parents[1]
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", (ROOT / "README.md").read_text(), re.MULTILINE | re.DOTALL)
PYTHON = [code for language, code in BLOCKS if language == "python"]
COMMANDS = [
    line
    for language, code in BLOCKS
    if language == "sh"
    for line in code.splitlines()
    if line and not line.startswith("#")
]
TRAINING = "python -m fsar_lab."


def words(command: str) -> list[str]:
    return shlex.split(os.path.expandvars(command), comments=True)


def test_every_block_and_command_is_of_a_known_kind() -> None:
    assert {language for language, _ in BLOCKS} == {"sh", "python"}
    assert PYTHON and COMMANDS
    for command in COMMANDS:
        assert command.startswith(("make ", TRAINING, ". .venv/bin/activate")), command


@pytest.mark.parametrize("command", [command for command in COMMANDS if command.startswith("make ")])
def test_make_targets_exist(command: str) -> None:
    done = subprocess.run([*words(command), "--dry-run"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_every_sweep_is_named() -> None:
    (named,) = re.findall(r"\(`conf/sweep`: `([^`]+)`\)", (ROOT / "README.md").read_text())
    assert sorted(named.split()) == options.groups()["sweep"]


def test_make_help_names_every_public_target() -> None:
    shown = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    targets = "demo test doctor install build test-all test-c lint type bench clean"
    for target in targets.split(" "):
        assert f"make {target} " in shown
    assert "PYTHON=" in shown and "PIP_ARGS=" in shown


@pytest.mark.parametrize("command", [command for command in COMMANDS if command.startswith(TRAINING)])
def test_training_commands(command: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("FSAR_DATA", str(tmp_path))
    _, _, module, *arguments = words(command)
    assert (ROOT / (module.replace(".", "/") + ".py")).is_file()
    if "--help" in arguments:
        done = subprocess.run(
            [sys.executable, "-m", module, "--help"], cwd=ROOT, capture_output=True, text=True
        )
        assert done.returncode == 0 and "prior" in done.stdout, done.stderr
    elif arguments and arguments[0].startswith("run="):  # wrong here is only that there is no such run
        pytest.importorskip("hydra")
        done = subprocess.run(
            [sys.executable, "-m", module, *arguments], cwd=ROOT, capture_output=True, text=True
        )
        assert done.returncode == 2 and "config.yaml" in done.stderr, done.stderr
    elif module in (
        "fsar_lab.collect",
        "fsar_lab.dashboard",
    ):  # wrong here is only that there is no such sweep
        done = subprocess.run(
            [sys.executable, "-m", module, *arguments], cwd=ROOT, capture_output=True, text=True
        )
        assert done.returncode == 2 and "no such folder" in done.stderr, done.stderr
    else:
        pytest.importorskip("hydra")
        from fsar_lab.config.app import jobs
        from fsar_lab.config.compose import compose

        overrides = [argument for argument in arguments if argument != "--multirun"]
        compose(next(jobs(overrides)))  # the sweeps of conf/sweep have tests of their own


@pytest.mark.parametrize("code", PYTHON)
def test_python_blocks(code: str, tmp_path: Path) -> None:
    program = compile(code, "README.md", "exec")
    if "my-run" not in code:  # that one needs a trained model; the codec's own tests run the same lines
        exec(program, {"__name__": "__main__"})


def test_named_paths_exist() -> None:
    table = (ROOT / "README.md").read_text().split("## Where things are")[1]
    paths = re.findall(r"^\| `([^`]+)` \|", table, re.MULTILINE)
    assert len(paths) >= 5
    for path in paths:
        assert (ROOT / path).exists(), path
