"""Whole trainings in miniature on data sets as they lie on disk, up to the bytes of their test images."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fsar_lab import run_files
from fsar_lab.config.compose import compose
from fsar_lab.train import main


def photographs(folder: Path, count: int, height: int = 24) -> None:
    folder.mkdir(parents=True)
    for i in range(count):
        noise = np.random.default_rng(i).integers(110, 150, (height, 20 + i, 3), np.uint8)
        Image.fromarray(noise).save(folder / f"{folder.name}{i}.png")


def make(option: str, root: Path) -> tuple[list[str], int]:
    """Files for a data set, overrides that lead to them, and the sub-pixels of its test images."""
    if option == "imagenet32":
        rng = np.random.default_rng(0)
        for name, folder in (
            ("train_data_batch_1", "train"),
            ("train_data_batch_2", "train"),
            ("val_data", "val"),
        ):
            (root / f"Imagenet32_{folder}_npz").mkdir(parents=True, exist_ok=True)
            data = rng.integers(110, 150, (40, 3072), np.uint8)
            np.savez(root / f"Imagenet32_{folder}_npz" / f"{name}.npz", data=data, labels=np.ones(40))
        return [f"dataset.root={root}", "dataset.counts=[80,40]", "dataset.test_images=null"], 40 * 3072
    if option == "openimages":
        photographs(root / "clean_train", 5)
        photographs(root / "clean_val", 9)
        photographs(root / "kodak", 3, 33)
        roots = f"dataset.test_roots=[{root / 'kodak'}]"
        return [f"dataset.root={root}", roots, "dataset.tile=16", "dataset.test_multiple=8"], 3 * 3 * 32 * 16
    photographs(root, 30)
    few = ["dataset.test_images=2", "dataset.memory_gb=0"]
    return [f"dataset.root={root}", "dataset.tile=16", *few], 0


@pytest.mark.parametrize("option", ["imagenet32", "openimages", "folder"])
def test_training_and_coding(tiny: list[str], tmp_path: Path, option: str) -> None:
    kept = [o for o in tiny if not o.startswith("dataset") and "train_images" not in o]
    given, samples = make(option, tmp_path / "data")
    overrides = [*kept, f"dataset={option}", "dataset.validation_images=9", "trainer.train_images=40", *given]
    run_dir = tmp_path / "run"
    run_dir.mkdir()
    bpd = main(compose(overrides, resources=True), run_dir)
    result = json.loads((run_dir / run_files.RESULT).read_text())
    assert (result["status"], result["lossless"], result["bpd"]) == ("ok", True, bpd)
    assert bpd == pytest.approx(8 * result["bytes"] / result["samples"])
    assert result["samples"] == samples or option == "folder"
    assert result["train_images"] == 40
    again = main(compose(overrides, resources=True), run_dir)  # read from its file alone, not trained again
    assert again == bpd
