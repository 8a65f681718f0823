"""The .npz folder: order, split, and errors that name the file."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.error import URLError

import numpy as np
import pytest
import torch

import fsar_lab._torchvision_guard  # noqa: F401  (before torchvision is patched)
from fsar_lab.config.schema import CIFAR10Config, NPZConfig
from fsar_lab.data.cifar10 import CIFAR10
from fsar_lab.data.npz import NPZ
from fsar_lab.errors import DataError

SIDE = 4


def make(folder: Path, files: int = 11, each: int = 3) -> None:
    """Files whose images are filled with their position in the whole training set."""
    for number in range(1, files + 1):
        first = (number - 1) * each
        data = np.repeat(np.arange(first, first + each, dtype=np.uint8)[:, None], 3 * SIDE * SIDE, 1)
        np.savez(folder / f"train_data_batch_{number}.npz", data=data, labels=np.zeros(each, np.uint8))
    np.savez(folder / "val_data.npz", data=np.arange(2 * 48, dtype=np.uint8).reshape(2, 48))


def load(folder: Path, **changes: Any) -> NPZ:
    return NPZ(NPZConfig(**{"root": str(folder), "side": SIDE, "validation_images": 4, **changes}))


def test_order_and_split(tmp_path: Path) -> None:
    make(tmp_path)
    data = load(tmp_path, flip=False)
    assert (len(data.train), len(data.validation), len(data.test)) == (29, 4, 2)
    train = data.train.batch(torch.arange(29))
    assert train[:, 0, 0, 0].tolist() == list(range(29))  # file 10 comes after file 9
    assert data.validation.batch(torch.arange(4))[:, 2, 3, 3].tolist() == [29, 30, 31, 32]
    test = data.test.batch(torch.tensor([1]))
    assert test.tolist() == torch.arange(48, 96).view(1, 3, SIDE, SIDE).tolist()  # planes, then rows
    assert data.shape == (3, SIDE, SIDE)
    assert "29 training, 4 validation and 2 test images" in data.describe()
    assert len(load(tmp_path, test_images=1).test) == 1


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ({"data": np.zeros((2, 48), np.float32)}, "`data` is float32, expected uint8"),
        ({"data": np.zeros((2, 27), np.uint8)}, "-> dataset.side=3"),
        ({"data": np.zeros(48, np.uint8)}, r"the shape \[48\], expected \[N, 48\]"),
        ({"pixels": np.zeros((2, 48), np.uint8)}, "no array `data`, only \\['pixels'\\]"),
        ({"data": np.zeros((2, 48), np.uint8), "labels": np.zeros(3)}, "3 labels for 2 images"),
        ({"data": np.array([{}])}, "`data` is object, expected uint8"),
    ],
)
def test_malformed_files(tmp_path: Path, content: dict[str, Any], expected: str) -> None:
    make(tmp_path)
    np.savez(tmp_path / "train_data_batch_2.npz", **content)
    with pytest.raises(DataError, match=f"train_data_batch_2.npz: .*{expected}"):
        load(tmp_path)


def test_damaged_file(tmp_path: Path) -> None:
    make(tmp_path)
    file = tmp_path / "val_data.npz"
    file.write_bytes(file.read_bytes()[:100])
    with pytest.raises(DataError, match=r"val_data.npz: not a readable .npz file .* -> get it again"):
        load(tmp_path)


def test_too_few_and_missing(tmp_path: Path) -> None:
    make(tmp_path)
    with pytest.raises(DataError, match="validation_images=33 leaves none of 33"):
        load(tmp_path, validation_images=33)
    (tmp_path / "val_data.npz").unlink()
    with pytest.raises(DataError, match=r"no val_data.npz in .* -> give dataset.root"):
        load(tmp_path)


def test_cifar10_through_torchvision(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Stub:
        def __init__(self, root: str, train: bool, download: bool) -> None:
            assert (root, download) == (str(tmp_path), True)
            self.data = np.zeros((20 if train else 5, 32, 32, 3), np.uint8)
            self.data[:, 0, 1, 2] = np.arange(len(self.data))

    monkeypatch.setattr("torchvision.datasets.CIFAR10", Stub)
    data = CIFAR10(CIFAR10Config(root=str(tmp_path), validation_images=8))
    assert (len(data.train), len(data.validation), len(data.test)) == (12, 8, 5)
    assert data.validation.batch(torch.tensor([0]))[0, 2, 0, 1] == 12
    assert data.test.batch(torch.arange(2)).is_contiguous()


def test_cifar10_without_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def offline(*_: object, **__: object) -> None:
        raise URLError("no network")

    monkeypatch.setattr("torchvision.datasets.CIFAR10", offline)
    with pytest.raises(DataError, match=r"no network.* -> .*dataset=cifar10_npz"):
        CIFAR10(CIFAR10Config(root=str(tmp_path)))
