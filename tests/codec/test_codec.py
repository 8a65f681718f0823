"""Round trips, batch independence, the bit split and what is refused."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from fsar_lab.codec import blob, tiling
from fsar_lab.codec.codec import Codec
from fsar_lab.codec.model import CodecModel
from fsar_lab.codec.tiling import SizeRun, size_runs
from fsar_lab.errors import CapacityError, CodingError
from fsar_lab.exporting.estimates import estimated_bits
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


def test_bytes_do_not_depend_on_threads_engine_or_what_is_worked_on_at_a_time(
    model: CodecModel, made_images: Images, monkeypatch: pytest.MonkeyPatch
) -> None:
    images = [*made_images(100, side=4), *made_images(2, side=150), *made_images(40, side=30)]
    data = Codec(model, threads=1).encode(images)
    for pixels in (1, 1 << 30):
        monkeypatch.setattr(tiling, "RUN_PIXELS", pixels)
        for codec in (Codec(model, threads=2), Codec(model, threads=2, engine="torch")):
            assert codec.encode(images) == data
            assert all(map(np.array_equal, codec.decode(data), images))


def test_bytes_do_not_depend_on_the_instruction_set(
    model_path: Path, codec: Codec, made_images: Images, tmp_path: Path
) -> None:
    images = made_images(33, side=21)
    np.save(tmp_path / "i.npy", images)
    data = codec.encode(images)
    code = (
        "import sys\nimport numpy as np\nfrom fsar_lab import Codec\n"
        "codec, images = Codec.load(sys.argv[1]), np.load(sys.argv[2])\n"
        "data = codec.encode(images)\n"
        "assert np.array_equal(codec.decode(data), images)\n"
        "sys.stdout.buffer.write(data)"
    )
    for isa in ("scalar", "sse4", "avx2", "avx2-gather", "avx2-vnni", "avx512"):  # or the best there is
        done = subprocess.run(
            [sys.executable, "-c", code, str(model_path), str(tmp_path / "i.npy")],
            env=os.environ | {"EC_ISA": isa},
            capture_output=True,
            check=True,
        )
        assert done.stdout == data, isa


def test_groups_stand_alone(codec: Codec, made_images: Images) -> None:
    """An image's bytes depend on its group of 32 only."""
    images = made_images(64)
    first, both = (codec.encode(part) for part in (images[:32], images))
    head = [blob.directory_bytes([SizeRun(32 * n, *images.shape[1:3])], n) for n in (1, 2)]
    size = len(first) - head[0] - len(blob.END)
    assert first[head[0] : head[0] + size] == both[head[1] : head[1] + size]


def test_an_image_of_its_own_size_has_bytes_of_its_own(codec: Codec, made_images: Images) -> None:
    """Where no shape of tile is shared, other images change nothing in a stream."""
    images = [image for side in (4, 10, 30) for image in made_images(1, side=side)]
    streams = b"".join(codec.encode([image])[blob.LONE_BYTES :] for image in images)
    assert codec.encode(images)[blob.directory_bytes(size_runs(images), 3) : -len(blob.END)] == streams


def test_separate_process(model_path: Path, codec: Codec, made_images: Images, tmp_path: Path) -> None:
    images = made_images(40)
    (tmp_path / "b").write_bytes(codec.encode(images))
    code = (
        "import sys\n"
        "from fsar_lab.codec.decode_blob import main\n"
        "assert main(sys.argv[1:]) == 0\n"
        "bad = {'torch', 'lightning', 'hydra', 'wandb', 'omegaconf', 'torchvision', 'fsar_lab.models'}\n"
        "bad &= set(sys.modules)\n"
        "assert not bad, bad"
    )
    arguments = [str(model_path), str(tmp_path / "b"), str(tmp_path / "o.npy")]
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["images"] == 40
    assert np.array_equal(np.load(tmp_path / "o.npy"), images)


def test_a_list_decoded_in_a_separate_process(model_path: Path, codec: Codec, tmp_path: Path) -> None:
    from fsar_lab.codec.decode_blob import main

    images = [np.full((3, 5, 3), 7, np.uint8), np.full((8, 2, 3), 9, np.uint8)]
    (tmp_path / "b").write_bytes(codec.encode(images))
    assert main([str(model_path), str(tmp_path / "b"), str(tmp_path / "o.npz")]) == 0
    with np.load(tmp_path / "o.npz") as decoded:
        assert all(np.array_equal(decoded[f"arr_{i}"], image) for i, image in enumerate(images))


def test_coding_needs_no_torch(model_path: Path) -> None:
    code = (
        "import sys\nimport numpy as np\nimport fsar_lab\n"
        "codec = fsar_lab.Codec.load(sys.argv[1])\n"
        "images = np.zeros((2, 5, 6, 3), np.uint8)\n"
        "assert np.array_equal(codec.decode(codec.encode(images)), images)\n"
        "assert not {'torch', 'lightning', 'hydra', 'omegaconf', 'PIL'} & set(sys.modules)\n"
        "fsar_lab.Codec.load(sys.argv[1], engine='torch')\n"
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
    container = blob.directory_bytes(size_runs(images), 3) + len(blob.END)
    # And a state of 4 bytes an image, of which up to 2 carry information.
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
        ([np.zeros((4, 4, 3), np.uint16)], TypeError, "uint8"),
        ([[1, 2, 3]], TypeError, "NumPy arrays"),
        ("images", TypeError, "list of arrays"),
        (np.zeros((4, 4, 3), np.uint8), CodingError, r"\[N, H, W, 3\].*list"),
        ([np.zeros((4, 4), np.uint8)], CodingError, "RGB"),
        (np.zeros((1, 4, 4, 1), np.uint8), CodingError, "RGB"),
        ([np.zeros((4, 4, 4), np.uint8)], CodingError, "RGB"),
        (np.zeros((0, 4, 4, 3), np.uint8), CodingError, "nothing"),
        ([np.zeros((4, 0, 3), np.uint8)], CodingError, "nothing"),
        ([], CodingError, "nothing"),
        (np.broadcast_to(np.uint8(0), (1, 1, (1 << 20) + 1, 3)), CapacityError, "split"),
    ],
)
def test_refuses(codec: Codec, images: Any, error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text):
        codec.encode(images)


def test_networks_alone_do_not_pad(codec: Codec, made_images: Images) -> None:
    with pytest.raises(CodingError, match="multiples of 2"):
        codec.analyse(made_images(1, side=5))


@pytest.mark.parametrize(
    ("arguments", "text"),
    [({"threads": 0}, "threads"), ({"engine": "fast"}, "c, torch"), ({"device": "cuda"}, 'engine="torch"')],
)
def test_refuses_settings(model: CodecModel, arguments: dict[str, Any], text: str) -> None:
    with pytest.raises(ValueError, match=text):
        Codec(model, **arguments)


def test_layout_of_the_array_is_free(codec: Codec, made_images: Images) -> None:
    images = made_images(5)
    planes = np.ascontiguousarray(images.transpose(0, 3, 1, 2)).transpose(0, 2, 3, 1)
    assert codec.encode(planes) == codec.encode(images)
