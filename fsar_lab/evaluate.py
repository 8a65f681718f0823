"""Code any data set with a finished run: `python -m fsar_lab.evaluate run=DIRECTORY [dataset=... ...]`.

Without further overrides the run's own test set is coded again. Overrides of `dataset` and
`callbacks` work as in training; what belongs to the model comes from the run and stays as it is.

  python -m fsar_lab.evaluate run=outputs/fsar-1a2b3c4d
  python -m fsar_lab.evaluate run=outputs/fsar-1a2b3c4d dataset=photos dataset.root=FOLDER
  python -m fsar_lab.evaluate run=outputs/fsar-1a2b3c4d callbacks.coding.baselines=[png,webp,jxl_e7]
"""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from fsar_lab.config.build import build, config_hash
from fsar_lab.errors import ConfigError, FsarError

_SETTABLE = ("dataset", "callbacks", "paths")


def split_run(arguments: Sequence[str], program: str) -> tuple[Path, list[str]]:
    """`run=DIRECTORY` and the other arguments.

    Raises:
        ConfigError: no run given.
    """
    runs = [a.partition("=")[2] for a in arguments if a.startswith("run=")]
    if len(runs) != 1 or not runs[0]:
        raise ConfigError(f"name one finished run: python -m fsar_lab.{program} run=DIRECTORY (see --help)")
    return Path(runs[0]), [a for a in arguments if not a.startswith("run=")]


def evaluate(run_dir: Path, overrides: Sequence[str]) -> dict[str, Any]:
    """Code a data set with the codec of `run_dir`; the result is also written below `run_dir/evaluations`.

    Raises:
        ConfigError: no such run, or an override that cannot work. FsarError: the run is unfinished.
    """
    from rich.console import Console

    from fsar_lab import run_files
    from fsar_lab.coding import code, to_array
    from fsar_lab.config.compose import compose
    from fsar_lab.report.tables import print_result

    config = run_files.load_config(run_dir)
    if overrides:
        foreign = [o for o in overrides if o.lstrip("+~").partition("=")[0].split(".")[0] not in _SETTABLE]
        if foreign:
            raise ConfigError(
                f"{', '.join(foreign)}: an evaluation takes overrides of {', '.join(_SETTABLE)} only; "
                "the model is that of the run"
            )
        given = compose(list(overrides), resources=True)
        own_data = not any(o.startswith("dataset") for o in overrides)
        dataset_config = config.dataset if own_data else given.dataset
        config = dataclasses.replace(config, dataset=dataset_config, callbacks=given.callbacks)
    compressor = run_files.load_compressor(run_dir)
    dataset = build(config.dataset)
    console = Console(highlight=False)
    console.print(dataset.describe())
    images = to_array(dataset.test, config.dataset.test_images)
    with console.status("coding") as status:
        figures = code(compressor, run_dir / run_files.CODEC, images, config.callbacks, status.update)
    result = {
        "status": "ok",
        "name": config.name,
        "run": run_dir.name,
        "dataset": dataset.describe(),
        **figures,
        "config_hash": config_hash(config),
        "versions": run_files.versions(),
        "git": run_files.git_state(),
    }
    folder = run_dir / "evaluations"
    folder.mkdir(exist_ok=True)
    path = run_files.write_result(folder, result, f"{result['config_hash']}.json")
    print_result(result, console)
    console.print(f"result: {path}")
    return result


def main() -> None:
    """Command line."""
    arguments = sys.argv[1:]
    if not arguments or {"-h", "--help"} & set(arguments):
        print(__doc__)
        return
    try:
        evaluate(*split_run(arguments, "evaluate"))
    except FsarError as error:
        print(f"fsar_lab: {error}", file=sys.stderr)
        raise SystemExit(2) from None


if __name__ == "__main__":
    main()
