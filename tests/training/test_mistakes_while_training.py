"""What goes wrong once a training runs, and what the command line says about it."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from fsar_lab import run_files
from fsar_lab.config.build import build
from fsar_lab.config.compose import compose
from fsar_lab.errors import DataError, LosslessError, TrainingError
from fsar_lab.fitting import fit, memory_remedy
from fsar_lab.lit import Lit
from fsar_lab.models.coders.gaussian_linear_ar import GaussianLinearAR
from fsar_lab.result_files import read_attempts
from fsar_lab.train import main


def test_a_loss_that_is_not_finite_names_its_step(
    tiny: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    nats, steps = GaussianLinearAR.nats, 0

    def broken(self: GaussianLinearAR, theta: Tensor, x: Tensor) -> Tensor:
        nonlocal steps
        steps += self.training
        cost = nats(self, theta, x)
        return cost * float("inf") if self.training and steps == 8 else cost

    monkeypatch.setattr(GaussianLinearAR, "nats", broken)
    with pytest.raises(TrainingError, match=r"step 7 of 40.*optimizer\.lr"):  # counted from 0
        main(compose(tiny), tmp_path)
    result = json.loads((tmp_path / run_files.RESULT).read_text())
    assert result["status"] == "failed"
    assert "step 7 of 40" in result["error"]
    assert result["error"].startswith("TrainingError: ")
    assert {"name", "config_hash", "versions", "git"} <= result.keys()
    assert not (tmp_path / run_files.WEIGHTS).exists()
    assert not (tmp_path / run_files.CODEC).exists()


@pytest.mark.parametrize("what", ["the loss", "the weights"])
def test_no_checkpoint_holds_what_is_not_finite(
    what: str, tiny: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A checkpoint that is due between the bad step and the next look at the loss."""
    step = Lit.optimizer_step

    def spoil(self: Lit, *args: Any, **kwargs: Any) -> None:
        step(self, *args, **kwargs)
        if self.global_step == 4:
            bad = self.first_bad_step if what == "the loss" else next(self.model.parameters()).data
            bad.fill_(4.0 if what == "the loss" else float("nan"))

    monkeypatch.setattr(Lit, "optimizer_step", spoil)
    config = compose([*tiny, "trainer.checkpoint_minutes=0"])
    with pytest.raises(TrainingError, match=f"{what} stopped being finite at step [45] of 40"):
        fit(config, tmp_path, build(config.dataset), [])
    checkpoint = torch.load(tmp_path / run_files.CHECKPOINT, weights_only=True)
    assert checkpoint["global_step"] == 4
    assert all(v.isfinite().all() for v in checkpoint["current_model_state"].values())


