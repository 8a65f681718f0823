"""The zoo's codecs on kinds of images that none was trained on: exact, and never much larger than raw."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from fsar_lab import zoo
from fsar_lab.codec import blob, tiling
from fsar_lab.codec.codec import Codec

Pixels = NDArray[np.uint8]
HEIGHT, WIDTH = 45, 67
WORDS = "The quick brown fox jumps over the lazy dog; 0123456789 {[()]} @ #"


def drawn(ground: str, height: int = HEIGHT, width: int = WIDTH) -> tuple[Image.Image, ImageDraw.ImageDraw]:
    image = Image.new("RGB", (width, height), ground)
    return image, ImageDraw.Draw(image)


def text(ink: str, ground: str) -> Pixels:
    image, draw = drawn(ground)
    for line in range(5):
        draw.text((1, 9 * line), WORDS[7 * line :], ink, ImageFont.load_default(9))
    return np.asarray(image)


def graphics() -> Pixels:
    """Areas of one colour with hard edges."""
    image, draw = drawn("white")
    draw.rectangle((4, 5, 30, 40), "#e01020", "black")
    draw.ellipse((20, 10, 60, 42), "#20a0ff")
    draw.polygon([(40, 2), (64, 30), (35, 25)], "#ffd000")
    draw.line((0, 44, 66, 0), "black", 2)
    return np.asarray(image)


def screenshot(height: int = HEIGHT, width: int = WIDTH) -> Pixels:
    """A window with a title, buttons and text, drawn with transparency that is flattened in the end."""
    image = Image.new("RGBA", (width, height), "#f3f3f3ff")
    draw = ImageDraw.Draw(image)
    draw.rectangle((0, 0, width, 9), "#2b579aff")
    draw.text((2, -1), "Untitled", "white", ImageFont.load_default(8))
    for left in range(width - 24, width, 8):
        draw.rectangle((left, 2, left + 5, 7), "#ffffff80", "#ffffffff")
    for line in range(12, height - 8, 10):
        draw.rectangle((2, line, width - 3, line + 8), "#ffffffff", "#c8c8c8ff")
        draw.text((4, line - 1), WORDS[line % 20 :], "#202020ff", ImageFont.load_default(8))
    return np.asarray(image.convert("RGB"))


def gradient(*slopes: float) -> Pixels:
    """`slopes` are those of red, green and blue, down and then across."""
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    planes = [down * y + across * x for down, across in zip(slopes[:3], slopes[3:], strict=True)]
    return np.stack(planes, 2).astype(np.int64).astype(np.uint8)


def checkerboard(side: int, one: int, other: int) -> Pixels:
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    board = np.where((y // side + x // side) % 2, one, other)
    return np.repeat(board[:, :, None], 3, 2).astype(np.uint8)


def kinds() -> dict[str, Pixels]:
    """Images of all kinds by name."""
    rng = np.random.default_rng(3)
    noise = rng.integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8)
    salt = np.where(rng.random((HEIGHT, WIDTH, 1)) < 0.1, noise, np.uint8(90))
    palette = rng.integers(0, 256, (8, 3), np.uint8)
    large = rng.integers(0, 256, (40, 140, 3), np.uint8)
    return {
        "text": text("black", "white"),
        "text of a terminal": text("#40ff40", "#101020"),
        "graphics": graphics(),
        "screenshot": screenshot(),
        "large screenshot": screenshot(70, 150),
        "grey gradient": gradient(1, 1, 1, 2, 2, 2),
        "gradient that wraps": gradient(0, 7, 13, 5, 0, 11),
        "slow gradient": gradient(0.1, 0, 0.05, 0, 0.2, 0.1),
        "noise": noise,
        "large noise": large,
        "grey noise": np.repeat(noise[:, :, :1], 3, 2),
        "noise of two levels": (noise & 1) * np.uint8(255),
        "noise of the last bit": 127 + (noise & 1),
        "salt": salt,
        "palette without order": palette[rng.integers(0, 8, (HEIGHT, WIDTH))],
        "checkerboard of pixels": checkerboard(1, 0, 255),
        "large checkerboard": checkerboard(8, 30, 220),
        "pale checkerboard": checkerboard(1, 127, 128),
        "black": np.zeros((HEIGHT, WIDTH, 3), np.uint8),
        "white": np.full((HEIGHT, WIDTH, 3), 255, np.uint8),
        "one colour": np.tile(np.array([255, 0, 255], np.uint8), (HEIGHT, WIDTH, 1)),
        "one pixel": noise[:1, :1],
        "a black pixel": np.zeros((1, 1, 3), np.uint8),
        "two pixels": noise[:2, :1],
        "a row": noise[:1],
        "a long row": rng.integers(0, 256, (1, 500, 3), np.uint8),
        "a flat row": np.full((1, 300, 3), 7, np.uint8),
        "a column": noise[:, :1],
        "a flat column": np.full((300, 1, 3), 200, np.uint8),
    }


@pytest.fixture(scope="module", params=["fast", "balanced", "small", "context"])
def codec(request: pytest.FixtureRequest) -> Codec:
    return Codec.load(zoo.codec_path(request.param), threads=1)


def stored(codec: Codec, images: list[Pixels]) -> int:
    """Bytes of a blob of these images if none was coded, but all put in as they are."""
    sizes = tiling.size_runs(images)
    groups = sum(map(len, tiling.in_groups(sizes, codec.model.cut)))
    return blob.directory_bytes(sizes, groups) + sum(image.nbytes for image in images) + len(blob.END)


def test_every_kind_by_itself(codec: Codec) -> None:
    for name, image in kinds().items():
        data = codec.encode([image])
        (back,) = codec.decode(data)
        assert np.array_equal(back, image), name
        assert len(data) <= stored(codec, [image]), name
        assert len(data) <= image.nbytes + 32, name


def test_all_kinds_together(codec: Codec) -> None:
    images = list(kinds().values())
    data = codec.encode(images)
    assert all(np.array_equal(a, b) for a, b in zip(codec.decode(data), images, strict=True))
    assert len(data) <= min(stored(codec, images), 1.01 * sum(image.nbytes for image in images) + 32)


def test_what_is_regular_is_small(codec: Codec) -> None:
    """Simple images cost little (pure magenta most: 2.7 bits a sample of `small`), although none was seen."""
    images = kinds()
    for name in ("black", "white", "one colour", "slow gradient"):
        data = codec.encode([images[name]])
        assert len(data) < images[name].nbytes / 2, name
