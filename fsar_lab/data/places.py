"""Finds the files of each data set and says how to get them if they are not there. Imports no torch."""

from __future__ import annotations

import importlib.util
import re
from itertools import pairwise
from pathlib import Path
from typing import Any

from fsar_lab.config import schema
from fsar_lab.errors import DataError

# Photographs of the scikit-image wheel that are RGB and stored without loss.
WHEEL_TRAIN = ("astronaut.png", "coffee.png", "motorcycle_left.png", "motorcycle_right.png")
WHEEL_TEST = ("chelsea.png",)

KODAK_REMEDY = (
    "get kodim01.png … kodim24.png from https://r0k.us/graphics/kodak/ into one folder and name it with "
    "dataset.root=FOLDER"
)
CLIC_REMEDY = (
    "unpack https://data.vision.ee.ethz.ch/cvl/clic/professional_valid_2020.zip (folder `valid`, 41 PNG "
    "files) and name that folder with dataset.root=FOLDER"
)
TEST_ROOTS_REMEDY = (
    "dataset.test_roots=[FOLDER,…] names the folders of the test images; the default are Kodak "
    "(https://r0k.us/graphics/kodak/) and CLIC 2020 "
    "(https://data.vision.ee.ethz.ch/cvl/clic/professional_valid_2020.zip)"
)
# Names that subfolders with the parts of a data set go by.
PARTS = {
    "train": ("train", "training"),
    "validation": ("validation", "valid", "val"),
    "test": ("test", "testing"),
}

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
    elif isinstance(config, schema.ImageNetConfig):
        imagenet_files(Path(config.root), config.side)
    elif isinstance(config, schema.OpenImagesConfig):
        openimages_files(config)
    elif isinstance(config, schema.FolderConfig):
        folder_parts(config.root)
    elif isinstance(config, schema.KodakConfig):
        photographs_in(Path(config.root), KODAK_REMEDY)
    elif isinstance(config, schema.CLIC2020Config):
        photographs_in(Path(config.root), CLIC_REMEDY)


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
    return photographs_in(
        root,
        f"give dataset.root a folder of losslessly stored photographs ({known}), "
        "or dataset=photos dataset.root=null for those that come with scikit-image",
    )


def photographs_in(root: Path, remedy: str) -> list[Path]:
    """Image files in a folder and its subfolders, sorted; `remedy` says how to get them.

    Raises:
        DataError: No such folder, or no image files in it.
    """
    if not root.is_dir():
        raise DataError(f"no folder {root} -> {remedy}")
    files = sorted(
        file for file in root.rglob("*") if file.suffix.lower() in PHOTO_SUFFIXES and file.is_file()
    )
    if not files:
        raise DataError(f"no photographs in {root} -> {remedy}")
    return files


def folder_parts(root: str | None) -> dict[str, list[Path]]:
    """The image files of a folder by the part of the data set that their subfolder names.

    Without a subfolder for training all files outside of named subfolders are under the key "", the rest
    of which `divide` makes the training images and the parts that have no subfolder. With one they are not
    read.

    Raises:
        DataError: No such folder, or no image files in it, or none that could be trained on.
    """
    if root is None:
        raise DataError("which folder? -> dataset.root=FOLDER, with images in it or in its subfolders")
    files = folder_photos(Path(root))
    part_of = {name: part for part, names in PARTS.items() for name in names}
    top = [file.relative_to(root).parts[0].lower() if file.parent != Path(root) else "" for file in files]
    parts: dict[str, list[Path]] = {}
    for file, name in zip(files, top, strict=True):
        parts.setdefault(part_of.get(name, ""), []).append(file)
    if "train" in parts:
        parts.pop("", None)
    elif "" not in parts:
        raise DataError(
            f"{root}: all images are in {', '.join(sorted(set(top)))}, none is left for training -> put "
            f"those in a subfolder train or in the folder; or dataset.root={root}/NAME divides one of them"
        )
    return parts


def imagenet_files(root: Path, side: int) -> tuple[list[Path], Path]:
    """The training files in the order of their numbers, and the validation file, of downsampled ImageNet.

    Found are files in the folders that the archives unpack to, one or (64x64) two for training, or side by
    side in `root` itself.

    Raises:
        DataError: The folder or files are missing, or a file is there twice.
    """
    train_archives = f"Imagenet{side}_train_npz.zip"
    if side == 64:
        train_archives = "Imagenet64_train_part1_npz.zip, Imagenet64_train_part2_npz.zip"
    remedy = (
        f"register at https://image-net.org/download-images, get {train_archives} and "
        f"Imagenet{side}_val_npz.zip (downsampled images, npz), unpack them all in {root} (or in another "
        "folder and name it with dataset.root=FOLDER)"
    )
    if not root.is_dir():
        raise DataError(f"no folder {root} -> {remedy}")
    train = sorted(root.glob(f"Imagenet{side}_train*/**/train_data_batch_*.npz"), key=_number)
    tests = sorted(root.glob(f"Imagenet{side}_val*/**/val_data.npz"))
    train = train or sorted(root.glob("train_data_batch_*.npz"), key=_number)
    tests = tests or sorted(root.glob("val_data.npz"))
    for files, name in ((train, "train_data_batch_*.npz"), (tests, "val_data.npz")):
        if not files:
            pickled = any(root.rglob(name.removesuffix(".npz")))
            why = "only pickled ones, which can run any code; " if pickled else ""
            raise DataError(f"no {name} of {side}x{side} in {root} or its Imagenet{side}_… -> {why}{remedy}")
    twice = [file.name for file, other in pairwise(train) if file.name == other.name]
    if twice or len(tests) > 1:
        raise DataError(
            f"{root}: {(twice or ['val_data.npz'])[0]} is there twice -> remove one of the folders"
        )
    return train, tests[0]


def openimages_files(config: schema.OpenImagesConfig) -> tuple[list[Path], list[Path], list[Path]]:
    """Training, validation and test files of Open Images.

    Raises:
        DataError: A folder is missing or empty.
    """
    root = Path(config.root)
    remedy = (
        "get train_0, train_1, train_2 and validation of https://github.com/cvdfoundation/open-images-"
        "dataset and run python scripts/prepare_openimages.py --help; or dataset.root=FOLDER"
    )
    train, validation = (photographs_in(root / name, remedy) for name in ("clean_train", "clean_val"))
    tests = [photographs_in(Path(folder), TEST_ROOTS_REMEDY) for folder in config.test_roots]
    return train, validation, [file for files in tests for file in files]


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
