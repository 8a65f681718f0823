from __future__ import annotations

import fsar_lab._torchvision_guard  # noqa: F401  isort: skip

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from lightning.pytorch.loggers import CSVLogger

from fsar_lab.config.compose import compose
from fsar_lab.config.schema import TrainConfig
from fsar_lab.errors import ConfigError
from fsar_lab.loggers import build_loggers, open_loggers


def config(mode: str = "offline") -> TrainConfig:
    return compose(["dataset=fake", f"logger.mode={mode}", "logger.tags=[test]", "trainer.train_images=777"])


def test_a_failed_run_is_finished_too(
    tmp_path: Path, wandb_records: Callable[[Path], dict[str, list[Any]]]
) -> None:
    import wandb

    with pytest.raises(RuntimeError, match="out of ideas"), open_loggers(config(), tmp_path):
        assert wandb.run is not None
        raise RuntimeError("out of ideas")
    assert wandb.run is None
    records = wandb_records(tmp_path)
    assert [record["exit_code"] for record in records["exit"]] == [1]
    said = [record.get("update", {}).get("error") for record in records["summary"]]
    assert "RuntimeError: out of ideas" in said


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
    message = r"W&B \(online\) .*API key.*wandb login.*logger=wandb_offline"
    with pytest.raises(ConfigError, match=message), open_loggers(config("online"), tmp_path / "run"):
        pass
