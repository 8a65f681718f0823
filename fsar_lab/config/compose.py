"""From overrides to a checked TrainConfig."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from hydra import compose as hydra_compose
from hydra import initialize_config_dir
from omegaconf import OmegaConf

from fsar_lab.config import resolvers, store
from fsar_lab.config.schema import TrainConfig

CONFIG_DIR = Path(__file__).resolve().parents[2] / "conf"


def compose(overrides: Sequence[str] = (), config_dir: Path | None = None) -> TrainConfig:
    store.register()
    resolvers.register()
    with initialize_config_dir(config_dir=str(config_dir or CONFIG_DIR), version_base="1.3"):
        composed = hydra_compose("train", overrides=list(overrides))
    config = OmegaConf.to_object(composed)
    assert isinstance(config, TrainConfig)
    return config
