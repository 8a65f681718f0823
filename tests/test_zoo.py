"""The codecs that come with the package: small, complete, lossless at any size."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from fsar_lab import zoo
from fsar_lab.codec.codec import Codec
from fsar_lab.errors import ConfigError

MOST_BYTES = 1_500_000  # of all together: they are in every wheel


def photographs(rng: np.random.Generator) -> list[NDArray[np.uint8]]:
    """Gradients with noise, of several sizes."""
    made = []
    for height, width in [(1, 1), (7, 5), (32, 32), (130, 66), (32, 32)]:
        y, x, colour = np.ogrid[0:height, 0:width, 0:3]
        values = 90 + y + 0.7 * x + 15 * colour + rng.normal(0, 3, (height, width, 3))
        made.append(np.clip(values, 0, 255).astype(np.uint8))
    return made


def test_they_are_few_and_small() -> None:
    assert zoo.codec_names() == ["balanced", "cifar10", "context", "fast", "photos", "small"]
    assert 0 < sum(zoo.codec_path(name).stat().st_size for name in zoo.codec_names()) <= MOST_BYTES


@pytest.mark.parametrize("name", zoo.codec_names())
def test_round_trips(name: str, rng: np.random.Generator) -> None:
    codec = Codec.load(zoo.codec_path(name), threads=1)
    images = photographs(rng)
    assert all(np.array_equal(a, b) for a, b in zip(codec.decode(codec.encode(images)), images, strict=True))
    tiles = np.stack([image[:32, :32] for image in images[2:]])
    blob = codec.encode(tiles)
    assert np.array_equal(codec.decode(blob), tiles)
    assert 8 * len(blob) < 7 * tiles.size  # it has learned something: bare pixels take 8
    noise = rng.integers(0, 256, (3, 32, 48, 3), np.uint8)
    assert np.array_equal(codec.decode(codec.encode(noise)), noise)


@pytest.mark.parametrize("name", zoo.codec_names())
def test_has_a_card_that_names_it(name: str) -> None:
    path = zoo.codec_path(name)
    card = path.with_suffix(".md").read_text()
    assert Codec.load(path, threads=1).model.id.hex() in card
    assert all(word in card for word in ("Training data", "bpd", "Limits"))


def test_an_unknown_name_says_what_there_is() -> None:
    with pytest.raises(ConfigError, match=r"'kodak'.*cifar10"):
        zoo.codec_path("kodak")


def test_paths_are_inside_the_package() -> None:
    assert all(zoo.codec_path(name).is_relative_to(Path(zoo.__file__).parent) for name in zoo.codec_names())
