"""Folders of .npz files, the form of downsampled ImageNet."""

from __future__ import annotations

import zipfile
import zlib
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from fsar_lab.config.schema import NPZConfig
from fsar_lab.data.dataset import Dataset
from fsar_lab.data.places import npz_files
from fsar_lab.data.source import TensorSource, spread
from fsar_lab.errors import DataError


class NPZ(Dataset):
    """Images from train_data_batch_*.npz and val_data.npz; the last training images are for validation."""

    def __init__(self, config: NPZConfig) -> None:
        """Read all files into memory.

        Raises:
            DataError: Files are missing, damaged, of another form, or hold too few images.
        """
        train_files, test_file = npz_files(Path(config.root))
        train = torch.cat([read(file, config.side) for file in train_files])
        test = read(test_file, config.side)
        train, validation = hold_out(train, config.validation_images)
        about = f".npz files in the folder {Path(config.root).name}; {len(test):,} test images there"
        super().__init__(
            TensorSource(train, config.flip),
            TensorSource(validation),
            TensorSource(spread(test, config.test_images)),
            config.side,
            about,
        )


def read(file: Path, side: int) -> Tensor:
    """One file's `data` (uint8 [N, 3·side²]: R, G, B planes in raster order) as uint8 [N, 3, side, side].

    Raises:
        DataError: Damaged, or of another form; the message names the file and what is wrong.
    """
    try:
        with np.load(file, allow_pickle=False) as content:
            if "data" not in content:
                raise DataError(f"{file}: no array `data`, only {sorted(content.files)}")
            data = content["data"]
            labels = content.get("labels")
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise DataError(f"{file}: not a readable .npz file ({error}) -> get it again") from error
    if data.dtype != np.uint8:
        raise DataError(f"{file}: `data` is {data.dtype}, expected uint8")
    if data.ndim != 2 or data.shape[1] != 3 * side * side:
        raise DataError(
            f"{file}: `data` has the shape {list(data.shape)}, expected [N, {3 * side * side}] for "
            f"dataset.side={side}{_side_hint(data.shape)}"
        )
    if labels is not None and len(labels) != len(data):
        raise DataError(f"{file}: {len(labels)} labels for {len(data)} images")
    return torch.from_numpy(data.reshape(-1, 3, side, side))


def hold_out(images: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Split off the last `count` of the training images [N, …] for validation.

    Raises:
        DataError: No training images would be left.
    """
    if count >= len(images):
        raise DataError(
            f"dataset.validation_images={count:,} leaves none of {len(images):,} training images -> lower it"
        )
    return images[: len(images) - count], images[len(images) - count :]


def _side_hint(shape: tuple[int, ...]) -> str:
    side = round((shape[1] / 3) ** 0.5) if len(shape) == 2 else 0
    return f" -> dataset.side={side}" if side and 3 * side * side == shape[1] else ""
