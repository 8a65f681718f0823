"""Code any data set with a finished run: `python -m fsar_lab.evaluate run=DIRECTORY [dataset=... ...]`.

Without further overrides the run's own test set is coded again. `dataset=` and `callbacks=` pick other
options, `dataset.key=` and `callbacks.key=` change single values of those, or else of the run's own. What
belongs to the model stays as it is.

  python -m fsar_lab.evaluate run=outputs/fsar-1a2b3c4d
  python -m fsar_lab.evaluate run=outputs/fsar-1a2b3c4d dataset.test_images=100
  python -m fsar_lab.evaluate run=outputs/fsar-1a2b3c4d dataset=photos dataset.root=FOLDER
  python -m fsar_lab.evaluate run=outputs/fsar-1a2b3c4d dataset=kodak
  python -m fsar_lab.evaluate run=outputs/fsar-1a2b3c4d callbacks.coding.baselines=[png,webp,jxl_e7]
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from fsar_lab.config.app import run_on_finished
from fsar_lab.config.build import build, config_hash
from fsar_lab.config.schema import TrainConfig
from fsar_lab.errors import ConfigError

_SETTABLE = ("dataset", "callbacks")
_CALIBRATION = "callbacks.coding.calibration_images"  # the model was made with: as the run has it


def with_overrides(config: TrainConfig, overrides: Sequence[str]) -> TrainConfig:
    """A run's configuration with another data set, or other values of its own one; likewise the callbacks.

    Raises:
        ConfigError: an override that is mistyped, belongs to the model or cannot work with it.
    """
    from omegaconf import OmegaConf

    from fsar_lab.config import mistakes, options
    from fsar_lab.config.compose import compose, to_config
    from fsar_lab.config.validate import validate

    parsed, problems = mistakes.parse(overrides)
    foreign = [
        str(o.input_line)
        for o in parsed
        if o.key_or_group.split(".")[0] not in _SETTABLE or o.key_or_group == _CALIBRATION
    ]
    if foreign:
        raise ConfigError(
            f"{', '.join(foreign)}: an evaluation takes overrides of {' and '.join(_SETTABLE)} only; "
            "the model is that of the run"
        )
    picks = [o for o in parsed if mistakes.is_option(o, options.groups())]
    values = [o for o in parsed if o not in picks]
    given = compose([str(o.input_line) for o in picks])
    picked = {o.key_or_group: getattr(given, o.key_or_group) for o in picks}
    tree = OmegaConf.structured(dataclasses.replace(config, **picked))
    if problems := [*problems, *mistakes.wrong_values(values, tree)]:
        raise ConfigError("\n".join(problems))
    for o in values:
        OmegaConf.update(tree, o.key_or_group, o.value(), merge=True)
    OmegaConf.update(tree, _CALIBRATION, config.callbacks.coding.calibration_images)
    changed = to_config(tree)
    here = dataclasses.replace(changed.trainer, accelerator="cpu", devices=1)  # wherever it was trained
    validate(dataclasses.replace(changed, trainer=here), training=False)
    return changed


def evaluate(run_dir: Path, overrides: Sequence[str]) -> dict[str, Any]:
    """Code a data set with the codec of `run_dir`; the result is also written below `run_dir/evaluations`.

    Raises:
        ConfigError: no such run, or an override that cannot work. FsarError: the run is unfinished.
    """
    from rich.console import Console

    from fsar_lab import run_files
    from fsar_lab.coding import code, to_images
    from fsar_lab.report.tables import print_result, saying
    from fsar_lab.result_files import now, write_result

    config = run_files.load_config(run_dir)
    if overrides:
        config = with_overrides(config, overrides)
    compressor = run_files.load_compressor(run_dir)
    dataset = build(config.dataset)
    console = Console(highlight=False)
    console.print(dataset.describe())
    with saying(console) as say:
        codec = run_dir / run_files.CODEC
        figures = code(compressor, codec, to_images(dataset.test), config.callbacks, say)
    result = {
        "status": "ok",
        "name": config.name,
        "run": run_dir.name,
        "dataset": dataset.describe(),
        **figures,
        **run_files.training_facts(run_dir),
        "config_hash": config_hash(config),
        "versions": run_files.versions(),
        "git": run_files.git_state(),
        "written": now(),
    }
    folder = run_dir / "evaluations"
    folder.mkdir(exist_ok=True)
    path = write_result(folder, result, f"{result['config_hash']}-{result['images_hash']}.json")
    print_result(result, console)
    console.print(f"result: {path}")
    return result


if __name__ == "__main__":
    run_on_finished("evaluate", __doc__, evaluate)
