"""Any folder of images: parts that stay, copies found, the same crops from memory and from files."""

from __future__ import annotations

import shutil
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from fsar_lab.config.schema import AugmentConfig, FolderConfig
from fsar_lab.data.crops import CropSource, FileCropSource
from fsar_lab.data.folder import Folder
from fsar_lab.data.photo_files import content_hash
from fsar_lab.data.places import folder_parts
from fsar_lab.data.source import Photographs
from fsar_lab.data.stream import TrainStream, batches
from fsar_lab.errors import DataError

TILE = 8


def save(path: Path, seed: int, height: int = 24, width: int = 32) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)
    Image.fromarray(noise).save(path)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for i in range(30):
        save(tmp_path / "images" / f"{i}.png", i, 20 + i % 3, 32 + i % 5)
    return tmp_path / "images"


def load(root: Path, **changes: Any) -> Folder:
    given = {"root": str(root), "tile": TILE, "validation_images": 10, **changes}
    return Folder(FolderConfig(**given))


def whole(data: Folder) -> set[str]:
    assert isinstance(data.test, Photographs)
    return {content_hash(photo) for photo in data.test.images}


def all_images(source: Any) -> Tensor:
    return torch.cat(list(batches(source, 16)))


def test_parts_follow_the_pixels_and_stay(root: Path) -> None:
    data = load(root, test_fraction=0.2, validation_fraction=0.2)
    test = whole(data)
    assert 2 <= len(test) <= 12
    assert len(data.validation) == 10
    assert data.shape == (3, TILE, TILE)
    assert isinstance(data.train, CropSource)
    assert "whole images of any size" in data.describe()
    for i, file in enumerate(sorted(root.iterdir())):
        file.rename(root / f"another name {29 - i}.png")
    save(root / "deep" / "new.png", 99)
    again = load(root, test_fraction=0.2, validation_fraction=0.2)
    assert test <= whole(again)
    assert len(whole(load(root, test_fraction=0.2, test_images=2))) == 2


@pytest.mark.parametrize("rank", [0, 1])
def test_the_same_stream_from_memory_and_from_files(root: Path, rank: int) -> None:
    augment = AugmentConfig(True, 1.5, True)
    kept, decoded = (load(root, memory_gb=memory, augment=augment) for memory in (1.0, 1e-5))
    assert not kept.train.slow
    assert decoded.train.slow
    assert isinstance(load(root, memory_gb=0).train, FileCropSource)
    assert torch.equal(all_images(kept.validation), all_images(decoded.validation))
    assert whole(kept) == whole(decoded)
    streams = [
        TrainStream(data.train, 12, 12, seed=2, rank=rank, world_size=2, start_step=4)
        for data in (kept, decoded)
    ]
    first, second = (torch.stack(list(stream)) for stream in streams)
    assert first.shape == (8, 6, 3, TILE, TILE)
    assert torch.equal(first, second)


