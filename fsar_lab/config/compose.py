"""From overrides to a checked TrainConfig."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml
from hydra import compose as hydra_compose
from hydra import initialize_config_dir
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf, open_dict
from omegaconf.errors import OmegaConfBaseException

from fsar_lab.config import mistakes, options, resolvers, store
from fsar_lab.config.options import CONFIG_DIR
from fsar_lab.config.schema import TrainConfig
from fsar_lab.config.validate import validate
from fsar_lab.errors import ConfigError

_COMPOSITION_ERRORS = (HydraException, OmegaConfBaseException, yaml.YAMLError, ValueError)


def compose(
    overrides: Sequence[str] = (), config_dir: Path = CONFIG_DIR, resources: bool = False
) -> TrainConfig:
    """Compose conf/train.yaml with overrides and check the result.

    Args:
        overrides: As on the command line, without sweeps: `["prior=fsar_o1s", "trainer.batch_size=32"]`.
        config_dir: Folder that holds train.yaml and the groups.
        resources: Also check that the data and the devices are there.

    Returns:
        The configuration as dataclasses, interpolations resolved.

    Raises:
        ConfigError: One line for each mistake, with place and remedy.
    """
    tree = compose_tree(overrides, config_dir)
    config = to_config(tree)
    validate(config, resources)
    return config


def compose_job(
    overrides: Sequence[str], config_dir: Path = CONFIG_DIR, resources: bool = False, devices: bool = True
) -> tuple[TrainConfig, Path]:
    """`compose` for one job of a sweep; also its run directory.

    Args:
        overrides: As for `compose`; overrides of `hydra.…` may be among them.
        config_dir: As for `compose`.
        resources: As for `compose`.
        devices: As for `validate`.

    Raises:
        ConfigError: As for `compose`.
    """
    tree = compose_tree(overrides, config_dir, with_hydra=True)
    place = Path(tree.hydra.sweep.dir, tree.hydra.sweep.subdir).absolute()
    with open_dict(tree):
        del tree.hydra
    config = to_config(tree)
    validate(config, resources, devices=devices)
    return config, place


def to_config(tree: DictConfig) -> TrainConfig:
    """The composed tree as dataclasses.

    Raises:
        ConfigError: Keys that the schema does not know, missing options, unresolvable interpolations.
    """
    if unknown := list(mistakes.strangers(tree)):
        raise ConfigError("\n".join(str(mistakes.unknown_key(key, tree)) for key in unknown))
    try:
        config = OmegaConf.to_object(tree)
    except OmegaConfBaseException as error:
        raise ConfigError(mistakes.explain(error)) from error
    if not isinstance(config, TrainConfig):
        raise ConfigError("conf/train.yaml: defaults must begin with base_train")
    return config


def compose_tree(
    overrides: Sequence[str], config_dir: Path = CONFIG_DIR, with_hydra: bool = False
) -> DictConfig:
    """The composed tree, unchecked; `with_hydra` keeps Hydra's own settings below `hydra`.

    Raises:
        ConfigError: What Hydra refuses.
    """
    if not (config_dir / "train.yaml").is_file():
        raise ConfigError(
            f"{config_dir}: no train.yaml there -> train from a clone of the repository (pip install -e .)"
        )
    store.register()
    resolvers.register()
    with initialize_config_dir(config_dir=str(config_dir), version_base="1.3"):
        try:
            return hydra_compose("train", overrides=list(overrides), return_hydra_config=with_hydra)
        except _COMPOSITION_ERRORS as error:
            raise ConfigError(
                "\n".join(_find_mistakes(overrides, config_dir) or [mistakes.explain(error)])
            ) from error


def _find_mistakes(overrides: Sequence[str], config_dir: Path) -> list[str]:
    """What is wrong with overrides that Hydra refused; empty if the fault lies in a YAML file."""
    parsed, problems = mistakes.parse(overrides)
    groups = options.groups(config_dir)
    picked = [override for override in parsed if mistakes.is_option(override, groups)]
    values = [override for override in parsed if override not in picked]
    problems += [
        f"{o.input_line}: several values at once -> add -m to run once for each"
        for o in parsed
        if o.is_sweep_override()
    ]
    wrong = {id(o): list(mistakes.wrong_options(o, config_dir)) for o in picked if not o.is_sweep_override()}
    problems += [problem for found in wrong.values() for problem in found]
    usable = [str(o.input_line) for o in picked if not wrong.get(id(o), [True])]
    try:
        tree: Any = hydra_compose("train", overrides=usable)
    except _COMPOSITION_ERRORS:
        return problems
    return problems + list(mistakes.wrong_values([o for o in values if not o.is_sweep_override()], tree))
