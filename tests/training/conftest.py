"""What whole trainings in miniature share."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

# 40 steps of 8 images of 16x16 on a model of 8 channels: a second on one core.
TINY = (
    "dataset=fake",
    "dataset.side=16",
    "dataset.train_images=64",
    "dataset.validation_images=9",
    "dataset.test_images=64",
    "backbone.width=8",
    "quantizer.dim=8",
    "quantizer.codebook_size=16",
    "coder.num_scales=32",
    "coder.fit_images=64",
    "trainer.train_images=320",
    "trainer.batch_size=8",
    "trainer.threads=1",
    "logger=none",
    "callbacks=none",
    "callbacks.coding.calibration_images=16",
)


@pytest.fixture
def tiny() -> list[str]:
    """Overrides that make the default composition tiny."""
    return list(TINY)


@pytest.fixture(autouse=True)
def own_threads() -> Iterator[None]:
    """Trainings set torch's threads for the whole process; put them back."""
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def train_command() -> list[str]:
    """The command that users type, before its overrides."""
    return [sys.executable, "-m", "fsar_lab.train"]


@pytest.fixture
def environment(root: Path, tmp_path: Path) -> dict[str, str]:
    """Environment of that command; its runs go to tmp_path/outputs."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("HYDRA_", "PL_"))}
    return kept | {"PYTHONPATH": str(root), "FSAR_OUTPUT": str(tmp_path / "outputs"), "OMP_NUM_THREADS": "1"}
