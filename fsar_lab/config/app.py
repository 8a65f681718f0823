"""The command line around a task: Hydra's, with mistakes told in one message before anything is built."""

from __future__ import annotations

import itertools
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NoReturn

import hydra
from hydra._internal.utils import get_args_parser
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig

from fsar_lab.config import mistakes, resolvers, store
from fsar_lab.config.compose import compose, to_config
from fsar_lab.config.options import CONFIG_DIR
from fsar_lab.config.schema import TrainConfig
from fsar_lab.config.validate import validate
from fsar_lab.errors import ConfigError, FsarError

Task = Callable[[TrainConfig, Path], float | None]

# A sweep's first jobs are checked before any starts; every job is checked again when it starts.
_JOBS_CHECKED_AHEAD = 16
_ASK_ONLY = ("help", "hydra_help", "info", "shell_completion", "experimental_rerun")
_OWN_CONFIG = ("config_dir", "config_path", "config_name")
# Groups whose options become tags of a run.
TAGGED = ("backbone", "quantizer", "prior", "coder", "dataset", "experiment", "budget")


def run_app(task: Task, config_dir: Path = CONFIG_DIR) -> None:
    """Run `task(config, run_directory)` with the configuration that the command line asks for.

    A mistake ends the program with one message and exit code 2, and so does an FsarError of a single run.
    With HYDRA_FULL_ERROR=1 the traceback is shown. Hydra's own options (--help, --cfg job, -m …) work.

    Args:
        task: What to do; its return value is what optimising sweepers minimise.
        config_dir: Folder that holds train.yaml and the groups.
    """
    store.register()
    resolvers.register()
    try:
        check_command_line(sys.argv[1:], config_dir)
    except FsarError as error:
        _stop(error)

    def job(tree: DictConfig) -> float | None:
        try:
            config = to_config(tree)
            validate(config)
            label(config, HydraConfig.get())
            return task(config, Path(HydraConfig.get().runtime.output_dir))
        except FsarError as error:
            if HydraConfig.get().mode == RunMode.MULTIRUN:
                raise  # the launcher knows what to do with a failed job
            _stop(error)

    hydra.main(version_base="1.3", config_path=str(config_dir), config_name="train")(job)()


def label(config: TrainConfig, hydra_config: Any) -> None:
    """Tell the loggers which options were picked (as tags) and which sweep a job belongs to (as group)."""
    choices = hydra_config.runtime.choices
    picked = [f"{group}={choices[group]}" for group in TAGGED if choices.get(group) not in (None, "none")]
    settings = config.logger
    settings.tags = list(dict.fromkeys([*settings.tags, *picked]))
    if settings.group is None and hydra_config.mode == RunMode.MULTIRUN:
        settings.group = Path(hydra_config.sweep.dir).name


def run_on_finished(program: str, help_text: str | None, task: Callable[[Path, list[str]], object]) -> None:
    """The command line `python -m fsar_lab.<program> run=DIRECTORY [key=value ...]`.

    Without arguments or with --help it prints `help_text`; an FsarError ends it with exit code 2.

    Args:
        program: Name of the module.
        help_text: What --help shows.
        task: Called with the run directory and the other arguments.
    """
    if not sys.argv[1:]:
        print(help_text)
        return
    run_program(help_text, lambda arguments: task(*split_run(arguments, program)))


def run_program(help_text: str | None, task: Callable[[list[str]], object]) -> None:
    """A command line of its own kind: `task(arguments)`; with --help it prints `help_text`.

    An FsarError ends the program with its message and exit code 2.
    """
    arguments = sys.argv[1:]
    if {"-h", "--help"} & set(arguments):
        print(help_text)
        return
    try:
        task(arguments)
    except FsarError as error:
        _stop(error)


def split_run(arguments: Sequence[str], program: str) -> tuple[Path, list[str]]:
    """`run=DIRECTORY` and the other arguments.

    Raises:
        ConfigError: No run, or several.
    """
    runs = [a.partition("=")[2] for a in arguments if a.startswith("run=")]
    if len(runs) != 1 or not runs[0]:
        raise ConfigError(f"name one finished run: python -m fsar_lab.{program} run=DIRECTORY (see --help)")
    return Path(runs[0]), [a for a in arguments if not a.startswith("run=")]


def check_command_line(arguments: Sequence[str], config_dir: Path = CONFIG_DIR) -> None:
    """Compose and validate what a command line asks for; for a sweep, its first jobs.

    Raises:
        ConfigError: Any mistake.
    """
    asked = get_args_parser().parse_args(list(arguments))
    if any(getattr(asked, name, None) for name in (*_ASK_ONLY, *_OWN_CONFIG)):
        return
    if not asked.multirun:
        compose(asked.overrides, config_dir, resources=asked.cfg is None)
        return
    launcher = [o.partition("=")[2] for o in asked.overrides if o.startswith("hydra/launcher=")]
    for overrides in itertools.islice(jobs(asked.overrides), _JOBS_CHECKED_AHEAD):
        config = compose(overrides, config_dir, resources=True)
        if config.trainer.devices > 1 and not any("submitit" in name for name in launcher):
            raise ConfigError(
                f"trainer.devices: {config.trainer.devices} devices in a multirun would run the whole sweep "
                "in each process -> trainer.devices=1, or hydra/launcher=submitit_local"
            )


def jobs(overrides: Sequence[str]) -> Iterator[list[str]]:
    """The overrides of each job of a sweep: every combination of the values given.

    Raises:
        ConfigError: An override that cannot be parsed.
    """
    parsed, problems = mistakes.parse(overrides)
    if problems:
        raise ConfigError("\n".join(problems))
    choices = [
        [f"{o.get_key_element()}={value}" for value in o.sweep_string_iterator()]
        if o.is_sweep_override()
        else [str(o.input_line)]
        for o in parsed
        if not o.is_hydra_override()
    ]
    for combination in itertools.product(*choices):
        yield list(combination)


def _stop(error: FsarError) -> NoReturn:
    """Tell a mistake and end with exit code 2."""
    if os.environ.get("HYDRA_FULL_ERROR") == "1":
        raise error
    lines = str(error).splitlines()
    head = (
        "fsar_lab: this cannot work"
        if isinstance(error, ConfigError)
        else f"fsar_lab: {type(error).__name__}"
    )
    print(f"{head}:\n" + "\n".join(f"  {line}" for line in lines), file=sys.stderr)
    raise SystemExit(2)
