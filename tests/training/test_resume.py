"""A training that was killed goes on as if nothing had happened; one of another configuration does not."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from fsar_lab import run_files
from fsar_lab.callbacks.checkpoint import LastCheckpoint
from fsar_lab.config.build import build
from fsar_lab.config.compose import compose
from fsar_lab.config.schema import TrainConfig
from fsar_lab.errors import TrainingError
from fsar_lab.fitting import Fitted, fit
from fsar_lab.models.quantizers.base import VectorQuantizer
from fsar_lab.train import main

STEPS = 24
# Dead codes move after 4, 8, 12 and 16 steps, so that what was counted before a kill matters after it.
RESTARTS = [
    *("quantizer.restart.every_steps=4", "quantizer.restart.until=0.75"),
    *("trainer.checkpoint_minutes=0", "trainer.train_images=192"),
]


class KilledError(Exception):
    pass


def begin_and_fit(config: TrainConfig, run_dir: Path) -> Fitted:
    """What a training does before it codes."""
    run_dir.mkdir(exist_ok=True)
    run_files.begin(run_dir, config)
    return fit(config, run_dir, build(config.dataset), [])


def kill_after(step: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the next training end, without any cleaning up, right after its checkpoint of `step`."""
    save = LastCheckpoint._save

    def save_then_die(self: LastCheckpoint, trainer: Any) -> None:
        save(self, trainer)
        if trainer.global_step == step:
            raise KilledError

    monkeypatch.setattr(LastCheckpoint, "_save", save_then_die)


def weights(run_dir: Path) -> dict[str, Tensor]:
    return load_file(run_dir / run_files.WEIGHTS)


def same(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    assert one.keys() == other.keys()
    return all(torch.equal(one[name], other[name]) for name in one)


def checkpoint_step(run_dir: Path) -> int:
    checkpoint = torch.load(run_dir / run_files.CHECKPOINT, weights_only=True)
    return int(checkpoint["global_step"])


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory) -> Callable[[TrainConfig], dict[str, Tensor]]:
    """Weights of the training that nothing interrupts."""
    made: dict[str, dict[str, Tensor]] = {}

    def train(config: TrainConfig) -> dict[str, Tensor]:
        key = repr(config)
        if key not in made:
            run_dir = tmp_path_factory.mktemp("uninterrupted")
            begin_and_fit(config, run_dir)
            made[key] = weights(run_dir)
        return made[key]

    return train


def test_a_killed_training_goes_on_with_the_same_command(
    tiny: list[str],
    tmp_path: Path,
    train_command: Callable[[list[str]], Any],
    uninterrupted: Callable[[TrainConfig], dict[str, Tensor]],
) -> None:
    overrides = [*tiny, *RESTARTS]
    outputs = tmp_path / "outputs"
    first = train_command(overrides)
    deadline = time.monotonic() + 300
    while not list(outputs.glob(f"*/{run_files.CHECKPOINT}")):
        assert time.monotonic() < deadline, first.stderr
        time.sleep(0.005)
    os.kill(first.pid, signal.SIGKILL)
    assert first.wait() == -signal.SIGKILL
    (run_dir,) = outputs.iterdir()
    assert 1 <= checkpoint_step(run_dir) < STEPS
    assert not (run_dir / run_files.RESULT).exists()
    assert not (run_dir / run_files.WEIGHTS).exists()

    second = train_command(overrides)
    assert second.wait() == 0, second.stderr
    assert list(outputs.iterdir()) == [run_dir]
    result = json.loads((run_dir / run_files.RESULT).read_text())
    assert (result["status"], result["lossless"], result["train_images"]) == ("ok", True, 8 * STEPS)
    assert checkpoint_step(run_dir) == STEPS
    assert same(weights(run_dir), uninterrupted(compose(overrides)))


@pytest.mark.parametrize("step", [1, 4, 14, STEPS])
def test_a_resumed_training_gives_the_same_weights(
    step: int,
    tiny: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    uninterrupted: Callable[[TrainConfig], dict[str, Tensor]],
) -> None:
    """At a restart of dead codes, between two, past the middle, and after the last step of all."""
    config = compose([*tiny, *RESTARTS])
    expected = uninterrupted(config)
    with monkeypatch.context() as patch:
        kill_after(step, patch)
        with pytest.raises(KilledError):
            begin_and_fit(config, tmp_path / "run")
    assert checkpoint_step(tmp_path / "run") == step
    fitted = begin_and_fit(config, tmp_path / "run")
    assert fitted.facts["train_images"] == 8 * STEPS
    assert same(weights(tmp_path / "run"), expected)


