from __future__ import annotations

import fsar_lab._torchvision_guard  # noqa: F401  isort: skip

import io
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import lightning
import numpy as np
import pytest
import torch
from lightning.pytorch.loggers import CSVLogger
from torch import Tensor

from fsar_lab.config.compose import compose
from fsar_lab.config.schema import TrainConfig
from fsar_lab.errors import ConfigError
from fsar_lab.loggers import build_loggers, open_loggers, quiet_console, wandb_logger


class Tiny(lightning.LightningModule):
    def __init__(self, bpd: float) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(()))
        self.bpd = bpd

    def training_step(self, batch: Tensor, batch_idx: int) -> Tensor:
        self.log("train/bpd_estimated", self.bpd + batch_idx)
        return self.weight * batch.sum()

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), 0.1)


def config(mode: str = "offline") -> TrainConfig:
    return compose(["dataset=fake", f"logger.mode={mode}", "logger.tags=[test]", "trainer.train_images=777"])


def train(run_dir: Path, bpd: float) -> str:
    """One run; its W&B id."""
    with open_loggers(config(), run_dir) as loggers:
        trainer = lightning.Trainer(
            accelerator="cpu",
            max_steps=3,
            logger=loggers,
            log_every_n_steps=1,
            enable_progress_bar=False,
            enable_model_summary=False,
            enable_checkpointing=False,
        )
        trainer.fit(Tiny(bpd), torch.utils.data.DataLoader(torch.ones(3, 2)))
        logger = wandb_logger(loggers)
        assert logger is not None
        logger.log_image("val/bit_maps", [np.zeros((4, 4, 3), np.uint8)], step=3)
        return str(logger.experiment.id)


def records(run_dir: Path) -> list[dict[str, Any]]:
    """What W&B's own reader finds in the one run below `run_dir`."""
    (file,) = run_dir.glob("wandb/offline-run-*/run-*.wandb")
    command = [sys.executable, "-m", "wandb", "leet", "inspect", "--json", str(file)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_two_runs_in_one_process_have_two_ids_and_their_own_figures(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    quiet_console()
    ids = [train(tmp_path / f"run{number}", bpd=4.0 + number) for number in range(2)]
    assert ids[0] != ids[1]
    assert "".join(capfd.readouterr()) == ""
    for number in range(2):
        found = records(tmp_path / f"run{number}")
        (run,) = (record["run"] for record in found if record["type"] == "run")
        assert run["run_id"] == ids[number]
        assert run["config"]["update"]["trainer"]["train_images"] == 777
        history = [record["history"]["item"] for record in found if record["type"] == "history"]
        logged = [item["train/bpd_estimated"] for item in history if "train/bpd_estimated" in item]
        assert logged == [4.0 + number + step for step in range(3)]
        assert any("val/bit_maps" in item or "val/bit_maps.filenames" in item for item in history)
        assert [record["exit"]["exit_code"] for record in found if record["type"] == "exit"] == [0]


def test_a_failed_run_is_finished_too(tmp_path: Path) -> None:
    import wandb

    with pytest.raises(RuntimeError, match="out of ideas"), open_loggers(config(), tmp_path):
        assert wandb.run is not None
        raise RuntimeError("out of ideas")
    assert wandb.run is None
    assert [r["exit"]["exit_code"] for r in records(tmp_path) if r["type"] == "exit"] == [1]


def test_none_logs_to_the_run_directory_only(tmp_path: Path) -> None:
    with open_loggers(config("none"), tmp_path) as loggers:
        (logger,) = loggers
        assert isinstance(logger, CSVLogger)
        logger.log_metrics({"train/bpd_estimated": 4.0}, step=0)
    assert (tmp_path / "logs" / "version_0" / "metrics.csv").read_text().split() == [
        "step,train/bpd_estimated",
        "0,4.0",
    ]
    assert not (tmp_path / "wandb").exists()


def test_unknown_mode_is_refused(tmp_path: Path) -> None:
    wrong = config()
    wrong.logger.mode = "sometimes"
    with pytest.raises(ConfigError, match=r"logger\.mode=sometimes.*offline, online or none"):
        build_loggers(wrong, tmp_path)


def test_online_without_a_key_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WANDB_API_KEY", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("NETRC", str(tmp_path / "none"))
    monkeypatch.setattr("sys.stdin", io.StringIO())  # no terminal to ask for the key
    message = r"logger\.mode=online: .*API key.*wandb login.*logger=wandb_offline"
    with pytest.raises(ConfigError, match=message), open_loggers(config("online"), tmp_path / "run"):
        pass
