"""Test sets of whole photographs, and Open Images, on made files."""

from __future__ import annotations

import os
import shutil
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from fsar_lab.config.compose import compose
from fsar_lab.config.schema import CLIC2020Config, KodakConfig, OpenImagesConfig
from fsar_lab.data import test_sets
from fsar_lab.data.openimages import OpenImages
from fsar_lab.data.source import Photographs
from fsar_lab.data.stream import TrainStream, batches
from fsar_lab.data.test_sets import CLIC2020, Kodak
from fsar_lab.errors import ConfigError, DataError


def save(path: Path, height: int, width: int, seed: int = 0, mode: str = "RGB") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    small = np.random.default_rng(seed).integers(0, 256, (height // 4 + 1, width // 4 + 1, 3), np.uint8)
    Image.fromarray(small).resize((width, height)).convert(mode).save(path)


@pytest.fixture
def kodak(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """As many images as Kodak's, a sixteenth as wide and high."""
    monkeypatch.setattr(test_sets, "KODAK_SIDES", (32, 48))
    for i in range(1, 25):
        sides = (32, 48) if i in (4, 9, 10, 17, 18, 19) else (48, 32)
        save(tmp_path / "kodak" / f"kodim{i:02}.png", sides[1], sides[0], i)
    return tmp_path / "kodak"


def sizes(test: Any) -> list[tuple[int, ...]]:
    assert isinstance(test, Photographs)
    return [tuple(image.shape) for image in test.images]


def test_kodak(kodak: Path) -> None:
    with pytest.warns(UserWarning, match=r"not the pixels of the photographs at r0k\.us: kodim01\.png, k"):
        data = Kodak(KodakConfig(root=str(kodak)))
    assert (len(data.train), len(data.validation)) == (0, 0)
    assert sizes(data.test).count((3, 32, 48)) == 18
    assert sizes(data.test).count((3, 48, 32)) == 6
    assert data.describe().startswith("24 whole images of any size (0.0 megapixels) for test: Kodak")
    with pytest.warns(UserWarning, match="r0k"):
        some = Kodak(KodakConfig(root=str(kodak), test_images=3, test_multiple=20))
    assert sizes(some.test) == [(3, 20, 40), (3, 40, 20), (3, 40, 20)]
    whole = data.test.images[0]  # type: ignore[union-attr]
    assert torch.equal(some.test.images[0], whole[:, 6:26, 4:44])  # type: ignore[union-attr]


def test_real_kodak_is_known() -> None:
    folder = Path(os.environ.get("FSAR_DATA", "data")) / "kodak"
    if not (folder / "kodim24.png").is_file():
        pytest.skip(f"no Kodak photographs in {folder}")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert len(Kodak(KodakConfig(root=str(folder))).test) == 24


def test_kodak_that_is_not_whole(tmp_path: Path) -> None:
    with pytest.raises(
        DataError, match=r"no folder .* -> get kodim01\.png … kodim24\.png from https://r0k\.us"
    ):
        Kodak(KodakConfig(root=str(tmp_path / "kodak")))
    save(tmp_path / "kodim01.png", 16, 16)
    with pytest.raises(DataError, match=r"1 images instead of 24 -> get"):
        Kodak(KodakConfig(root=str(tmp_path)))


def test_kodak_with_one_photograph_twice(kodak: Path) -> None:
    shutil.copy(kodak / "kodim03.png", kodak / "kodim07.png")
    with pytest.raises(DataError, match=r"kodim07\.png: has the pixels of kodim03\.png -> get kodim01\.png"):
        Kodak(KodakConfig(root=str(kodak)))


def test_kodak_of_wrong_sizes_and_damaged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(test_sets, "KODAK_COUNT", 2)
    save(tmp_path / "kodim01.png", 512, 768)
    save(tmp_path / "kodim02.png", 512, 767)
    with pytest.raises(DataError, match=r"kodim02\.png: 767x512 instead of 768x512 or 512x768 -> get"):
        Kodak(KodakConfig(root=str(tmp_path)))
    (tmp_path / "kodim02.png").write_bytes((tmp_path / "kodim01.png").read_bytes()[:5000])
    with pytest.raises(DataError, match=r"kodim02\.png: left out, not readable .* -> get it again"):
        Kodak(KodakConfig(root=str(tmp_path)))


def test_clic(tmp_path: Path) -> None:
    folder = tmp_path / "CLIC" / "valid"
    for i in range(40):
        save(folder / f"{i}.png", 20 + i, 30, i)
    config = CLIC2020Config(root=str(folder))
    with pytest.raises(
        DataError, match=r"40 images instead of 41 -> unpack https://data\.vision\.ee\.ethz\.ch"
    ):
        CLIC2020(config)
    save(folder / "last.png", 33, 31)
    data = CLIC2020(config)
    assert len(data.test) == 41
    assert "CLIC 2020" in data.describe()
    (folder.parent / "professional_valid_2020.zip").write_bytes(b"no archive")
    with pytest.raises(DataError, match=r"its MD5 is not 7111ee24"):
        CLIC2020(config)


@pytest.mark.parametrize("option", ["kodak", "clic2020"])
def test_nothing_is_trained_on_a_test_set(option: str) -> None:
    compose([f"dataset={option}"])  # as an evaluation composes it
    with pytest.raises(
        ConfigError, match=rf"^dataset: {option} is a test set.*evaluate run=.* dataset={option}$"
    ):
        compose([f"dataset={option}"], resources=True)


@pytest.fixture
def openimages(tmp_path: Path) -> OpenImagesConfig:
    for i in range(5):
        save(tmp_path / "oi" / "clean_train" / f"{i}.png", 130 + i, 140, i)
    for i in range(3):
        save(tmp_path / "oi" / "clean_val" / f"{i}.png", 130 + 2 * i, 132, 10 + i)
    save(tmp_path / "first" / "a.png", 300, 260, 20)
    save(tmp_path / "second" / "deep" / "b.png", 100, 257, 21)
    roots = [str(tmp_path / "first"), str(tmp_path / "second")]
    return OpenImagesConfig(root=str(tmp_path / "oi"), test_roots=roots, validation_images=2)


def test_openimages(openimages: OpenImagesConfig) -> None:
    data = OpenImages(openimages)
    assert (len(data.train), len(data.validation)) == (5, 2)
    assert sizes(data.test) == [(3, 256, 256), (3, 100, 257)]  # the second has no 128 rows to keep
    with Image.open(Path(openimages.root) / "clean_val" / "1.png") as image:
        middle = torch.from_numpy(np.array(image)).permute(2, 0, 1)[:, 2:130, 2:130]
    assert torch.equal(torch.cat(list(batches(data.validation, 8)))[1], middle)
    stream = torch.stack(list(TrainStream(data.train, 6, 4)))
    assert stream.shape == (4, 6, 3, 128, 128)
    rest = TrainStream(data.train, 6, 4, start_step=2)
    assert torch.equal(torch.stack(list(rest)), stream[2:])
    ranks = [TrainStream(data.train, 6, 4, rank=rank, world_size=2) for rank in range(2)]
    save(Path(openimages.root) / "clean_train" / "old.jpg", 128, 128)
    with pytest.warns(UserWarning, match=r"1 training images are JPEG files.* -> prepare them"):
        OpenImages(openimages)
    assert torch.equal(torch.cat([torch.stack(list(rank)) for rank in ranks], 1), stream)


def test_openimages_that_cannot_be_used(openimages: OpenImagesConfig) -> None:
    folder = Path(openimages.root)
    save(folder / "clean_val" / "0.png", 128, 127)
    with pytest.raises(DataError, match=r"clean_val/0\.png: smaller than dataset\.tile=128 -> prepare"):
        OpenImages(openimages)
    save(folder / "clean_val" / "0.png", 128, 128)
    for i in range(5):
        save(folder / "clean_train" / f"{i}.png", 128, 100)
    data = OpenImages(openimages)
    with pytest.raises(DataError, match=r"png: 100x128 is smaller than dataset\.tile=128 -> lower that"):
        next(iter(TrainStream(data.train, 2, 1)))
    openimages.test_roots = [str(folder / "nowhere")]
    with pytest.raises(DataError, match=r"nowhere -> dataset\.test_roots=\[FOLDER,…\] names"):
        OpenImages(openimages)
    openimages.root = str(folder / "clean_val")
    with pytest.raises(DataError, match=r"no folder .*clean_train -> get train_0.*prepare_openimages\.py"):
        OpenImages(openimages)


def test_preparing_openimages(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(root / "scripts"))
    import prepare_openimages as script

    source, out = tmp_path / "download", tmp_path / "oi"
    for i in range(3):
        save(source / "train_0" / f"t{i}.jpg", 90 + i, 120, i)
    save(source / "train_1" / "grey.jpg", 90, 120, 5, "L")
    save(source / "train_1" / "small.jpg", 79, 300, 6)
    Image.new("RGB", (120, 90), (250, 10, 5)).save(source / "train_1" / "red.jpg", quality=95)
    Image.new("RGB", (120, 90), (230, 220, 210)).save(source / "train_1" / "bright.jpg")
    (source / "train_1" / "broken.jpg").write_bytes(b"no picture")
    (source / "train_1" / "notes.txt").write_text("")
    save(source / "validation" / "v.jpg", 100, 100, 7)
    arguments = [str(source), str(out), "--train", "train_0", "train_1", "--resolution", "64", "--processes"]
    assert script.main([*arguments, "2"]) == 0
    made = {file.name: file.read_bytes() for file in out.glob("*/*.png")}
    assert set(made) == {"t0.png", "t1.png", "t2.png", "v.png"}
    assert (out / "clean_val" / "v.png").is_file()
    why = dict(line.split("\t")[1:] for line in (out / "discarded.txt").read_text().splitlines())
    assert why["small"] == "300x79 is too small"  # 64 / 79 > 0.8
    assert why["grey"] == "mode L"
    assert why["red"].startswith("mean saturation 0.9")
    assert why["bright"].startswith("mean value 0.9")
    assert why["broken"].startswith("not readable")
    for file in (out / "clean_train").iterdir():
        with Image.open(file) as image:
            assert 64 <= min(image.size) <= 0.8 * 92 + 1
            assert image.width / image.height == pytest.approx(120 / 91, abs=0.04)

    times = {file: file.stat().st_mtime_ns for file in out.glob("*/*.png")}
    assert script.main([*arguments, "1"]) == 0  # nothing is left to do
    assert {file: file.stat().st_mtime_ns for file in out.glob("*/*.png")} == times
    assert len((out / "discarded.txt").read_text().splitlines()) == 5
    (out / "clean_train" / "t1.png").unlink()
    assert script.main([*arguments, "1"]) == 0
    assert (out / "clean_train" / "t1.png").read_bytes() == made["t1.png"]  # the same scale again
    assert script.main([str(tmp_path / "nowhere"), str(out)]) == 2


def test_scales_of_openimages_are_even_between_their_ends(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(root / "scripts"))
    import prepare_openimages as script

    rule = script.Rule(512, 0)
    scales = torch.tensor([script.scale_of(f"{i}", 1024, rule) for i in range(2000)])
    assert 0.5 <= scales.min() < 0.505
    assert 0.795 < scales.max() < 0.8
    assert scales.mean() == pytest.approx(0.65, abs=0.01)
    assert script.scale_of("a", 1024, rule) != script.scale_of("a", 1024, script.Rule(512, 1))
    assert script.scale_of("a", 639, rule) is None
    assert script.scale_of("a", 640, rule) == pytest.approx(0.8)
