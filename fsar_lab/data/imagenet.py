"""Downsampled ImageNet, 32x32 and 64x64 (Chrabaszcz, Loshchilov, Hutter 2017, arXiv:1707.08819)."""

from __future__ import annotations

import hashlib
from pathlib import Path

import torch

from fsar_lab.config.schema import ImageNetConfig
from fsar_lab.data.dataset import Dataset
from fsar_lab.data.disk import DiskSource, unpack, unpacked
from fsar_lab.data.npz import count_images, training_images
from fsar_lab.data.places import imagenet_files
from fsar_lab.data.source import spread
from fsar_lab.errors import DataError

# SHA-256 of the archives at image-net.org/data/downsample, as TensorFlow Datasets publishes them
# (tensorflow/datasets, datasets/imagenet_resized/checksums.tsv). The files inside have no published ones, but
# each has a CRC-32, which reading compares.
ARCHIVES = {
    "Imagenet32_train_npz.zip": "94226337ecc1b0309d9fcd0167127aaadc931587035fbcb53925235edbaec4fc",
    "Imagenet32_val_npz.zip": "013990e6dec1237dcd1f9beadbab81ead6604cc119af5cacbfb59ae28148377a",
    "Imagenet64_train_part1_npz.zip": "9422dc1dc5d092e9814a70a1cb7fc74880d2db5d88a0cb8a34ee363b12bde3f1",
    "Imagenet64_train_part2_npz.zip": "9fafc115afb7e6c301e66dc16b2d737152b427bd5dab26e1293487a6819c7f30",
    "Imagenet64_val_npz.zip": "e1e75133158a1924135a9c6f97a80d2d237b158945e0b34074e58e6c8430eeb8",
}


class ImageNet(Dataset):
    """Images of the official .npz files, read from disk; the last training images are for validation."""

    def __init__(self, config: ImageNetConfig) -> None:
        """Unpack the files if that was not done yet, and open what was unpacked.

        Raises:
            DataError: Files are missing, damaged, of another form, or hold another number of images.
        """
        root, side = Path(config.root), config.side
        train_files, test_file = imagenet_files(root, side)
        train_count = sum(count_images(file, side) for file in train_files)
        test_count = count_images(test_file, side)
        if config.counts is not None:
            _check_count(config.counts[0], train_count, f"{len(train_files)} training files", root)
            _check_count(config.counts[1], test_count, test_file.name, root)
        kept = training_images(train_count, config.validation_images)
        folder = root if config.cache is None else Path(config.cache)
        if not unpacked(train_files, folder, f"imagenet{side}-train").is_file():
            check_archives(root, side)
        train = unpack(train_files, side, folder, f"imagenet{side}-train")
        test = unpack([test_file], side, folder, f"imagenet{side}-val")
        positions = torch.arange(train_count)
        super().__init__(
            DiskSource(train, positions[:kept], config.flip),
            DiskSource(train, positions[kept:]),
            DiskSource(test, spread(torch.arange(test_count), config.test_images)),
            side,
            f"downsampled ImageNet (arXiv:1707.08819; non-commercial research); {test_count:,} test images "
            "are its validation set",
        )


def check_archives(root: Path, side: int) -> None:
    """Compare the archives that still lie in `root` with their published checksums.

    Raises:
        DataError: One differs.
    """
    for name, expected in ARCHIVES.items():
        file = root / name
        if name.startswith(f"Imagenet{side}_") and file.is_file():
            with file.open("rb") as stream:
                found = hashlib.file_digest(stream, "sha256").hexdigest()
            if found != expected:
                raise DataError(
                    f"{file}: its SHA-256 is {found}, published is {expected} -> get it again, or remove it"
                )


def _check_count(expected: int, found: int, what: str, root: Path) -> None:
    if found != expected:
        raise DataError(
            f"{root}: {found:,} images in {what}, there should be {expected:,} -> get the files anew, or "
            "dataset.counts=null to use what is there"
        )
