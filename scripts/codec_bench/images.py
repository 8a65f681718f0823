"""The images that are coded, and what stands in for them where they are missing."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from fsar_lab.data.places import wheel_photos
from fsar_lab.errors import DataError

Pixels = NDArray[np.uint8]
SIDE = 32


@dataclass(frozen=True)
class Images:
    """Images for one half of the benchmark.

    Attributes:
        name: as rows call them.
        pixels: uint8 [N, 32, 32, 3], or photographs [H, W, 3].
        codec: which codec of the zoo is for them.
        about: one line for people.
    """

    name: str
    pixels: Pixels | list[Pixels]
    codec: str
    about: str

    @property
    def small(self) -> bool:
        """Whether many fit in one call."""
        return isinstance(self.pixels, np.ndarray)

    @property
    def samples(self) -> int:
        """Sub-pixels, which are bytes of raw RGB."""
        return sum(image.size for image in self.pixels)


def data_folder() -> Path:
    """Where data sets lie."""
    return Path(os.environ.get("FSAR_DATA", "data"))


def cifar10(number: int) -> Images:
    """The first test images of CIFAR-10, else tiles of what photographs there are."""
    file = data_folder() / "cifar10" / "val_data.npz"
    if file.is_file():
        with np.load(file, allow_pickle=False) as content:
            planes = content["data"][:number].reshape(-1, 3, SIDE, SIDE)
        pixels = np.ascontiguousarray(planes.transpose(0, 2, 3, 1))
        return Images("cifar10", pixels, "cifar10", f"CIFAR-10 test, the first {len(pixels)} images")
    photos, about = stand_in()
    tiles = np.concatenate([_tiles(photo) for photo in photos])[:number]
    return Images("tiles", tiles, "cifar10", f"no {file}: {len(tiles)} tiles of {about} instead")


def kodak(number: int) -> Images:
    """The first Kodak photographs, else what photographs there are."""
    folder = data_folder() / "kodak"
    files = sorted(folder.glob("*.png"))[:number]
    if files:
        return Images("kodak", _read(files), "cifar10", f"{len(files)} Kodak photographs")
    photos, about = stand_in()
    return Images("photographs", photos[:number], "cifar10", f"no photographs in {folder}: {about} instead")


DATASETS: dict[str, Callable[[int], Images]] = {"cifar10": cifar10, "kodak": kodak}


def stand_in() -> tuple[list[Pixels], str]:
    """The photographs in the scikit-image wheel, or made ones, and what they are."""
    try:
        train, test = wheel_photos()
    except DataError:
        return [made(256, 384, seed) for seed in range(4)], "made images"
    return _read([*test, *train]), "the photographs of scikit-image"


def made(height: int, width: int, seed: int) -> Pixels:
    """Gradients with a little noise, uint8 [height, width, 3]."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:height, 0:width]
    slope = rng.uniform(-0.4, 0.4, (2, 3))
    smooth = 128 + slope[0] * (y - height / 2)[..., None] + slope[1] * (x - width / 2)[..., None]
    pixels: Pixels = np.clip(smooth + rng.normal(0, 3, smooth.shape), 0, 255).astype(np.uint8)
    return pixels


def _read(files: Sequence[Path]) -> list[Pixels]:
    photos = []
    for file in files:
        with Image.open(file) as opened:
            photos.append(np.asarray(opened.convert("RGB")))
    return photos


def _tiles(photo: Pixels) -> Pixels:
    """[H, W, 3] -> all whole tiles, uint8 [n, 32, 32, 3]."""
    rows, columns = photo.shape[0] // SIDE, photo.shape[1] // SIDE
    cut = photo[: rows * SIDE, : columns * SIDE].reshape(rows, SIDE, columns, SIDE, 3)
    return np.ascontiguousarray(cut.transpose(0, 2, 1, 3, 4).reshape(-1, SIDE, SIDE, 3))
