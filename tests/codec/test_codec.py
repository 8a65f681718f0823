"""Round trips, batch independence, the bit split and what is refused."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from fsar_lab.codec import codec as module
from fsar_lab.codec.codec import Codec
from fsar_lab.codec.model import CodecModel
from fsar_lab.errors import CodingError
from fsar_lab.export import estimated_bits
from fsar_lab.models.compressor import Compressor

Images = Callable[..., NDArray[np.uint8]]


@given(
    st.integers(1, 35),
    st.integers(1, 6),
    st.integers(1, 6),
    st.sampled_from(["noise", "flat", "extreme"]),
    st.integers(0, 9),
)
@settings(max_examples=25, deadline=None)
def test_round_trip(codec: Codec, number: int, rows: int, columns: int, content: str, seed: int) -> None:
    generator = np.random.default_rng(seed)
    shape = (number, 2 * rows, 2 * columns, 3)
    if content == "noise":
        images = generator.integers(0, 256, shape, np.uint8)
    elif content == "flat":
        images = np.full(shape, generator.integers(256), np.uint8)
    else:
        images = (generator.integers(0, 2, shape) * 255).astype(np.uint8)
    assert np.array_equal(codec.decode(codec.encode(images)), images)


def test_bytes_do_not_depend_on_batch_threads_or_chunk(
    model: CodecModel, made_images: Images, monkeypatch: pytest.MonkeyPatch
) -> None:
    images = made_images(100)
    data = Codec(model, threads=1, batch=64).encode(images)
    assert Codec(model, threads=2, batch=7).encode(images) == data
    assert np.array_equal(Codec(model, threads=2, batch=7).decode(data), images)
    monkeypatch.setattr(module, "CHUNK_SAMPLES", 1)  # one group at a time
    assert Codec(model, threads=1).encode(images) == data
    assert np.array_equal(Codec(model, threads=1).decode(data), images)


def test_groups_stand_alone(codec: Codec, made_images: Images) -> None:
    """An image's bytes depend on its group of 32 only."""
    images = made_images(64)
    first = codec.encode(images[:32])
    assert first[40:200] == codec.encode(images)[48:208]  # behind header and directory


def test_separate_process(model_path: Path, codec: Codec, made_images: Images, tmp_path: Path) -> None:
    images = made_images(40)
    (tmp_path / "b").write_bytes(codec.encode(images))
    code = (
        "import sys\n"
        "from fsar_lab.codec.decode_blob import main\n"
        "assert main(sys.argv[1:]) == 0\n"
        "bad = {'lightning', 'hydra', 'wandb', 'omegaconf', 'torchvision', 'fsar_lab.models'}\n"
        "bad &= set(sys.modules)\n"
        "assert not bad, bad"
    )
    arguments = [str(model_path), str(tmp_path / "b"), str(tmp_path / "o.npy"), "--batch", "7"]
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["images"] == 40
    assert np.array_equal(np.load(tmp_path / "o.npy"), images)


def test_loading_needs_no_torch(model_path: Path) -> None:
    code = (
        "import sys\n"
        "from fsar_lab.codec.codec import Codec\n"
        "codec = Codec.load(sys.argv[1])\n"
        "assert codec.table_bytes > 0 and 'torch' not in sys.modules\n"
        "codec.networks\n"
        "assert 'torch' in sys.modules"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(model_path)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_decoding_process_reports_errors(model_path: Path, tmp_path: Path) -> None:
    from fsar_lab.codec.decode_blob import main

    (tmp_path / "b").write_bytes(b"nothing")
    assert main([str(model_path), str(tmp_path / "b"), str(tmp_path / "o.npy")]) == 1
    assert main([str(tmp_path / "b"), str(tmp_path / "b"), str(tmp_path / "o.npy")]) == 1
    assert main([str(tmp_path / "gone"), str(tmp_path / "b"), str(tmp_path / "o.npy")]) == 1
    assert not (tmp_path / "o.npy").exists()


def test_bits_add_up(codec: Codec, made_images: Images) -> None:
    images = made_images(96)
    parts = codec.encode_parts(images)
    assert parts.samples == images.size and parts.bpd == 8 * len(parts.data) / images.size
    container = 36 + 8 * 3  # and a state of 4 bytes an image, of which up to 2 carry information
    assert container + 2 * 96 <= parts.overhead / 8 <= container + 4 * 96


def test_coded_size_is_the_estimate(compressor: Compressor, codec: Codec, made_images: Images) -> None:
    images = made_images(200, seed=9)
    parts = codec.encode_parts(images)
    latents, pixels = estimated_bits(compressor, codec, images)
    assert abs(parts.pixels / pixels - 1) < 0.006
    # The made prior was never trained: the tables, fitted to the calibration's latents, know better.
    assert 0 < parts.latents / latents < 1.0


def test_uniform_sibling(codec: Codec, made_images: Images) -> None:
    images = made_images(33)
    sibling = codec.with_uniform_prior()
    parts = sibling.encode_parts(images)
    assert np.array_equal(sibling.decode(parts.data), images)
    assert np.array_equal(sibling.analyse(images), codec.analyse(images))
    assert abs(parts.latents / (33 * 2 * 64 * 4) - 1) < 1e-3
    assert abs(parts.pixels - codec.encode_parts(images).pixels) < 1
    assert sibling.model.id != codec.model.id


@pytest.mark.parametrize(
    ("images", "error", "text"),
    [
        (np.zeros((1, 4, 4, 3)), TypeError, "uint8"),
        (np.zeros((4, 4, 3), np.uint8), CodingError, r"\[N, H, W, 3\]"),
        (np.zeros((1, 4, 4, 1), np.uint8), CodingError, "RGB"),
        (np.zeros((0, 4, 4, 3), np.uint8), CodingError, "nothing"),
        (np.zeros((1, 5, 4, 3), np.uint8), CodingError, "multiples of 2.*pad to 6x4"),
    ],
)
def test_refuses(codec: Codec, images: NDArray[np.uint8], error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text):
        codec.encode(images)


def test_layout_of_the_array_is_free(codec: Codec, made_images: Images) -> None:
    images = made_images(5)
    planes = np.ascontiguousarray(images.transpose(0, 3, 1, 2)).transpose(0, 2, 3, 1)
    assert codec.encode(planes) == codec.encode(images)
