"""The export of a run: finished or not, by the same road as training's own."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from fsar_lab import run_files
from fsar_lab.bundle import export_run
from fsar_lab.codec.model import CodecModel
from fsar_lab.config.compose import compose
from fsar_lab.errors import TrainingError


def only_run(folder: Path) -> Path:
    (found,) = (folder / "outputs").iterdir()
    return found


def test_finished_and_unfinished_runs(
    train_command: Callable[[list[str]], Any], tiny: list[str], tmp_path: Path
) -> None:
    command = train_command([*tiny, "callbacks.coding_speed.enabled=false"])
    assert command.wait() == 0, command.stderr
    run = only_run(tmp_path)
    trained = CodecModel.load(run / run_files.CODEC)
    again = CodecModel.load(export_run(run, tmp_path / "new" / "again.fsarm"))
    assert again.id == trained.id
    figures = again.facts["validation"]
    assert figures == trained.facts["validation"]
    assert figures["images"] == 9 and 0 < figures["bpd_float_estimated"] < figures["bpd"]
    assert abs(figures["integer_loss_percent"]) < 1 and figures["tables"] == len(again.prior.counts)
    architecture = {"backbone": "Shallow", "quantizer": "STHQ", "prior": "FSAR", "coder": "GaussianLinearAR"}
    assert again.facts["architecture"] == architecture and "made by fsar_lab" in again.facts["data"]

    (run / run_files.WEIGHTS).unlink()  # as if it were still training: the checkpoint is its last step's
    unfinished = CodecModel.load(export_run(run))
    assert unfinished.facts["unfinished"] and unfinished.id == trained.id

    (run / run_files.CHECKPOINT).unlink()
    with pytest.raises(TrainingError, match="no checkpoint yet"):
        export_run(run)


def test_help_and_mistakes() -> None:
    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "fsar_lab.export", *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    shown = run("--help")
    assert shown.returncode == 0 and "run=DIRECTORY [out=FILE]" in shown.stdout
    wrong = run("run=nowhere", "outt=x")
    assert wrong.returncode == 2 and "export takes run=DIRECTORY and out=FILE" in wrong.stderr
    missing = run("run=nowhere")
    assert missing.returncode == 2 and "no config.yaml there" in missing.stderr


def test_settings_that_are_gone_do_not_make_a_run_unreadable(tiny: list[str], tmp_path: Path) -> None:
    config = compose(tiny)
    run_files.save_config(tmp_path, config)
    path = tmp_path / run_files.CONFIG
    plain = yaml.safe_load(path.read_text())
    plain["callbacks"]["coding"] |= {"encode_batch": 64, "decode_batch": 7}
    path.write_text(yaml.safe_dump(plain))
    assert run_files.load_config(tmp_path) == config
