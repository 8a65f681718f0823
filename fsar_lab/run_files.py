"""What a run directory holds, and how it is written and read back. No pickle."""

from __future__ import annotations

import json
import os
import platform
import subprocess
from importlib import metadata
from pathlib import Path
from typing import Any

import yaml
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from fsar_lab.config import store
from fsar_lab.config.build import config_hash
from fsar_lab.config.schema import TrainConfig
from fsar_lab.errors import ConfigError, FsarError
from fsar_lab.models.build import build_compressor
from fsar_lab.models.compressor import Compressor
from fsar_lab.result_files import CONFIG as CONFIG
from fsar_lab.result_files import RESULT as RESULT
from fsar_lab.result_files import save_config as save_config

WEIGHTS = "compressor.safetensors"  # the trained float model, as validated
CODEC = "codec.fsarm"
CHECKPOINT = Path("checkpoints", "last.ckpt")
RETIRED = (
    "encode_batch",
    "decode_batch",
)  # of callbacks.coding: earlier runs name them


def load_config(run_dir: Path) -> TrainConfig:
    """The configuration of a run, typed again.

    Raises:
        ConfigError: there is no run in `run_dir`, or it was written by an incompatible version.
    """
    path = run_dir / CONFIG
    if not path.is_file():
        raise ConfigError(f"run={run_dir}: no {CONFIG} there; give the directory that a training printed")
    plain = yaml.safe_load(path.read_text(encoding="utf-8"))
    for key in RETIRED:
        plain.get("callbacks", {}).get("coding", {}).pop(key, None)
    tree = OmegaConf.structured(TrainConfig)
    for group, options in store.SCHEMAS.items():
        nodes = {getattr(node, "_target_", None): node for node in options.values()}
        target = plain.get(group, {}).get("_target_")
        if target not in nodes:
            raise ConfigError(f"{path}: {group}._target_={target} is not an option of this version")
        tree[group] = OmegaConf.structured(nodes[target])
    config = OmegaConf.to_object(OmegaConf.merge(tree, plain))
    assert isinstance(config, TrainConfig)
    return config


def save_weights(run_dir: Path, compressor: Compressor, facts: dict[str, Any]) -> None:
    """The trained float model, with plain facts about its training."""
    state = {name: tensor.detach().cpu().contiguous() for name, tensor in compressor.state_dict().items()}
    temporary = run_dir / (WEIGHTS + ".partial")
    save_file(state, temporary, metadata={"facts": json.dumps(facts)})
    os.replace(temporary, run_dir / WEIGHTS)


def training_facts(run_dir: Path) -> dict[str, Any]:
    """What `save_weights` was told; empty if the training did not come to its end."""
    path = run_dir / WEIGHTS
    if not path.is_file():
        return {}
    with safe_open(path, "pt") as file:
        facts: dict[str, Any] = json.loads((file.metadata() or {}).get("facts", "{}"))
    return facts


def begin(run_dir: Path, config: TrainConfig) -> None:
    """Write the configuration; what another configuration left in this directory is removed first.

    The directory's name follows from the command line, so an edited YAML file leads to the same place.
    """
    new = config_hash(config)
    path = run_dir / CONFIG
    if path.is_file():
        try:
            same = config_hash(load_config(run_dir)) == new
        except (ConfigError, OmegaConfBaseException, yaml.YAMLError):
            same = False  # written by a version with other parameters
        if not same or not config.trainer.resume:
            for stale in (CHECKPOINT, WEIGHTS, CODEC):
                (run_dir / stale).unlink(missing_ok=True)
    (run_dir / RESULT).unlink(missing_ok=True)
    save_config(run_dir, config)


def load_compressor(run_dir: Path) -> Compressor:
    """The trained float model of a finished run, in evaluation mode on the CPU.

    Raises:
        ConfigError: no run there. FsarError: it was not trained to its end, or its files do not fit.
    """
    compressor = build_compressor(load_config(run_dir))
    path = run_dir / WEIGHTS
    if not path.is_file():
        raise FsarError(f"run={run_dir}: not trained to its end yet; start the same training command again")
    try:
        compressor.load_state_dict(load_file(path))
    except RuntimeError as error:
        raise FsarError(f"{path}: does not fit its {CONFIG} ({error})") from error
    return compressor.eval()


def load_parts(compressor: Compressor, run_dir: Path, parts: list[str]) -> None:
    """Give the named parts of `compressor` the weights that they have in a finished run.

    Raises:
        FsarError: the run was not trained to its end, or a part of it is another than this model's.
    """
    path = run_dir / WEIGHTS
    if not path.is_file():
        raise FsarError(f"start.run={run_dir}: not trained to its end yet; finish that training first")
    weights = load_file(path)
    for part in parts:
        own = {name.removeprefix(f"{part}."): w for name, w in weights.items() if name.startswith(f"{part}.")}
        try:
            getattr(compressor, part).load_state_dict(own)
        except RuntimeError as error:
            raise FsarError(
                f"start.run={run_dir}: its {part} is not that of this configuration -> give the same "
                f"{part} options as there, or leave {part} out of start.load ({error})"
            ) from error


def versions() -> dict[str, str]:
    """Versions of what decides a run."""
    packages = ("fsar_lab", "torch", "lightning", "hydra-core", "numpy", "wandb")
    found = {name: metadata.version(name) for name in packages if _installed(name)}
    return {"python": platform.python_version(), **found}


def _installed(name: str) -> bool:
    try:
        metadata.version(name)
    except metadata.PackageNotFoundError:
        return False
    return True


def git_state() -> dict[str, Any] | None:
    """Commit of the source tree and whether it was changed since; None outside a git checkout."""
    here = Path(__file__).resolve().parent

    def git(*arguments: str) -> str:
        command = ["git", "-C", str(here), *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    try:
        return {"commit": git("rev-parse", "HEAD"), "dirty": bool(git("status", "--porcelain"))}
    except (OSError, subprocess.CalledProcessError):
        return None
