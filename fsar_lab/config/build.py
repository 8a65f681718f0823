"""From a checked configuration to objects, plain data and a hash."""

from __future__ import annotations

import dataclasses
import hashlib
import importlib
import json
from pathlib import Path
from typing import Any

from fsar_lab.config.schema import ALLOWED_TARGETS, CodingConfig, ConvolutionPixelsConfig, TrainConfig
from fsar_lab.errors import ConfigError

# Parts of the configuration that do not decide what is learned.
_NOT_HASHED = ("name", "paths", "logger", "callbacks")
_NOT_HASHED_TRAINER = ("threads", "checkpoint_minutes", "detect_anomaly", "profile", "resume")


def build(config: Any, **extra: Any) -> Any:
    """Import the class or function named by `config._target_` and call it as `target(config, **extra)`.

    Args:
        config: Instance of a schema dataclass with a `_target_`.
        **extra: What the object needs beside its configuration, e.g. `out_channels=6`.

    Returns:
        Whatever the target returns.

    Raises:
        ConfigError: The target lies outside ALLOWED_TARGETS or does not exist.
    """
    target = str(config._target_)
    check_target(target)
    module_name, _, attribute = target.rpartition(".")
    try:
        factory = getattr(importlib.import_module(module_name), attribute)
    except (AttributeError, ModuleNotFoundError) as error:
        raise ConfigError(f"_target_: {target} does not exist ({error}) -> correct the name") from error
    return factory(config, **extra)


def nothing(config: Any, **extra: Any) -> None:
    """The part that the option `none` of a group stands for: there is none."""
    del config, extra


def check_target(target: str) -> None:
    """Refuse targets outside the allowed packages: a configuration must not be able to run any code.

    Raises:
        ConfigError: `target` does not start with one of ALLOWED_TARGETS.
    """
    if not target.startswith(ALLOWED_TARGETS):
        allowed = " or ".join(ALLOWED_TARGETS)
        raise ConfigError(
            f"_target_: {target} is not below {allowed}, and nothing else is built -> name a class there, or "
            "add its package to ALLOWED_TARGETS in fsar_lab/config/schema.py"
        )


def to_plain(config: Any) -> dict[str, Any]:
    """Nested dicts, lists, strings and numbers: for hyper-parameters, checkpoints and config.yaml."""
    plain: dict[str, Any] = dataclasses.asdict(config)
    return plain


def config_hash(config: TrainConfig) -> str:
    """Hash of what decides the outcome of a run: 16 hexadecimal digits."""
    return plain_hash(to_plain(config))


def plain_hash(plain: dict[str, Any]) -> str:
    """`config_hash` of a configuration as config.yaml has it."""
    text = json.dumps(decisive(plain), sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def places(plain: dict[str, Any], base: Path) -> list[str]:
    """Where the data of a plain configuration lie, and the run that it starts from: absolute paths.

    Args:
        plain: As config.yaml has it.
        base: The folder that its relative paths begin at.
    """
    dataset = plain["dataset"]
    named = [dataset.get("root"), *dataset.get("test_roots", ()), plain.get("start", {}).get("run")]
    return ["" if place is None else str((base / place).resolve()) for place in named]


def decisive(plain: dict[str, Any]) -> dict[str, Any]:
    """The part of a plain configuration that decides the outcome of its run; the argument stays as it is.

    Paths, logger, callbacks and the run's name are left out; of `dataset.root` (and `test_roots`) only
    the folder's own name counts, so that the same data set in another place gives the same hash. Of the
    callbacks the number of calibration images is kept: the exported integers follow from it.
    """
    calibration = plain.get("callbacks", {}).get("coding", {}).get("calibration_images")
    kept = {key: dict(part) if isinstance(part, dict) else part for key, part in plain.items()}
    for key in _NOT_HASHED:
        kept.pop(key, None)
    for key in _NOT_HASHED_TRAINER:
        kept["trainer"].pop(key, None)
    if kept.get("start", {}).get("run") is None:  # as before there was such a key
        kept.pop("start", None)
    if kept.get("coder", {}).get("mask") == ConvolutionPixelsConfig.mask:  # as before there was such a key
        kept["coder"].pop("mask")
    if calibration not in (None, CodingConfig.calibration_images):  # the default: as before it was kept
        kept["calibration_images"] = calibration
    root = kept["dataset"].get("root")
    if root is not None:
        kept["dataset"]["root"] = Path(root).name
    if "test_roots" in kept["dataset"]:
        kept["dataset"]["test_roots"] = [Path(root).name for root in kept["dataset"]["test_roots"]]
    for key in ("download", "cache", "memory_gb"):
        kept["dataset"].pop(key, None)
    return kept
