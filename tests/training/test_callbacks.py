from __future__ import annotations

import fsar_lab._torchvision_guard  # noqa: F401  isort: skip

import io
import json
import math
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import lightning
import numpy as np
import pytest
import torch
from lightning.pytorch import Callback
from PIL import Image
from rich.console import Console
from torch import Tensor

from fsar_lab.callbacks.build import build_callbacks
from fsar_lab.callbacks.checkpoint import LastCheckpoint
from fsar_lab.callbacks.heatmap import contact_sheet, heat_map
from fsar_lab.callbacks.pictures import bit_maps
from fsar_lab.callbacks.profile import StepProfile
from fsar_lab.callbacks.progress import TrainingProgress, figures
from fsar_lab.callbacks.throughput import Throughput
from fsar_lab.config.schema import (
    CallbacksConfig,
    FakeConfig,
    GaussianConfig,
    ShallowConfig,
    STHQConfig,
    TrainConfig,
    TrainerConfig,
    UniformConfig,
)
from fsar_lab.data.fake import Fake
from fsar_lab.data.stream import TrainStream, batches
from fsar_lab.models.backbones.shallow import Shallow
from fsar_lab.models.coders.gaussian import Gaussian
from fsar_lab.models.compressor import Compressor
from fsar_lab.models.priors.uniform import Uniform
from fsar_lab.models.quantizers.sthq import STHQ

BATCH, LOG_EVERY, STEPS = 4, 2, 28


def compressor() -> Compressor:
    torch.manual_seed(0)
    coder = Gaussian(GaussianConfig())
    backbone = Shallow(ShallowConfig(width=8), out_channels=coder.out_channels)
    quantizer = STHQ(STHQConfig(codebook_size=8, dim=4, groups=2))
    return Compressor(backbone, quantizer, Uniform(UniformConfig(), groups=2, codebook_size=8, dim=4), coder)


class Module(lightning.LightningModule):
    """Trains the compressor and logs what the callbacks read."""

    def __init__(self) -> None:
        super().__init__()
        self.model = compressor()

    def training_step(self, batch: Tensor, batch_idx: int) -> Tensor:
        loss: Tensor = self.model(batch).loss
        self.log("train/bpd_estimated", loss.detach() / math.log(2))
        return loss

    def validation_step(self, batch: Tensor, batch_idx: int) -> None:
        self.log("val/bpd_estimated", self.model(batch).loss / math.log(2), batch_size=len(batch))

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.Adam(self.parameters(), 1e-3)


def data() -> Fake:
    return Fake(FakeConfig(side=16, train_images=32, validation_images=8, test_images=8))


def train(
    run_dir: Path,
    callbacks: list[Callback],
    steps: int = 8,
    resume: Path | None = None,
    start_step: int = 0,
) -> lightning.Trainer:
    source = data()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        trainer = lightning.Trainer(
            accelerator="cpu",
            devices=1,
            max_steps=steps,
            max_epochs=-1,
            callbacks=callbacks,
            logger=False,
            log_every_n_steps=LOG_EVERY,
            val_check_interval=4,
            check_val_every_n_epoch=None,
            num_sanity_val_steps=1,
            default_root_dir=run_dir,
            enable_progress_bar=False,
            enable_model_summary=False,
        )
        options: dict[str, Any] = {"ckpt_path": resume, "weights_only": True} if resume else {}
        stream = TrainStream(source.train, BATCH, steps, start_step=start_step)
        trainer.fit(Module(), stream, batches(source.validation, 4), **options)
    return trainer


class Recorder(Callback):
    """Keeps every value that was logged."""

    def __init__(self) -> None:
        self.seen: dict[str, list[float]] = {}

    def on_train_batch_start(self, trainer: lightning.Trainer, *_: Any) -> None:
        for name, value in trainer.callback_metrics.items():
            self.seen.setdefault(name, []).append(float(value))