def test_without_average_and_with_the_relaxed_rate_it_resumes_too(
    tiny: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every random number of a step follows from the step: noise, drawn positions, crops."""
    config = compose([*tiny, *RESTARTS, "trainer.ema_decay=0", "prior.detach_posterior=false", "seed=5"])
    begin_and_fit(config, tmp_path / "whole")
    with monkeypatch.context() as patch:
        kill_after(9, patch)
        with pytest.raises(KilledError):
            begin_and_fit(config, tmp_path / "run")
    begin_and_fit(config, tmp_path / "run")
    assert same(weights(tmp_path / "run"), weights(tmp_path / "whole"))


@pytest.mark.parametrize("change", ["optimizer.lr=0.001", "prior=fsar_o1s", "trainer.resume=false"])
def test_a_checkpoint_of_another_configuration_is_not_resumed(
    change: str, tiny: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        kill_after(1, patch)
        with pytest.raises(KilledError):
            begin_and_fit(compose([*tiny, *RESTARTS]), tmp_path / "run")
    config = compose([*tiny, *RESTARTS, change])
    run_files.begin(tmp_path / "run", config)
    assert not (tmp_path / "run" / run_files.CHECKPOINT).exists()
    assert run_files.load_config(tmp_path / "run") == config


def test_a_checkpoint_of_another_version_says_what_to_do(
    tiny: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = compose([*tiny, *RESTARTS])
    with monkeypatch.context() as patch:
        kill_after(1, patch)
        with pytest.raises(KilledError):
            begin_and_fit(config, tmp_path / "run")
    path = tmp_path / "run" / run_files.CHECKPOINT
    checkpoint = torch.load(path, weights_only=True)
    checkpoint["state_dict"]["model.coder.another"] = checkpoint["state_dict"].pop("model.coder.bias")
    torch.save(checkpoint, path)
    with pytest.raises(TrainingError, match=r"last\.ckpt does not fit .* trainer\.resume=false"):
        begin_and_fit(config, tmp_path / "run")


def test_logging_and_threads_do_not_make_another_configuration(
    tiny: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        kill_after(2, patch)
        with pytest.raises(KilledError):
            begin_and_fit(compose([*tiny, *RESTARTS]), tmp_path / "run")
    harmless = ["name=other", "trainer.threads=2", "callbacks=default", "logger=wandb_offline"]
    kept = [o for o in tiny if o not in ("callbacks=none", "logger=none") and "threads" not in o]
    run_files.begin(tmp_path / "run", compose([*kept, *RESTARTS, *harmless]))
    assert checkpoint_step(tmp_path / "run") == 2


def test_a_finished_training_is_not_repeated(tiny: list[str], tmp_path: Path) -> None:
    config = compose(tiny)
    first = begin_and_fit(config, tmp_path / "run")
    written = (tmp_path / "run" / run_files.WEIGHTS).stat().st_mtime_ns
    again = begin_and_fit(config, tmp_path / "run")
    assert again.facts == first.facts
    assert (tmp_path / "run" / run_files.WEIGHTS).stat().st_mtime_ns == written
    one, other = first.compressor.state_dict(), again.compressor.state_dict()
    assert same(dict(one), dict(other))


def test_dead_codes_restart_early_in_training_only(
    tiny: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[int] = []
    restart = VectorQuantizer.restart_dead

    def record(self: VectorQuantizer, y: Tensor) -> None:
        counted = int(self.usage.sum())  # 8 images of 8x8 latents in every step since the last restart
        assert counted == 4 * 8 * 64
        calls.append(counted)
        restart(self, y)

    monkeypatch.setattr(VectorQuantizer, "restart_dead", record)
    begin_and_fit(compose([*tiny, *RESTARTS]), tmp_path / "run")
    assert len(calls) == 4  # after 4, 8, 12 and 16 of 24 steps


def test_seeds_decide(tiny: list[str], tmp_path: Path) -> None:
    runs = []
    for name, seed in (("one", 1), ("other", 2)):
        begin_and_fit(compose([*tiny, f"seed={seed}", "trainer.train_images=32"]), tmp_path / name)
        runs.append(weights(tmp_path / name))
    assert not same(runs[0], runs[1])


def test_result_of_an_earlier_run_does_not_outlive_a_new_start(tiny: list[str], tmp_path: Path) -> None:
    """A reader never takes an old result for that of the run in progress."""
    run_dir = tmp_path / "run"
    run_dir.mkdir()
    (run_dir / run_files.RESULT).write_text("{}")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("fsar_lab.fitting.fit", lambda *a: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            main(compose(tiny), run_dir)
    result = json.loads((run_dir / run_files.RESULT).read_text())
    assert result["status"] == "failed" and result["error"].startswith("KeyboardInterrupt")
