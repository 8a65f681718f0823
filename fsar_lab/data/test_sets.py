"""Photographs that codecs are compared on: Kodak and CLIC 2020, coded whole and never trained on."""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from fsar_lab.config.schema import CLIC2020Config, KodakConfig
from fsar_lab.data.crops import centre_to_multiples
from fsar_lab.data.dataset import TestSet
from fsar_lab.data.photo_files import content_hash, read_photo
from fsar_lab.data.places import CLIC_REMEDY, KODAK_REMEDY, photographs_in
from fsar_lab.data.source import Photographs, spread
from fsar_lab.data.threads import in_threads
from fsar_lab.errors import DataError

KODAK_COUNT = 24
KODAK_SIDES = (512, 768)
# The first eight digits of `content_hash` of kodim01.png … kodim24.png.
KODAK_CONTENT = (
    "5bd953a2 8242f418 ac5ab2e4 37f02c3d 84ba1b22 a5970214 c0c62dba ca52026a "
    "e612c272 700a60be d1c3f520 8127f08c 907b6621 b7607002 4b4577c9 c96d6f38 "
    "470e3805 e58ae38b ab3c65f2 f8e56576 c778ee39 89988e8f 6414d416 46be45f6"
)
CLIC_COUNT = 41
# Of professional_valid_2020.zip, as google-deepmind/c3_neural_compression has it.
CLIC_ARCHIVE = ("professional_valid_2020.zip", "7111ee240435911db04dbc5f40d50272")


class Kodak(TestSet):
    """The 24 photographs of the Kodak Photo CD sampler, 768x512 or 512x768."""

    def __init__(self, config: KodakConfig) -> None:
        """Read them all.

        Raises:
            DataError: Not 24 different readable RGB photographs of that size.
        """
        root = Path(config.root)
        files = photographs_in(root, KODAK_REMEDY)
        _check_count(KODAK_COUNT, files, root, KODAK_REMEDY)
        photos = read_whole(files)
        for file, photo in zip(files, photos, strict=True):
            if tuple(sorted(photo.shape[1:])) != KODAK_SIDES:
                size = f"{photo.shape[2]}x{photo.shape[1]}"
                raise DataError(f"{file}: {size} instead of 768x512 or 512x768 -> {KODAK_REMEDY}")
        contents = [content_hash(photo) for photo in photos]
        _check_different(files, contents, KODAK_REMEDY)
        known = KODAK_CONTENT.split()
        if altered := [f.name for f, c in zip(files, contents, strict=True) if c[:8] not in known]:
            warnings.warn(
                f"{root}: not the pixels of the photographs at r0k.us: {', '.join(altered)}", stacklevel=2
            )
        about = "Kodak Photo CD sampler (r0k.us/graphics/kodak; free to use)"
        super().__init__(chosen(photos, config.test_images, config.test_multiple), about)


class CLIC2020(TestSet):
    """The 41 photographs of the "professional" validation set of the CLIC 2020 workshop."""

    def __init__(self, config: CLIC2020Config) -> None:
        """Read them all.

        Raises:
            DataError: Not 41 readable RGB photographs, or the archive beside them is not the published one.
        """
        root = Path(config.root)
        files = photographs_in(root, CLIC_REMEDY)
        _check_count(CLIC_COUNT, files, root, CLIC_REMEDY)
        for archive in (root / CLIC_ARCHIVE[0], root.parent / CLIC_ARCHIVE[0]):
            if archive.is_file() and _md5(archive) != CLIC_ARCHIVE[1]:
                raise DataError(f"{archive}: its MD5 is not {CLIC_ARCHIVE[1]} -> get it again, or remove it")
        about = "CLIC 2020, professional validation set (compression.cc; Unsplash licence)"
        super().__init__(chosen(read_whole(files), config.test_images, config.test_multiple), about)


def read_whole(files: Sequence[Path]) -> list[Tensor]:
    """Photographs uint8 [3, H, W] of all files; one warning names those that were compressed with loss.

    Raises:
        DataError: One cannot be used.
    """
    photos, lossy = [], []
    for file, (photo, complaint) in zip(files, in_threads(read_photo, files), strict=True):
        if photo is None:
            raise DataError(f"{file}: {complaint} -> get it again")
        if complaint:
            lossy.append(f"{file.name}: {complaint}")
        photos.append(photo)
    if lossy:
        warnings.warn("photographs: " + "; ".join(lossy), stacklevel=2)
    return photos


def chosen(photos: Sequence[Tensor], count: int | None, multiple: int) -> Photographs:
    """At most `count` of the photographs, spread evenly, cut down to multiples of `multiple`."""
    numbers = spread(torch.arange(len(photos)), count).tolist()
    return Photographs([centre_to_multiples(photos[i], multiple) for i in numbers])


def _check_count(expected: int, files: Sequence[Path], root: Path, remedy: str) -> None:
    if len(files) != expected:
        raise DataError(f"{root}: {len(files)} images instead of {expected} -> {remedy}")


def _check_different(files: Sequence[Path], contents: Sequence[str], remedy: str) -> None:
    first: dict[str, Path] = {}
    for file, content in zip(files, contents, strict=True):
        if (other := first.setdefault(content, file)) is not file:
            raise DataError(f"{file}: has the pixels of {other.name} -> {remedy}")


def _md5(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "md5").hexdigest()
