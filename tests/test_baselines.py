"""Classical codecs: exact round trips, honest sizes, clear errors."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fsar_lab import baselines
from fsar_lab.baselines.base import Baseline, Image
from fsar_lab.errors import CodingError, ConfigError, LosslessError

CODECS = {codec.name: codec for codec in baselines.available()}
ALL = pytest.mark.parametrize("name", baselines.names())


def codec_or_skip(name: str) -> Baseline:
    if name not in CODECS:
        pytest.skip("imagecodecs is not installed")
    return CODECS[name]


def noise(*shape: int) -> Image:
    return np.random.default_rng(0).integers(0, 256, shape, np.uint8)


@ALL
@pytest.mark.parametrize("shape", [(1, 1), (1, 7), (7, 1), (32, 32), (33, 18)])
@pytest.mark.parametrize("content", ["noise", "black", "white", "ramp"])
def test_round_trip(name: str, shape: tuple[int, int], content: str) -> None:
    codec = codec_or_skip(name)
    image = {
        "noise": noise(*shape, 3),
        "black": np.zeros((*shape, 3), np.uint8),
        "white": np.full((*shape, 3), 255, np.uint8),
        "ramp": np.arange(shape[0] * shape[1] * 3).astype(np.uint8).reshape(*shape, 3),
    }[content]
    decoded = codec.decode(codec.encode(image))
    assert decoded.dtype == np.uint8
    np.testing.assert_array_equal(decoded, image)


@given(data=st.data())
@settings(max_examples=30, deadline=None)
def test_random_sizes_and_views(data: st.DataObject) -> None:
    codec = CODECS[data.draw(st.sampled_from(sorted(CODECS)))]
    h, w, step = (data.draw(st.integers(1, n)) for n in (40, 40, 3))
    image = noise(3, h * step, w).transpose(1, 2, 0)[::step]  # not contiguous
    np.testing.assert_array_equal(codec.decode(codec.encode(image)), image)


@ALL
def test_library_and_title_are_named(name: str) -> None:
    codec = codec_or_skip(name)
    assert any(character.isdigit() for character in codec.library())
    assert codec.name == name and codec.title


def test_rows_count_complete_files() -> None:
    images = noise(70, 8, 6, 3)  # more than one chunk
    calls: list[tuple[str, int, int]] = []
    rows = baselines.measure(["png", "webp"], images, lambda *call: calls.append(call))
    assert [row["codec"] for row in rows] == ["png", "webp"]
    for row in rows:
        size = sum(len(CODECS[row["codec"]].encode(image)) for image in images)
        assert row["bytes"] == size and row["images"] == 70 and row["lossless"]
        assert row["bpd"] == pytest.approx(8 * size / images.size)
        assert row["encode_MBps"] > 0 and row["decode_MBps"] > 0
    assert calls == [(name, done, 70) for name in ("png", "webp") for done in (64, 70)]


def test_sizes_may_differ() -> None:
    (row,) = baselines.measure(["png"], [noise(4, 4, 3), noise(9, 5, 3)])
    assert row["bpd"] == pytest.approx(8 * row["bytes"] / (48 + 135))


def test_a_codec_that_loses_is_refused() -> None:
    class Lossy(Baseline):
        name, title = "lossy", "drops the last bit"

        def encode(self, image: Image) -> bytes:
            return CODECS["png"].encode(image & 254)

        def decode(self, data: bytes) -> Image:
            return CODECS["png"].decode(data)

        def library(self) -> str:
            return "0"

    with pytest.raises(LosslessError, match="drops the last bit: image 1 differs"):
        baselines.measure([Lossy()], [np.zeros((2, 2, 3), np.uint8), np.ones((2, 2, 3), np.uint8)])


@pytest.mark.parametrize(
    "image", [np.zeros((4, 4), np.uint8), np.zeros((4, 4, 3)), noise(0, 4, 3), noise(4, 4, 4)]
)
def test_other_images_are_refused(image: Image) -> None:
    with pytest.raises(CodingError, match="uint8 images"):
        baselines.measure(["png"], [image])
    with pytest.raises(CodingError, match="uint8 images"):
        CODECS["png"].encode(image)


def test_no_images() -> None:
    with pytest.raises(CodingError, match="no images"):
        baselines.measure(["png"], [])


def test_unknown_name() -> None:
    with pytest.raises(ConfigError, match=r"'gif'.*there are: qoi, png, webp"):
        baselines.get("gif")
    with pytest.raises(ConfigError, match="gif"):
        baselines.available(["png", "gif"])


def test_missing_imagecodecs_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "imagecodecs", None)
    with pytest.raises(ConfigError, match=r"fsar_lab\[bench\]"):
        baselines.get("jxl_e3")
    assert [codec.name for codec in baselines.available()] == ["png", "webp", "context"]