class KillAfter(Callback):
    def __init__(self, step: int) -> None:
        self.step = step

    def on_train_batch_end(self, trainer: lightning.Trainer, *_: Any) -> None:
        if trainer.global_step == self.step:
            raise RuntimeError("killed")


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)  # the networks are too small for more
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Callback], Recorder]:
    """A run with everything that the factory builds."""
    run_dir = tmp_path_factory.mktemp("run")
    config = TrainConfig(
        trainer=TrainerConfig(train_images=STEPS * BATCH - 1, batch_size=BATCH, profile=True)
    )
    callbacks = build_callbacks(config, run_dir, data().validation.batch(torch.arange(8)))
    recorder = Recorder()
    train(run_dir, [*callbacks, recorder], steps=STEPS)
    return run_dir, callbacks, recorder


def test_throughput_is_logged_and_totalled(finished: tuple[Path, list[Callback], Recorder]) -> None:
    _, callbacks, recorder = finished
    speed = callbacks[0]
    assert isinstance(speed, Throughput)
    assert speed.train_images == STEPS * BATCH
    assert speed.train_seconds > 0
    assert all(value > 0 for value in recorder.seen["train/images_per_second"])
    assert all(0 <= value <= 1 for value in recorder.seen["train/share_outside"])


class FakeEvent:
    """A CUDA event whose time has come only when `passed` is set; any two are 1 ms apart."""

    passed = False

    def __init__(self, enable_timing: bool) -> None:
        assert enable_timing

    def record(self) -> None: ...

    def query(self) -> bool:
        return FakeEvent.passed

    def elapsed_time(self, other: FakeEvent) -> float:
        assert FakeEvent.passed, "this would wait for the device"
        return 1.0


@pytest.mark.parametrize("passed", [False, True])
def test_throughput_never_waits_for_cuda_events(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, passed: bool
) -> None:
    class OnGPU(Throughput):
        def on_train_start(self, *arguments: Any) -> None:
            super().on_train_start(*arguments)
            self._cuda = True

    monkeypatch.setattr(torch.cuda, "Event", FakeEvent)
    FakeEvent.passed = passed
    recorder = Recorder()
    train(tmp_path, [OnGPU(), recorder])
    assert "train/images_per_second" in recorder.seen
    assert ("train/share_outside" in recorder.seen) == passed


def test_pictures_are_drawn_at_every_validation(finished: tuple[Path, list[Callback], Recorder]) -> None:
    files = sorted((finished[0] / "pictures").iterdir())
    assert [file.name for file in files] == [f"step_{step:07d}.png" for step in range(4, STEPS + 1, 4)]
    with Image.open(files[-1]) as picture:
        assert picture.mode == "RGB"
        assert len(picture.getcolors(1 << 24) or []) > 20


def test_profile_is_written(finished: tuple[Path, list[Callback], Recorder]) -> None:
    folder = finished[0] / "profile"
    assert "aten::" in (folder / "table.txt").read_text()
    assert json.loads((folder / "trace.json").read_text())["traceEvents"]


def test_only_the_last_checkpoint_is_kept(finished: tuple[Path, list[Callback], Recorder]) -> None:
    folder = finished[0] / "checkpoints"
    assert [file.name for file in folder.iterdir()] == ["last.ckpt"]
    checkpoint = torch.load(folder / "last.ckpt", weights_only=True)
    assert checkpoint["global_step"] == STEPS
    assert checkpoint["callbacks"]["Throughput"]["train_images"] == STEPS * BATCH


def test_short_training_still_gives_a_profile(tmp_path: Path) -> None:
    train(tmp_path, [StepProfile(tmp_path / "profile"), Throughput()], steps=10)
    assert (tmp_path / "profile" / "table.txt").exists()


def test_factory_leaves_out_what_is_off(tmp_path: Path) -> None:
    settings = CallbacksConfig(progress=False)
    settings.pictures.enabled = False
    found = build_callbacks(
        TrainConfig(callbacks=settings), tmp_path, torch.zeros(1, 3, 8, 8, dtype=torch.uint8)
    )
    assert [type(callback) for callback in found] == [Throughput, LastCheckpoint]


