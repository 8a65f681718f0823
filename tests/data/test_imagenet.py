"""Downsampled ImageNet from small files in the official layouts: checked, unpacked once, read from disk."""

from __future__ import annotations

import os
import re
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from fsar_lab.config.schema import ImageNetConfig
from fsar_lab.data import disk, imagenet
from fsar_lab.data.disk import DiskSource, unpack
from fsar_lab.data.imagenet import ImageNet
from fsar_lab.data.source import TensorSource
from fsar_lab.data.stream import TrainStream
from fsar_lab.errors import DataError

EACH, FILES, TEST = 5, 10, 7
TRAIN = EACH * FILES


def pixels(count: int, side: int, seed: int = 0) -> np.ndarray[Any, np.dtype[np.uint8]]:
    return np.random.default_rng(seed).integers(0, 256, (count, 3 * side * side), np.uint8)


def make(root: Path, side: int = 32, parts: int = 1, flat: bool = False) -> Tensor:
    """The archives of image-net.org unpacked in `root`; returns the training images."""
    names = [f"Imagenet{side}_train_npz"]
    if parts == 2:
        names = [f"Imagenet{side}_train_part1_npz", f"Imagenet{side}_train_part2_npz"]
    data = pixels(TRAIN, side)
    for number in range(FILES):
        folder = root if flat else root / names[number * parts // FILES]
        folder.mkdir(parents=True, exist_ok=True)
        rows = data[number * EACH : (number + 1) * EACH]
        extra = {"labels": np.ones(EACH, np.int64), "mean": rows.mean(0)}
        save = np.savez_compressed if number % 2 else np.savez
        save(folder / f"train_data_batch_{number + 1}.npz", data=rows, **extra)
    folder = root if flat else root / f"Imagenet{side}_val_npz"
    folder.mkdir(exist_ok=True)
    np.savez(folder / "val_data.npz", data=pixels(TEST, side, 1), labels=np.ones(TEST, np.int64))
    return torch.from_numpy(data).view(TRAIN, 3, side, side)


def load(root: Path, **changes: Any) -> ImageNet:
    given = {"root": str(root), "counts": [TRAIN, TEST], "validation_images": 4, "flip": False, **changes}
    return ImageNet(ImageNetConfig(**given))


@pytest.mark.parametrize(
    ("side", "parts", "flat"), [(32, 1, False), (64, 2, False), (64, 1, False), (32, 1, True)]
)
def test_every_official_layout(tmp_path: Path, side: int, parts: int, flat: bool) -> None:
    images = make(tmp_path, side, parts, flat)
    data = load(tmp_path, side=side)
    assert (len(data.train), len(data.validation), len(data.test)) == (TRAIN - 4, 4, TEST)
    assert data.shape == (3, side, side)
    assert torch.equal(data.train.batch(torch.arange(TRAIN - 4)), images[:-4])  # file 10 comes last
    assert torch.equal(data.validation.batch(torch.arange(4)), images[-4:])
    assert data.validation.batch(torch.arange(0)).shape == (0, 3, side, side)  # of a rank without any
    test = torch.from_numpy(pixels(TEST, side, 1)).view(TEST, 3, side, side)
    assert torch.equal(data.test.batch(torch.arange(TEST)), test)  # type: ignore[union-attr]
    some = load(tmp_path, side=side, test_images=2).test
    assert torch.equal(some.batch(torch.arange(2)), test[[0, 3]])  # type: ignore[union-attr]
    assert "46 training, 4 validation and 7 test images" in data.describe()


def test_the_stream_is_that_of_images_in_memory(tmp_path: Path) -> None:
    images = make(tmp_path)
    on_disk = load(tmp_path, flip=True).train
    in_memory = TensorSource(images[:-4], flip=True)
    for rank in range(2):
        streams = [
            TrainStream(source, 12, 9, seed=5, rank=rank, world_size=2, start_step=3)
            for source in (on_disk, in_memory)
        ]
        assert torch.equal(*(torch.stack(list(stream)) for stream in streams))


def test_unpacked_once_and_anew_when_files_change(tmp_path: Path) -> None:
    make(tmp_path)
    cache = tmp_path / "elsewhere" / "cache"
    load(tmp_path, cache=str(cache))
    first = {file.name: file.stat().st_mtime_ns for file in cache.glob("*.npy")}
    assert len(first) == 2
    load(tmp_path, cache=str(cache))
    assert {file.name: file.stat().st_mtime_ns for file in cache.glob("*.npy")} == first
    file = tmp_path / "Imagenet32_train_npz" / "train_data_batch_3.npz"
    np.savez(file, data=np.zeros((EACH, 3072), np.uint8))
    os.utime(file, ns=(1, 1))
    data = load(tmp_path, cache=str(cache))
    assert not data.train.batch(torch.arange(2 * EACH, 3 * EACH)).any()
    assert len(set(cache.glob("*.npy"))) == 2  # the old one is gone
    assert not list(cache.glob("*.partial"))
    assert not list(tmp_path.glob("*.npy"))


def test_memory_does_not_grow_with_what_is_read(tmp_path: Path) -> None:
    """64 MB of images are read from disk, hardly any stay: ImageNet64's 15.7 GB would not either."""
    count, side = 5461, 64
    file = tmp_path / "train_data_batch_1.npz"
    np.savez(file, data=np.broadcast_to(np.arange(count, dtype=np.uint8)[:, None], (count, 3 * side * side)))
    path = unpack([file], side, tmp_path, "images")
    source = DiskSource(path, torch.arange(count))
    source.batch(torch.arange(64))
    before = resident()
    for start in range(0, count, 64):
        batch = source.batch(torch.arange(start, min(start + 64, count)))
        assert batch[0, 0, 0, 0] == start % 256
    assert resident() - before < 16e6


def resident() -> float:
    """Bytes of this process in memory, pages of files included."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return float(pages * os.sysconf("SC_PAGE_SIZE"))


def test_wrong_counts(tmp_path: Path) -> None:
    make(tmp_path)
    with pytest.raises(DataError, match=r"50 images in 10 training files, there should be 1,281,167 -> get"):
        ImageNet(ImageNetConfig(root=str(tmp_path)))
    with pytest.raises(
        DataError, match=r"7 images in val_data\.npz, there should be 8 .* dataset\.counts=null"
    ):
        load(tmp_path, counts=[TRAIN, 8])
    (tmp_path / "Imagenet32_train_npz" / "train_data_batch_2.npz").unlink()
    assert len(load(tmp_path, counts=None).train) == TRAIN - EACH - 4
    assert not list(tmp_path.glob("*.partial"))
    with pytest.raises(DataError, match=r"validation_images=45 leaves none"):
        load(tmp_path, counts=None, validation_images=45)


def test_wrong_shapes_and_damage(tmp_path: Path) -> None:
    make(tmp_path)
    with pytest.raises(DataError, match=r"no train_data_batch_\*\.npz of 64x64"):
        load(tmp_path, side=64)
    file = tmp_path / "Imagenet32_train_npz" / "train_data_batch_2.npz"
    good = file.read_bytes()
    np.savez(file, data=np.zeros((EACH, 12_288), np.uint8))
    with pytest.raises(
        DataError, match=r"batch_2\.npz: .*\[5, 12288\], expected \[N, 3072\].* -> dataset\.side=64"
    ):
        load(tmp_path)
    at = len(good) // 2
    file.write_bytes(good[:at] + bytes([good[at] ^ 1]) + good[at + 1 :])
    with pytest.raises(DataError, match=r"batch_2\.npz: not a readable .npz file .* -> get it again"):
        load(tmp_path)
    file.write_bytes(good[:at])
    with pytest.raises(DataError, match=r"batch_2\.npz: not a readable .npz file"):
        load(tmp_path)
    assert not list(tmp_path.glob("imagenet32-train*.npy"))


def test_missing_pickled_and_doubled_files(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no folder .*image-net\.org.*Imagenet32_train_npz\.zip"):
        load(tmp_path / "nothing")
    (tmp_path / "Imagenet64_train").mkdir()
    (tmp_path / "Imagenet64_train" / "train_data_batch_1").write_bytes(b"\x80")
    with pytest.raises(DataError, match=r"-> register .*Imagenet64_train_part1_npz\.zip"):
        (tmp_path / "empty").mkdir()
        load(tmp_path / "empty", side=64)
    with pytest.raises(DataError, match=r"only pickled ones, which can run any code; register"):
        load(tmp_path, side=64)
    make(tmp_path, 64, parts=2)
    make(tmp_path, 64)
    with pytest.raises(DataError, match=r"train_data_batch_1\.npz is there twice"):
        load(tmp_path, side=64)


def test_archives_are_compared_with_their_checksums(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make(tmp_path)
    (tmp_path / "Imagenet64_val_npz.zip").write_bytes(b"another size")
    archive = tmp_path / "Imagenet32_val_npz.zip"
    archive.write_bytes(b"abc")
    with pytest.raises(
        DataError, match=r"Imagenet32_val_npz\.zip: its SHA-256 is ba7816bf.* published is 013990"
    ):
        load(tmp_path)
    known = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    monkeypatch.setitem(imagenet.ARCHIVES, archive.name, known)
    load(tmp_path)
    archive.write_bytes(b"abd")
    load(tmp_path)  # they are unpacked and checked already
    assert all(re.fullmatch("[0-9a-f]{64}", checksum) for checksum in imagenet.ARCHIVES.values())


def test_no_room_and_no_permission(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make(tmp_path)
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match=r"cannot be unpacked there .* -> dataset\.cache=FOLDER"):
        load(tmp_path, cache=str(tmp_path / "file" / "folder"))
    monkeypatch.setattr(disk, "SPARE", 1 << 60)
    with pytest.raises(DataError, match=r"0\.0 GB are needed .* -> dataset\.cache=FOLDER on a larger disk"):
        load(tmp_path)


def test_a_file_that_was_cut_off(tmp_path: Path) -> None:
    make(tmp_path)
    data = load(tmp_path)
    (path,) = tmp_path.glob("imagenet32-train-*.npy")
    os.truncate(path, path.stat().st_size - 1)
    with pytest.raises(DataError, match=r"it was cut off -> remove it"):
        load(tmp_path)
    with pytest.raises(DataError, match=r"cut off while it was in use"):
        data.validation.batch(torch.tensor([3]))


def test_one_unpacks_while_others_wait(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "train_data_batch_1.npz"
    np.savez(file, data=pixels(3, 32))
    write, written = disk._write, []

    def slow(*arguments: Any) -> None:
        written.append(arguments)
        time.sleep(0.1)
        write(*arguments)

    monkeypatch.setattr(disk, "_write", slow)
    with ThreadPoolExecutor(4) as pool:
        paths = list(pool.map(lambda _: unpack([file], 32, tmp_path, "images"), range(4)))
    assert len(set(paths)) == len(written) == 1
    assert len(DiskSource(paths[0], torch.arange(3)).batch(torch.arange(3))) == 3