def test_a_bad_last_step_is_noticed(tiny: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    training_step = Lit._remember_bad

    def last_is_bad(self: Lit, loss: Tensor) -> None:
        training_step(self, loss / 0 if self.global_step == self.steps - 1 else loss)

    monkeypatch.setattr(Lit, "_remember_bad", last_is_bad)
    config = compose([*tiny, "trainer.train_images=24"])
    with pytest.raises(TrainingError, match="step 2 of 3"):
        fit(config, tmp_path, build(config.dataset), [])


def test_an_absurd_learning_rate_on_the_command_line(
    tiny: list[str], train_command: Callable[[list[str]], Any], tmp_path: Path
) -> None:
    done = train_command([*tiny, "optimizer.lr=1e30"])
    assert done.wait() == 2
    assert "Traceback" not in done.stderr
    message = done.stderr[done.stderr.index("fsar_lab: TrainingError:") :]
    assert "the loss stopped being finite at step" in message
    assert "try a lower optimizer.lr" in message
    (run_dir,) = (tmp_path / "outputs").iterdir()
    assert json.loads((run_dir / run_files.RESULT).read_text())["status"] == "failed"


def test_an_interruption_says_how_to_go_on(
    tiny: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    step = Lit.training_step

    def interrupted(self: Lit, batch: Tensor, batch_idx: int) -> Tensor:
        if self.global_step == 3:
            raise KeyboardInterrupt
        return step(self, batch, batch_idx)

    monkeypatch.setattr(Lit, "training_step", interrupted)
    handler = signal.getsignal(signal.SIGINT)
    try:
        with pytest.raises(TrainingError, match="interrupted at step 3 of 40; the same command goes on"):
            main(compose(tiny), tmp_path)
    finally:
        signal.signal(signal.SIGINT, handler)  # Lightning ignores further ones
    assert json.loads((tmp_path / run_files.RESULT).read_text())["status"] == "failed"
    assert [one["status"] for one in read_attempts(tmp_path)] == ["interrupted"]


def test_what_is_amiss_around_a_run_uses_no_attempt_up(
    tiny: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*args: Any) -> None:
        raise DataError("the disk is away -> mount it")

    monkeypatch.setattr("fsar_lab.train.build", refused)
    with pytest.raises(DataError):
        main(compose(tiny), tmp_path)
    assert [one["status"] for one in read_attempts(tmp_path)] == ["refused"]


def test_loggers_that_fail_in_the_end_cost_no_result(
    tiny: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*args: Any) -> None:
        raise OSError("no route to W&B")

    monkeypatch.setattr("fsar_lab.log_result.log_result", refused)
    with pytest.raises(OSError, match="no route"):
        main(compose([*tiny, "trainer.train_images=16"]), tmp_path)
    assert json.loads((tmp_path / run_files.RESULT).read_text())["status"] == "ok"
    (attempt,) = read_attempts(tmp_path)
    assert attempt["status"] == "ok" and "no route to W&B" in attempt["error"]


@pytest.mark.parametrize(
    ("overrides", "says"),
    [
        (["dataset=fake", "prior.offsets=[[0,0,1]]"], ["prior.offsets", "[0,-1,0]"]),
        (["dataset=fake", "optimizer.lrr=1"], ["optimizer.lrr", "lr"]),
        (["dataset=cifar10_npz", "dataset.root=nowhere"], ["dataset.root", "nowhere"]),
        (["dataset=fake", "trainer.devices=4096", "trainer.batch_size=4096"], ["trainer.devices", "4096"]),
    ],
    ids=str,
)
def test_mistakes_end_before_anything_is_made(
    overrides: list[str],
    says: list[str],
    environment: dict[str, str],
    tmp_path: Path,
) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "fsar_lab.train", *overrides],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("fsar_lab: this cannot work:\n")
    assert "Traceback" not in done.stderr
    for words in says:
        assert words in done.stderr
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory"),
        MemoryError(),
        RuntimeError("[enforce fail at alloc_cpu.cpp:117] DefaultCPUAllocator: can't allocate memory"),
    ],
    ids=["gpu", "python", "cpu"],
)
def test_running_out_of_memory_names_the_remedy(tiny: list[str], error: Exception) -> None:
    config = compose(tiny)
    with pytest.raises(TrainingError, match=r"trainer\.batch_size=4 \(now 8\)"), memory_remedy(config):
        raise error


def test_other_errors_are_not_taken_for_a_lack_of_memory(tiny: list[str]) -> None:
    with pytest.raises(RuntimeError, match="shapes differ"), memory_remedy(compose(tiny)):
        raise RuntimeError("shapes differ")


def test_a_pixel_that_differs_fails_the_run(
    tiny: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The decoding process is a real one; here it is given other bytes than those of the images."""
    from fsar_lab.codec import codec

    encode_parts = codec.Codec.encode_parts

    def with_a_wrong_pixel(self: codec.Codec, images: object) -> codec.Encoded:
        wrong = images.copy()  # type: ignore[attr-defined]
        wrong[5, 3, 2, 1] ^= 1
        return encode_parts(self, wrong)

    monkeypatch.setattr(codec.Codec, "encode_parts", with_a_wrong_pixel)
    config = compose([*tiny, "trainer.train_images=8", "dataset.test_images=8"])
    with pytest.raises(LosslessError, match=r"1 of 8 images differ.*image 5"):
        main(config, tmp_path)
    result = json.loads((tmp_path / run_files.RESULT).read_text())
    assert result["status"] == "failed" and "lossless" not in result


def test_zero_fit_images_start_the_coder_from_zero(tiny: list[str], tmp_path: Path) -> None:
    """Read off the first checkpoint, one small step from the start."""
    fitted = {}
    for count in (0, 64):
        overrides = ["trainer.train_images=8", f"coder.fit_images={count}", "optimizer.lr=1e-9"]
        kept = [o for o in tiny if "fit_images" not in o and "train_images=320" not in o]
        config = compose([*kept, *overrides])
        run_dir = tmp_path / str(count)
        run_dir.mkdir()
        fitted[count] = fit(config, run_dir, build(config.dataset), []).compressor.coder
    assert fitted[0].weight.abs().max() < 1e-6  # type: ignore[union-attr]
    assert fitted[64].weight.abs().max() > 0.1  # type: ignore[union-attr]