def test_totals_go_on_after_a_kill(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="killed"):
        train(tmp_path, [Throughput(), LastCheckpoint(tmp_path, 0), KillAfter(5)], steps=8)
    before = torch.load(tmp_path / "last.ckpt", weights_only=True)
    done = before["global_step"]  # the kill comes before the checkpoint of its own step
    assert done == 4
    assert [file.name for file in tmp_path.glob("*.*")] == ["last.ckpt"]
    speed = Throughput()
    console = Console(file=io.StringIO(), width=200)
    progress = TrainingProgress(8 * BATCH, BATCH, console)
    checkpoint = LastCheckpoint(tmp_path, 0)
    train(tmp_path, [speed, progress, checkpoint], steps=8, resume=tmp_path / "last.ckpt", start_step=done)
    assert speed.train_images == 8 * BATCH
    assert speed.train_seconds > before["callbacks"]["Throughput"]["train_seconds"]
    assert isinstance(console.file, io.StringIO)
    assert f"{4 * BATCH} of {8 * BATCH} images done" in console.file.getvalue()


def test_no_checkpoint_before_its_time_but_one_at_the_end(tmp_path: Path) -> None:
    checkpoint = LastCheckpoint(tmp_path, minutes=60)
    with pytest.raises(RuntimeError, match="killed"):
        train(tmp_path, [checkpoint, KillAfter(5)], steps=8)
    assert not checkpoint.path.exists()
    train(tmp_path, [checkpoint], steps=8)
    assert torch.load(checkpoint.path, weights_only=True)["global_step"] == 8


def test_failed_checkpoint_leaves_the_old_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    checkpoint = LastCheckpoint(tmp_path, minutes=60)
    checkpoint.path.write_bytes(b"old")

    def full(self: lightning.Trainer, path: Path, weights_only: bool) -> None:
        Path(path).write_bytes(b"half")
        raise OSError("disk full")

    monkeypatch.setattr(lightning.Trainer, "save_checkpoint", full)
    with pytest.raises(OSError, match="disk full"):
        train(tmp_path, [checkpoint], steps=1)
    assert checkpoint.path.read_bytes() == b"old"


@pytest.mark.parametrize("terminal", [False, True])
def test_progress_shows_training_and_validation(tmp_path: Path, terminal: bool) -> None:
    text = io.StringIO()
    console = Console(file=text, force_terminal=terminal, width=200)
    train(tmp_path, [TrainingProgress(8 * BATCH, BATCH, console)])
    shown = text.getvalue()
    assert f"{8 * BATCH}" in shown
    assert "validation: " in shown
    assert "bpd estimated" in shown
    assert ("\x1b" in shown) == terminal


def test_figures_name_their_units() -> None:
    values = {
        "bpd_estimated": 4.5,
        "bpd_pixels_estimated": 3.9,
        "bpd_latents_estimated": 0.6,
        "dead_codes": 3.0,
    }
    assert figures(values) == "4.500 bpd estimated (3.900 pixels + 0.600 latents)  3 dead codes"
    assert figures({}) == ""


def test_bit_maps_hold_all_the_bits() -> None:
    model = compressor().eval()
    images = data().validation.batch(torch.arange(3))
    with torch.no_grad():
        output = model(images)
    pixels, latents = bit_maps(output)
    assert pixels.shape == latents.shape == (3, 16, 16)
    for found, nats in ((pixels, output.pixel_nats), (latents, output.latent_nats)):
        expected = nats.flatten(1).sum(1).numpy() / math.log(2)
        np.testing.assert_allclose(found.sum((1, 2)), expected, rtol=1e-5)


def test_heat_map_runs_from_dark_to_light_and_clips() -> None:
    values = np.array([-1.0, 0.0, 2.0, 4.0, 9.0, np.nan])
    light = heat_map(values, top=4.0).astype(int).sum(-1)
    assert light[0] == light[1] == light[5] < light[2] < light[3] == light[4]


def test_contact_sheet_holds_the_pictures() -> None:
    red = np.zeros((2, 8, 8, 3), np.uint8)
    red[..., 0] = 255
    sheet = contact_sheet([("red", red), ("again", red)], side=16)
    assert (sheet == [255, 0, 0]).all(-1).sum() == 2 * 2 * 16 * 16
