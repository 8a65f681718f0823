"""Finds the files of each data set and says how to get them if they are not there. Imports no torch."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from typing import Any

from fsar_lab.config import schema
from fsar_lab.errors import DataError

# Photographs of the scikit-image wheel that are RGB and stored without loss.
WHEEL_TRAIN = ("astronaut.png", "coffee.png", "motorcycle_left.png", "motorcycle_right.png")
WHEEL_TEST = ("chelsea.png",)

PHOTO_SUFFIXES = (".png", ".webp", ".bmp", ".tif", ".tiff", ".ppm", ".jpg", ".jpeg")


def check(config: Any) -> None:
    """Make sure that the files of a data set are there, without reading them.

    Raises:
        DataError: They are not; the message says how to get them.
    """
    if isinstance(config, schema.PhotosConfig):
        if config.root is None:
            wheel_photos()
        else:
            folder_photos(Path(config.root))
    elif isinstance(config, schema.NPZConfig):
        npz_files(Path(config.root))
    elif isinstance(config, schema.CIFAR10Config):
        cifar10_folder(config)


def wheel_photos() -> tuple[list[Path], list[Path]]:
    """Training and test photographs inside the installed scikit-image package.

    Raises:
        DataError: scikit-image is not installed or lacks them.
    """
    spec = importlib.util.find_spec("skimage")
    if spec is None or spec.origin is None:
        raise DataError(
            "the photographs come inside the scikit-image wheel, which is not installed -> "
            "pip install scikit-image, or use your own with dataset.root=FOLDER"
        )
    folder = Path(spec.origin).parent / "data"
    missing = [name for name in WHEEL_TRAIN + WHEEL_TEST if not (folder / name).is_file()]
    if missing:
        raise DataError(
            f"this scikit-image lacks {', '.join(missing)} in {folder} -> "
            "pip install --force-reinstall scikit-image, or use your own photographs with dataset.root=FOLDER"
        )
    return [folder / name for name in WHEEL_TRAIN], [folder / name for name in WHEEL_TEST]


def folder_photos(root: Path) -> list[Path]:
    """Image files in a folder and its subfolders, sorted.

    Raises:
        DataError: No such folder, or no image files in it.
    """
    known = ", ".join(suffix[1:] for suffix in PHOTO_SUFFIXES[:-2])
    remedy = (
        f"give dataset.root a folder of losslessly stored photographs ({known}), "
        "or dataset.root=null for those that come with scikit-image"
    )
    if not root.is_dir():
        raise DataError(f"no folder {root} -> {remedy}")
    files = sorted(
        file for file in root.rglob("*") if file.suffix.lower() in PHOTO_SUFFIXES and file.is_file()
    )
    if not files:
        raise DataError(f"no photographs in {root} -> {remedy}")
    return files


def npz_files(root: Path) -> tuple[list[Path], Path]:
    """Training files in the order of their numbers, and the test file, of a folder of .npz files.

    Raises:
        DataError: The folder or one of the two kinds of files is missing.
    """
    remedy = (
        "give dataset.root a folder with train_data_batch_1.npz … and val_data.npz, each with `data` uint8 "
        "[N, 3*S*S]: the form in which downsampled ImageNet comes (image-net.org, after registering); for "
        "CIFAR-10 without such files use dataset=cifar10, which downloads it"
    )
    if not root.is_dir():
        raise DataError(f"no folder {root} -> {remedy}")
    train = sorted(root.glob("train_data_batch_*.npz"), key=_number)
    test = root / "val_data.npz"
    if not train:
        raise DataError(f"no train_data_batch_*.npz in {root} -> {remedy}")
    if not test.is_file():
        raise DataError(f"no val_data.npz in {root} -> {remedy}")
    return train, test


def cifar10_folder(config: schema.CIFAR10Config) -> Path:
    """The folder for torchvision's CIFAR-10, which need not exist if downloading is allowed.

    Raises:
        DataError: It is not there and `download` is off.
    """
    root = Path(config.root)
    if not config.download and not (root / "cifar-10-batches-py").is_dir():
        raise DataError(
            f"no CIFAR-10 in {root} -> dataset.download=true fetches it (170 MB), or unpack "
            "cifar-10-python.tar.gz from https://www.cs.toronto.edu/~kriz/cifar.html there"
        )
    return root


def _number(file: Path) -> tuple[int, str]:
    digits = re.findall(r"\d+", file.stem)
    return (int(digits[-1]) if digits else 0, file.name)
