"""Photographs: splits share no pixel, crops lie anywhere, tiles cover the test photographs."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from fsar_lab.config.schema import PhotosConfig
from fsar_lab.data.crops import CropSource, grid
from fsar_lab.data.photo_files import content_number, read_photo
from fsar_lab.data.photos import Photos, held_out_rows, split
from fsar_lab.errors import DataError


def numbered(height: int, width: int, first: int = 0) -> Tensor:
    """A photograph in which every pixel has a number of its own, spread over the three planes."""
    number = torch.arange(first, first + height * width).view(height, width)
    return torch.stack([number % 256, number // 256 % 256, number // 65536]).to(torch.uint8)


def numbers(tiles: Tensor) -> Tensor:
    """The numbers of all pixels in tiles [N, 3, T, T]."""
    red, green, blue = tiles.long().unbind(1)
    return red + 256 * green + 65536 * blue


@pytest.fixture(scope="module")
def wheel() -> Photos:
    return Photos(PhotosConfig())


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for i, size in enumerate([(64, 96), (96, 64), (80, 112), (70, 70), (96, 96)]):
        photo = numbered(*size, first=20_000 * i).permute(1, 2, 0).numpy()
        name = tmp_path / ("deep" if i == 4 else "") / f"photo{i}.{['png', 'bmp', 'tiff', 'ppm', 'webp'][i]}"
        name.parent.mkdir(exist_ok=True)
        Image.fromarray(photo).save(name, **({"lossless": True} if i == 4 else {}))
    return tmp_path


def test_wheel(wheel: Photos) -> None:
    assert wheel.shape == (3, 32, 32)
    assert (len(wheel.validation), len(wheel.test)) == (256, 9 * 14)
    assert len(wheel.train) > 800
    batch = wheel.train.batch(torch.arange(0, len(wheel.train), 9), torch.Generator().manual_seed(0))
    assert (batch.dtype, batch.shape[1:]) == (torch.uint8, (3, 32, 32))
    assert "CC0" in wheel.describe()
    assert "dropped" in wheel.describe()


def test_wheel_test_tiles_are_chelsea(wheel: Photos) -> None:
    skimage = pytest.importorskip("skimage")
    chelsea = np.array(Image.open(Path(skimage.__file__).parent / "data" / "chelsea.png"))
    tiles = wheel.test.batch(torch.tensor([0, 15]))
    assert np.array_equal(tiles[0].permute(1, 2, 0), chelsea[:32, :32])
    assert np.array_equal(tiles[1].permute(1, 2, 0), chelsea[32:64, 32:64])


def test_no_pixel_is_in_two_splits(folder: Path) -> None:
    data = Photos(PhotosConfig(root=str(folder), tile=16, validation_images=9, test_fraction=0.3))
    generator = torch.Generator().manual_seed(1)
    crops = torch.cat([data.train.batch(torch.arange(len(data.train)), generator) for _ in range(60)])
    train = set(numbers(crops).unique().tolist())
    validation = set(numbers(data.validation.batch(torch.arange(len(data.validation)))).unique().tolist())
    test = set(numbers(data.test.batch(torch.arange(len(data.test)))).unique().tolist())
    assert len(validation) == 9 * 16 * 16  # tiles do not overlap each other
    assert len(test) == len(data.test) * 16 * 16
    assert not train & validation
    assert not train & test
    assert not validation & test
    assert {number // 20_000 for number in test}.isdisjoint(number // 20_000 for number in train)


@pytest.mark.parametrize("flip", [False, True])
def test_crops_are_pieces_of_their_photograph_at_any_offset(flip: bool) -> None:
    photos = [numbered(20, 24), numbered(16, 40, first=1000)]
    source = CropSource(photos, 8, flip)
    assert len(source) == 2 * 3 + 2 * 5
    seen = set()
    for index in range(len(source)):
        for uniform in torch.rand(40, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(index)):
            crop = source.pick(torch.tensor([index]), uniform[None])
            content = numbers(crop)[0]
            mirrored = bool(content[0, 0] > content[0, 1])
            assert mirrored == (flip and bool(uniform[2] < 0.5))
            content = content.flip(-1) if mirrored else content
            photo = photos[0 if index < 6 else 1]
            top, left = divmod(int(content[0, 0]) - (0 if index < 6 else 1000), photo.shape[2])
            expected = numbers(photo[None, :, top : top + 8, left : left + 8])[0]
            assert torch.equal(content, expected)
            seen.add((top % 8, left % 8))
    assert len(seen) > 50
    extreme = source.pick(
        torch.tensor([0, len(source) - 1]), torch.full((2, 3), 1 - 2**-53, dtype=torch.float64)
    )
    assert numbers(extreme)[0].max() == 20 * 24 - 1
    assert numbers(extreme)[1].max() == 1000 + 16 * 40 - 1


def test_grid_is_in_raster_order() -> None:
    photo = numbered(20, 25)
    tiles = grid([photo, photo], 8)
    assert len(tiles) == 2 * 2 * 3
    assert torch.equal(tiles[4], photo[:, 8:16, 8:16])
    assert torch.equal(tiles[6], photo[:, :8, :8])
    assert grid([], 8).shape == (0, 3, 8, 8)


def test_held_out_rows() -> None:
    assert held_out_rows([(3, 64, 64), (3, 64, 64)], 16, 1) == [1, 1]  # each photograph takes part
    assert held_out_rows([(3, 160, 64), (3, 64, 64)], 16, 12) == [2, 1]
    assert held_out_rows([(3, 16, 64), (3, 64, 64)], 16, 4) == [0, 1]  # the first is all needed for training
    with pytest.raises(DataError, match=r"at most 12.* -> lower it"):
        held_out_rows([(3, 64, 64)], 16, 13)


def test_split_follows_content_and_drops_copies() -> None:
    photos = [numbered(8, 8, first=100 * i) for i in range(40)]
    train, test = split(photos, 0.25)
    assert len(train) + len(test) == 40
    assert 3 <= len(test) <= 20
    again, more = split([*reversed(photos), photos[0], numbered(8, 8, first=9999)], 0.25)
    assert len(again) + len(more) == 41
    assert {content_number(photo) for photo in test} <= {content_number(photo) for photo in more}
    train, test = split(photos[:2], 0.001)
    assert (len(train), len(test)) == (1, 1)
    with pytest.raises(DataError, match="-> add"):
        split([photos[0], photos[0]], 0.5)


def test_only_a_photograph_that_a_side_was_given_changes_it() -> None:
    photos = sorted((numbered(8, 8, 100 * i) for i in range(40)), key=content_number)
    _, given = split(photos[-2:], 0.5 * content_number(photos[-2]))
    assert torch.equal(given[0], photos[-2])  # by its hash for training
    train, test = split(photos, 1.01 * content_number(photos[0]))
    assert any(torch.equal(photo, photos[-2]) for photo in train)
    assert torch.equal(test[0], photos[0])


@pytest.mark.parametrize(
    ("name", "options", "lossy"),
    [
        ("a.jpg", {"format": "JPEG"}, True),
        ("phone.jpg", {"format": "MPO", "save_all": True, "append_images": [Image.new("RGB", (8, 8))]}, True),
        ("jpeg.tif", {"format": "TIFF", "compression": "jpeg"}, True),
        ("lzw.tif", {"format": "TIFF", "compression": "tiff_lzw"}, False),
        ("raw.tif", {"format": "TIFF"}, False),
        ("a.png", {"format": "PNG"}, False),
    ],
)
def test_every_kind_of_jpeg_is_told(tmp_path: Path, name: str, options: dict[str, Any], lossy: bool) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (16, 16, 3), np.uint8)
    Image.fromarray(noise).save(tmp_path / name, **options)
    with Image.open(tmp_path / name) as image:
        assert image.format == options["format"]
    photo, complaint = read_photo(tmp_path / name)
    assert photo is not None
    assert (complaint is not None) == lossy


def test_warns_of_lossy_and_leaves_out_unusable_files(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for i in range(4):
        Image.fromarray(rng.integers(0, 256, (64, 64, 3), np.uint8)).save(tmp_path / f"good{i}.png")
    colour = Image.fromarray(rng.integers(0, 256, (64, 64, 3), np.uint8))
    colour.save(tmp_path / "a.jpg")
    colour.save(tmp_path / "b.webp", quality=80)
    colour.convert("L").save(tmp_path / "c.png")
    colour.resize((20, 20)).save(tmp_path / "d.png")
    (tmp_path / "e.png").write_bytes(b"no picture")
    config = PhotosConfig(root=str(tmp_path), validation_images=2)
    with pytest.warns(UserWarning, match="photographs: ") as caught:
        data = Photos(config)
    (warning,) = [str(w.message) for w in caught]
    for name, why in [
        ("a.jpg", "loss"),
        ("b.webp", "loss"),
        ("c.png", "RGB"),
        ("d.png", "tile"),
        ("e.png", "read"),
    ]:
        assert why in warning.split(name)[1].split(";")[0]
    assert "good" not in warning
    assert "photographs in the folder" in data.describe()


def test_lossless_files_decode_exactly_without_warning(folder: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        Photos(PhotosConfig(root=str(folder), tile=16, validation_images=4))
    photo, complaint = read_photo(folder / "deep" / "photo4.webp")
    assert complaint is None
    assert photo is not None
    assert torch.equal(photo, numbered(96, 96, first=80_000))


def test_opaque_alpha_is_dropped_and_transparency_refused(tmp_path: Path) -> None:
    rgba = np.full((8, 8, 4), 255, np.uint8)
    Image.fromarray(rgba).save(tmp_path / "a.png")
    rgba[0, 0, 3] = 7
    Image.fromarray(rgba).save(tmp_path / "b.png")
    photo, complaint = read_photo(tmp_path / "a.png")
    assert photo is not None
    assert (tuple(photo.shape), complaint) == ((3, 8, 8), None)
    assert read_photo(tmp_path / "b.png")[0] is None


def test_test_images_are_spread_over_the_grid(folder: Path) -> None:
    whole = Photos(PhotosConfig(root=str(folder), tile=16, validation_images=4))
    some = Photos(PhotosConfig(root=str(folder), tile=16, validation_images=4, test_images=5))
    assert len(some.test) == 5 < len(whole.test)
    assert torch.equal(
        some.test.batch(torch.tensor([4])), whole.test.batch(torch.tensor([4 * len(whole.test) // 5]))
    )
