"""Jobs of a sweep that have not begun: what its command line asked for, less what is there."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

import yaml

from fsar_lab.config import resolvers, store
from fsar_lab.config.app import jobs
from fsar_lab.config.build import to_plain
from fsar_lab.config.compose import compose_job
from fsar_lab.errors import ConfigError
from fsar_lab.report.runs import Run


def waiting_runs(folder: Path, begun: Collection[str]) -> list[Run]:
    """The jobs of the sweep in `folder` without a run directory.

    Args:
        folder: the sweep's folder, with Hydra's multirun.yaml.
        begun: names of the run directories that are there.

    Returns:
        Runs whose state is `waiting`; none if the folder is not a sweep's, or the sweep was started by a
        version of the code whose options are not today's.
    """
    path = folder / "multirun.yaml"
    try:
        plan = yaml.safe_load(path.read_text(encoding="utf-8"))["hydra"]
        grid = [f"{key}={values}" for key, values in (plan["sweeper"].get("params") or {}).items()]
        asked = [*grid, *plan["overrides"]["task"]]
    except (OSError, yaml.YAMLError, KeyError, TypeError, AttributeError):
        return []
    store.register()
    resolvers.register()
    waiting = []
    try:
        for overrides in jobs(asked):
            config, place = compose_job(overrides)
            if place.name not in begun:
                run = Run(folder / place.name, config.name, "waiting", config=to_plain(config))
                waiting.append(run)
    except ConfigError:
        return []
    return waiting
