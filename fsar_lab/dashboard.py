"""The dashboard in Weights & Biases, as code: `python -m fsar_lab.dashboard [key=value ...]`.

Saves a view of a W&B project: curves of the training, rate against speed and against the decoder's size,
parts of the bits, coding speed, codebook use, images with their bit maps, runs grouped by experiment. It
shows the runs that are in W&B (logger=wandb, or `wandb sync` of offline files), and those still to come.

  python -m fsar_lab.dashboard                               all runs of the project fsar_lab
  python -m fsar_lab.dashboard sweep=outputs/sweeps/NAME     one sweep, with its tables as they are now
  python -m fsar_lab.dashboard sweep=outputs/sweeps/NAME baseline=vqvae_c2     and differences
  python -m fsar_lab.dashboard dry_run=true                  only write what would be created

project=NAME       the W&B project; default: the sweep's, or fsar_lab
entity=NAME        user or team; default: the sweep's, or that of your key
sweep=FOLDER       only the runs of this sweep, which are a group in W&B
baseline=NAME      experiment that the tables' differences are taken against
dry_run=true       publish nothing, write the view as JSON; so it is, too, without a key
output=FILE        where to; default: dashboard.json in the sweep's folder, else in the outputs' folder

Needs `pip install 'fsar_lab[dashboard]'`, and to publish a key: `wandb login`. Offline, without W&B:
`python -m fsar_lab.collect FOLDER` makes a page from the same data.
"""

from __future__ import annotations

import importlib.util
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fsar_lab import wandb_run
from fsar_lab.config.app import run_program
from fsar_lab.config.schema import LoggerConfig
from fsar_lab.errors import ConfigError, FsarError
from fsar_lab.report.panels import build_panels
from fsar_lab.report.runs import Run, read_runs
from fsar_lab.report.wandb_table import settings_of

NOBODY = "your-entity"  # stands in the JSON where nobody is known


@dataclass
class Options:
    """What the command line takes; see the module's text."""

    project: str | None = None
    entity: str | None = None
    sweep: str | None = None
    baseline: str | None = None
    dry_run: bool = False
    output: str | None = None


def main(arguments: list[str]) -> None:
    """Publish the dashboard, or write it to a file.

    Raises:
        FsarError: a mistake in the arguments, a package is missing, or W&B refuses.
    """
    options = parse(arguments)
    runs, panels, settings = [], [], LoggerConfig()
    if options.sweep:
        runs = read_runs(Path(options.sweep))
        panels = build_panels(runs, options.baseline)
        settings = settings_of(runs, Path(options.sweep))
    if importlib.util.find_spec("wandb_workspaces") is None:
        raise FsarError("the package wandb-workspaces is not installed -> pip install 'fsar_lab[dashboard]'")
    from fsar_lab.report.workspace import build_workspace

    asked = options.entity or settings.entity
    owner = None if options.dry_run else owner_of_key(asked)
    project, entity = options.project or settings.project, owner or asked or NOBODY
    workspace = build_workspace(project, entity, settings.group, panels, speeds_of(runs))
    if owner:
        with refusals():
            workspace.save()
        print(f"published: {workspace.url}")
        return
    folder = Path(options.sweep or os.environ.get("FSAR_OUTPUT", "outputs"))
    path = Path(options.output) if options.output else folder / "dashboard.json"
    write(workspace, path)
    why = "dry_run=true" if options.dry_run else "no key for W&B here"
    print(f"{why}: nothing was published; what would be created is in {path}")
    print("to publish: `wandb login`, then the same command" + " without dry_run" * options.dry_run)


def owner_of_key(entity: str | None) -> str | None:
    """Whose project it is: `entity`, else the key's own; None if there is no key. Never asks for one."""
    import wandb

    with refusals():
        if not wandb_run.has_key():
            return None
        wandb.login(prompt=False)  # whether it is good
        return entity or str(wandb.Api().default_entity)


@contextmanager
def refusals() -> Iterator[None]:
    """Turns what W&B says against it into one error with a remedy."""
    import wandb

    try:
        yield
    except (wandb.errors.Error, OSError, ValueError) as error:
        reason = str(error).partition("\n")[0]
        remedy = "look at the key, project= and entity=; dry_run=true writes the view to a file"
        raise FsarError(f"W&B refused: {reason} -> {remedy}") from error


def parse(arguments: list[str]) -> Options:
    """`key=value` arguments as options.

    Raises:
        ConfigError: an unknown key, or a value of another type.
    """
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    try:
        tree = OmegaConf.merge(OmegaConf.structured(Options), OmegaConf.from_dotlist(arguments))
        options = OmegaConf.to_object(tree)
    except OmegaConfBaseException as error:
        reason = str(error).partition("\n")[0]
        raise ConfigError(f"{error.full_key}: {reason} -> python -m fsar_lab.dashboard --help") from error
    assert isinstance(options, Options)
    return options


def speeds_of(runs: list[Run]) -> list[tuple[int, int]]:
    """(threads, images a call) of all coding-speed measurements."""
    rows = [row for run in runs for row in run.result.get("coding_speed", {}).get("rows", ())]
    return sorted({(int(row["threads"]), int(row["batch"])) for row in rows})


def write(workspace: Any, path: Path) -> None:
    """Write the view as the JSON that W&B would be sent."""
    view = workspace._to_model()  # as the package's own save() does; it has no public way
    spec = json.loads(view.spec.model_dump_json(by_alias=True, exclude_none=True))
    content = {"entity": view.entity, "project": view.project, "displayName": view.display_name, "spec": spec}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    run_program(__doc__, main)
