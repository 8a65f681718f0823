"""The command line around a task: Hydra's, with mistakes told in one message before anything is built."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NoReturn

import hydra
from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra._internal.utils import get_args_parser
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.types import Override
from hydra.types import RunMode
from omegaconf import DictConfig
from rich.console import Console

from fsar_lab import sweep
from fsar_lab.config import mistakes, resolvers, store
from fsar_lab.config.compose import compose, compose_job, compose_tree, to_config
from fsar_lab.config.options import CONFIG_DIR
from fsar_lab.config.schema import TrainConfig
from fsar_lab.config.validate import validate
from fsar_lab.errors import ConfigError, FsarError
from fsar_lab.sweep import Task

_ASK_ONLY = ("help", "hydra_help", "info", "shell_completion", "experimental_rerun")
_OWN_CONFIG = ("config_dir", "config_path", "config_name")
# Groups whose options become tags of a run.
TAGGED = ("backbone", "quantizer", "prior", "coder", "dataset", "experiment", "budget")


class Job:
    """The task as Hydra calls it.

    An object, because Hydra's launchers carry it to other processes, which must know the schemas and
    resolvers before they compose anything.
    """

    def __init__(self, task: Task) -> None:
        self.task = task

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__ |= state
        store.register()
        resolvers.register()

    def __call__(self, tree: DictConfig) -> float | None:
        """Check the configuration once more, where it is going to run, and run it."""
        hydra_config = HydraConfig.get()
        sweeping, run_dir = hydra_config.mode == RunMode.MULTIRUN, Path(hydra_config.runtime.output_dir)
        try:
            config = to_config(tree)
            label(config, hydra_config)
            if sweeping:
                return sweep.run_job(self._checked, config, run_dir)
            validate(config)
            return self.task(config, run_dir)
        except FsarError as error:
            if sweeping:
                raise  # Hydra notes it and goes on with the other jobs
            _stop(error)

    def _checked(self, config: TrainConfig, run_dir: Path) -> float | None:
        """A job of a sweep."""
        validate(config)
        if config.trainer.devices == 1:
            return self.task(config, run_dir)
        group = f"logger.group='{config.logger.group}'"  # that command knows of no sweep
        return sweep.run_apart([*HydraConfig.get().overrides.task, group], run_dir)


def run_app(task: Task, config_dir: Path = CONFIG_DIR) -> None:
    """Run `task(config, run_directory)` with the configuration that the command line asks for.

    A mistake ends the program with one message and exit code 2, and so does an FsarError of a single run. A
    sweep ends with 0 if every job has a result with status ok, else with 1.
    With HYDRA_FULL_ERROR=1 the traceback is shown. Hydra's own options (--help, --cfg job, -m …) work.

    Args:
        task: What to do; its return value is what optimising sweepers minimise.
        config_dir: Folder that holds train.yaml and the groups.
    """
    store.register()
    resolvers.register()
    arguments = sys.argv[1:]
    try:
        jobs = check_command_line(arguments, config_dir)
    except FsarError as error:
        _stop(error)
    run = hydra.main(version_base="1.3", config_path=str(config_dir), config_name="train")(Job(task))
    if jobs is None:
        run()
        return
    broken = 0
    try:
        run()
    except SystemExit as end:  # Hydra or the launcher; it has told why
        broken = 1 if end.code else 0
    except KeyboardInterrupt:
        broken = 130
    code = sweep.report(jobs, arguments, Console(highlight=False))
    raise SystemExit(broken or code)


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


def check_command_line(
    arguments: Sequence[str], config_dir: Path = CONFIG_DIR
) -> list[sweep.SweepJob] | None:
    """Compose and validate what a command line asks for; of a sweep, every job.

    Returns:
        The jobs of a sweep; None if it is not one, or is only asked about (--help, --cfg …).

    Raises:
        ConfigError: Any mistake.
    """
    asked = get_args_parser().parse_args(list(arguments))
    if any(getattr(asked, name, None) for name in (*_ASK_ONLY, *_OWN_CONFIG)):
        return None
    parsed, problems = mistakes.parse(asked.overrides)
    if any(o.key_or_group == "hydra/launcher" and str(o.value()).startswith("submitit") for o in parsed):
        _prepare_submitit()  # first: Hydra knows no such option where it is not installed
    plan = _plan(parsed, asked.multirun, config_dir) if not problems else None
    if plan is None:
        compose(asked.overrides, config_dir, resources=asked.cfg is None)
        return None
    if asked.cfg is not None:
        return None
    grid, launcher = plan
    if launcher.startswith("submitit"):  # a YAML file may have chosen it
        _prepare_submitit()
    for_hydra = [str(o.input_line) for o in parsed if o.is_hydra_override()]
    found = []
    for overrides in jobs([*grid, *asked.overrides]):
        here = launcher != "submitit_slurm"  # where jobs are submitted there need not be a GPU
        config, run_dir = compose_job([*overrides, *for_hydra], config_dir, resources=True, devices=here)
        if config.trainer.devices > 1 and not launcher.startswith("submitit"):
            raise ConfigError(
                f"trainer.devices: {config.trainer.devices} devices in a multirun would run the whole sweep "
                "in each process -> trainer.devices=1, or hydra/launcher=submitit_local"
            )
        found.append(sweep.SweepJob(overrides, run_dir, config))
    return found


def _plan(parsed: Sequence[Override], multirun: bool, config_dir: Path) -> tuple[list[str], str] | None:
    """What the configuration itself sweeps over (conf/sweep), as overrides, and the launcher it chooses.

    None if this is a single run.

    Raises:
        ConfigError: The overrides cannot be composed.
    """
    if not multirun and not any(o.key_or_group in ("sweep", "hydra.mode") for o in parsed):
        return None
    single = [str(o.input_line) for o in parsed if not o.is_sweep_override()]
    hydra_tree = compose_tree(single, config_dir, with_hydra=True).hydra
    if not multirun and hydra_tree.mode != RunMode.MULTIRUN:
        return None
    grid = [f"{key}={value}" for key, value in (hydra_tree.sweeper.params or {}).items()]
    return grid, str(hydra_tree.runtime.choices["hydra/launcher"])


def _prepare_submitit() -> None:
    """Load our launchers.

    Raises:
        ConfigError: The extra `sweep` is not installed.
    """
    try:
        from fsar_lab import launchers
    except ImportError as error:
        raise ConfigError(
            f"hydra/launcher: submitit is not installed ({error}) -> pip install 'fsar_lab[sweep]'"
        ) from error
    launchers.register()


def jobs(overrides: Sequence[str]) -> Iterator[list[str]]:
    """The overrides of each job of a sweep: every combination of the values given, of a key the last.

    Raises:
        ConfigError: An override that cannot be parsed.
    """
    parsed, problems = mistakes.parse(overrides)
    if problems:
        raise ConfigError("\n".join(problems))
    ours = [o for o in parsed if not o.is_hydra_override()]
    (batch,) = BasicSweeper.split_arguments(ours, None)  # as Hydra does it: run directories follow from it
    yield from batch


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