def test_copies_across_subfolders_are_reported_and_left_out(tmp_path: Path) -> None:
    for part, seeds in {"train": range(6), "valid": range(10, 13), "test": range(20, 22)}.items():
        for seed in seeds:
            save(tmp_path / part / f"{seed}.png", seed)
    with Image.open(tmp_path / "test" / "20.png") as image:
        image.save(tmp_path / "train" / "leaked.bmp")  # equal pixels in another format
    shutil.copy(tmp_path / "train" / "3.png", tmp_path / "train" / "3 again.png")
    shutil.copy(tmp_path / "train" / "4.png", tmp_path / "valid" / "4.png")
    save(tmp_path / "notes" / "ignored.png", 77)
    with pytest.warns(UserWarning, match=r"^equal pixels: ") as caught:
        data = load(tmp_path)
    (text,) = [str(w.message) for w in caught]
    assert "leaked.bmp is 20.png (train and test)" in text
    assert "4.png is 4.png (train and validation)" in text
    assert "3.png is 3 again.png" in text
    assert "3 copies left out" in data.describe()
    assert len(whole(data)) == 2
    assert len(data.train) == 5 * (24 // TILE) * (32 // TILE)  # 0, 1, 2, 3, 5


def test_a_part_without_subfolder_is_taken_from_training(tmp_path: Path) -> None:
    for seed in range(12):
        save(tmp_path / "training" / f"{seed}.png", seed)
    save(tmp_path / "test" / "only.png", 50)
    data = load(tmp_path)
    assert len(whole(data)) == 1
    assert 1 <= 12 - len(data.train) // 12 <= 6


@pytest.mark.parametrize(("name", "part"), [("test", "test"), ("Val", "validation")])
def test_a_part_with_a_subfolder_is_not_trained_on(tmp_path: Path, name: str, part: str) -> None:
    for seed in range(12):
        save(tmp_path / ("deep" if seed % 2 else "") / f"{seed}.png", seed)
    for seed in range(20, 24):
        save(tmp_path / name / f"{seed}.png", seed)
    shutil.copy(tmp_path / name / "20.png", tmp_path / "leaked.png")
    assert {key: len(files) for key, files in folder_parts(str(tmp_path)).items()} == {"": 13, part: 4}
    with pytest.warns(UserWarning, match=rf"leaked\.png is 20\.png \(the rest and {part}\)"):
        data = load(tmp_path, validation_images=1000)
    tiles = (24 // TILE) * (32 // TILE)
    images = {"test": len(whole(data)), "validation": len(data.validation) // tiles}
    assert images.pop(part) == 4
    assert images.popitem()[1] + len(data.train) // tiles == 12


def test_nothing_is_left_for_training(tmp_path: Path) -> None:
    for seed, name in enumerate(("test", "test", "valid")):
        save(tmp_path / name / f"{seed}.png", seed)
    with pytest.raises(DataError, match=r"all images are in test, valid, none is left .* -> put those in"):
        load(tmp_path)


def deep_png(content: NDArray[np.uint8]) -> bytes:
    """A PNG file of RGB with 16 bits, which Pillow cannot write; [H, W, 6] big-endian halves."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    height, width, _ = content.shape
    head = struct.pack(">IIBBBBB", width, height, 16, 2, 0, 0, 0)
    rows = b"".join(b"\0" + row.tobytes() for row in content)
    body = chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


def test_warns_of_what_cannot_be_used(root: Path) -> None:
    rng = np.random.default_rng(0)
    Image.fromarray(rng.integers(0, 65536, (24, 24), np.uint16)).save(root / "deep.png")
    Image.fromarray(rng.integers(0, 256, (24, 24), np.uint8)).save(root / "grey.png")
    Image.fromarray(rng.integers(0, 255, (24, 24, 4), np.uint8)).save(root / "alpha.png")
    Image.fromarray(rng.integers(0, 256, (24, 24, 3), np.uint8)).save(root / "lossy.jpg")
    (root / "broken.png").write_bytes((root / "0.png").read_bytes()[:200])
    with pytest.warns(UserWarning) as caught:
        load(root)
    (text,) = [str(w.message) for w in caught]
    assert "alpha.png: left out, its mode is RGBA" in text
    assert "broken.png: left out, not readable" in text
    assert "deep.png: left out, its mode is I;16" in text
    assert "grey.png: left out, its mode is L" in text
    assert "lossy.jpg: was compressed with loss" in text


def test_colours_of_16_bits_are_not_taken_for_8(root: Path) -> None:
    (root / "deep.png").write_bytes(deep_png(np.full((24, 24, 6), 7, np.uint8)))
    with pytest.warns(UserWarning, match="deep.png: left out, its mode is RGB;16"):
        load(root)


def test_small_images_are_tested_only(tmp_path: Path) -> None:
    for seed in range(20):
        save(tmp_path / "train" / f"{seed}.png", seed)
    save(tmp_path / "train" / "small.png", 30, 5, 40)
    save(tmp_path / "test" / "tiny.png", 31, 3, 2)
    with pytest.warns(UserWarning, match=r"left out, smaller than dataset\.tile=8: small\.png"):
        data = load(tmp_path, validation_fraction=1e-9)
    assert isinstance(data.test, Photographs)
    assert [tuple(image.shape) for image in data.test.images] == [(3, 3, 2)]
    assert data.test.describe() == "1 whole images of 2x3 (0.0 megapixels)"


def test_too_few_images(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"which folder\? -> dataset\.root=FOLDER"):
        Folder(FolderConfig())
    for seed in range(2):
        save(tmp_path / f"{seed}.png", seed)
    with pytest.raises(DataError, match=r"2 different images are too few for three parts -> add"):
        load(tmp_path)
    save(tmp_path / "2.png", 2)
    assert len(load(tmp_path).train) == 12
    with (
        pytest.warns(UserWarning, match=r"left out, smaller"),
        pytest.raises(DataError, match=r"no training images of at least 64x64 -> lower dataset\.tile"),
    ):
        load(tmp_path, tile=64)


def test_a_file_that_vanishes_while_training(root: Path) -> None:
    train = load(root, memory_gb=0).train
    for file in root.iterdir():
        file.unlink()
    with pytest.raises(DataError, match=r"png: left out, not readable .* -> repair or remove it"):
        list(TrainStream(train, 4, 3))
