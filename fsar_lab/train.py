"""Train a learned lossless codec, code the test set with it, report: `python -m fsar_lab.train`.

Reads top to bottom: compose and check (run_app), data, fit, export, code, result.json.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

from fsar_lab.config.app import run_app
from fsar_lab.config.build import build, config_hash
from fsar_lab.config.schema import TrainConfig


def main(config: TrainConfig, run_dir: Path) -> float:
    """Run one experiment in `run_dir`; returns the coded bits per dimension."""
    from fsar_lab import result_files, run_files  # heavy: only after the configuration was found good
    from fsar_lab.errors import ConfigError, DataError, InterruptedTrainingError
    from fsar_lab.loggers import first_process, open_loggers

    hashed = config_hash(config)
    if first_process():
        result_files.begin_attempt(run_dir, hashed)
        run_files.begin(run_dir, config)
    facts: dict[str, Any] = {
        "name": config.name,
        "config_hash": hashed,
        "versions": run_files.versions(),
        "git": run_files.git_state(),
    }
    try:
        with open_loggers(config, run_dir) as loggers:
            result = experiment(config, run_dir, loggers, facts)
    except BaseException as error:
        if first_process():
            reason = f"{type(error).__name__}: {error}"
            status = "failed"
            if result_files.read_result(run_dir):  # of this attempt: only telling of it has failed
                status = "ok"
            else:
                result_files.write_result(run_dir, {"status": "failed", "error": reason, **facts})
                if isinstance(error, InterruptedTrainingError | KeyboardInterrupt):
                    status = "interrupted"
                elif isinstance(error, ConfigError | DataError):
                    status = "refused"
            result_files.end_attempt(run_dir, status, reason)
        raise
    if first_process():
        result_files.end_attempt(run_dir, "ok")
    return float(result.get("bpd", "nan"))


def experiment(
    config: TrainConfig, run_dir: Path, loggers: list[Any], facts: dict[str, Any]
) -> dict[str, Any]:
    """Data, training, export, coding and report of one run."""
    from rich.console import Console

    from fsar_lab import run_files
    from fsar_lab.bundle import make_bundle
    from fsar_lab.coding import code, to_images
    from fsar_lab.fitting import fit, total_steps
    from fsar_lab.log_result import log_result
    from fsar_lab.loggers import first_process, quiet_console
    from fsar_lab.report.tables import print_result, saying
    from fsar_lab.result_files import write_result

    console = Console(highlight=False, quiet=not first_process())
    quiet_console()
    dataset = build(config.dataset)
    console.print(dataset.describe())
    console.print(f"run directory: {run_dir}")
    if run_files.training_facts(run_dir):
        console.print("trained already; trainer.resume=false would begin anew")
    fitted = fit(config, run_dir, dataset, loggers)
    if not fitted.is_global_zero:  # the other ranks have nothing left to do
        return {}
    facts |= {"parameters": count_parameters(fitted.compressor), **fitted.facts}
    codec, images = run_dir / run_files.CODEC, to_images(dataset.test)
    with saying(console) as say:
        say("making the integer model")
        make_bundle(config, fitted.compressor, dataset, facts).save(codec)
        figures = code(fitted.compressor, codec, images, config.callbacks, say)
    result = {"status": "ok", **figures, **facts}
    path = write_result(run_dir, result)
    log_result(loggers, run_dir, result, total_steps(config))
    print_result(result, console)
    say_where(console, config, run_dir, path)
    return result


def say_where(console: Any, config: TrainConfig, run_dir: Path, result: Path) -> None:
    """Where to look next."""
    rows = {
        "result": str(result),
        "codec": f"{run_dir}/codec.fsarm  (fsar_lab.Codec.load)",
        "curves": f"{run_dir}/logs"
        + (f", {run_dir}/wandb (wandb sync)" if config.logger.mode == "offline" else "")
        + (f", {run_dir}/tensorboard" if config.logger.tensorboard else ""),
        "bit maps": f"{run_dir}/pictures",
        "other images": f"python -m fsar_lab.evaluate run={run_dir} dataset=folder dataset.root=FOLDER",
    }
    if not (run_dir / "pictures").is_dir():  # switched off, or nothing was trained
        del rows["bit maps"]
    for what, where in rows.items():
        console.print(f"{what + ':':14}{where}", soft_wrap=True)


def count_parameters(compressor: Any) -> dict[str, int]:
    """Trained numbers of each part; the prior's become a table and are not needed for coding."""
    return {name: sum(p.numel() for p in part.parameters()) for name, part in compressor.named_children()}


if __name__ == "__main__":
    logging.getLogger("torch.distributed").setLevel(logging.ERROR)
    run_app(main)
