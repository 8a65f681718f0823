"""Open Images after L3C's preprocessing (scripts/prepare_openimages.py), tested on other photographs."""

from __future__ import annotations

import warnings
from functools import partial
from pathlib import Path

import torch
from torch import Tensor

from fsar_lab.config.schema import OpenImagesConfig
from fsar_lab.data.augment import augmented
from fsar_lab.data.crops import FileCropSource, centre
from fsar_lab.data.dataset import Dataset
from fsar_lab.data.photo_files import read_photo
from fsar_lab.data.places import openimages_files
from fsar_lab.data.source import TensorSource, spread
from fsar_lab.data.test_sets import chosen, read_whole
from fsar_lab.data.threads import in_threads
from fsar_lab.errors import DataError


class OpenImages(Dataset):
    """Random crops of clean_train, centre crops of clean_val, and photographs of other folders for test."""

    def __init__(self, config: OpenImagesConfig) -> None:
        """Find the training images, which are decoded when they are needed, and read the others.

        Raises:
            DataError: Folders are missing, or a validation or test image cannot be used.
        """
        train, validation, test = openimages_files(config)
        numbers = spread(torch.arange(len(validation)), config.validation_images).tolist()
        files = [validation[i] for i in numbers]
        crops = list(in_threads(partial(_centre_crop, tile=config.tile), files))
        if lossy := sum(file.suffix.lower() in (".jpg", ".jpeg") for file in train):
            warnings.warn(
                f"{config.root}: {lossy:,} training images are JPEG files, a codec would learn its traces -> "
                "prepare them with scripts/prepare_openimages.py",
                stacklevel=2,
            )
        source = FileCropSource(train, config.tile, config.flip)
        photos = chosen(read_whole(test), config.test_images, config.test_multiple)
        names = ", ".join("/".join(Path(root).parts[-2:]) for root in config.test_roots)
        about = (
            "Open Images (storage.googleapis.com/openimages; CC BY 2.0; once JPEG, downscaled), test images "
            f"of {names}"
        )
        super().__init__(
            augmented(source, config.augment), TensorSource(torch.stack(crops)), photos, config.tile, about
        )


def _centre_crop(file: Path, tile: int) -> Tensor:
    photo, complaint = read_photo(file)
    if photo is None or min(photo.shape[1:]) < tile:
        why = complaint or f"smaller than dataset.tile={tile}"
        raise DataError(f"{file}: {why} -> prepare it anew, or remove it")
    return centre(photo, tile, tile)
