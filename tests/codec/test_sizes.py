"""Images of any sizes and contents, alone and together."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from fsar_lab.codec import tiling
from fsar_lab.codec.blob import Kind
from fsar_lab.codec.codec import Codec
from fsar_lab.codec.tiling import TILE, WAVE_TILE, Cut, SizeRun
from fsar_lab.entropy import LANES
from fsar_lab.export import export
from fsar_lab.models.compressor import Compressor

Image = NDArray[np.uint8]
CONTENTS = ["noise", "flat", "gradient", "text"]
SIZES = [(1, 1), (1, 7), (300, 1), (2, 3), (33, 31), (TILE, TILE), (TILE - 1, TILE + 1), (TILE + 1, 2 * TILE)]


def make(height: int, width: int, content: str, seed: int = 0) -> Image:
    """An image that is hard in one way or another."""
    generator = np.random.default_rng(seed)
    if content == "noise":
        return generator.integers(0, 256, (height, width, 3), np.uint8)
    if content == "flat":
        return np.full((height, width, 3), generator.integers(256), np.uint8)
    if content == "gradient":
        rows, columns = np.mgrid[:height, :width]
        return np.stack([rows * 3, columns * 5, rows + columns], 2).astype(np.uint8)
    return np.repeat((generator.random((height, width, 1)) < 0.1).astype(np.uint8) * 255, 3, 2)


def same(decoded: object, images: list[Image]) -> bool:
    """Whether a list of the right images was decoded."""
    return (
        isinstance(decoded, list)
        and len(decoded) == len(images)
        and all(map(np.array_equal, decoded, images))
    )


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("content", CONTENTS)
def test_one_image(codec: Codec, size: tuple[int, int], content: str) -> None:
    image = make(*size, content)
    assert same(codec.decode(codec.encode([image])), [image])
    decoded = codec.decode(codec.encode(image[None]))
    assert isinstance(decoded, np.ndarray) and np.array_equal(decoded, image[None])


def test_all_sizes_together(codec: Codec) -> None:
    images = [make(*size, content, i) for i, size in enumerate(SIZES * 3) for content in CONTENTS]
    assert same(codec.decode(codec.encode(images)), images)
    assert codec.encode(tuple(images)) == codec.encode(images)


@pytest.mark.parametrize("downsamples", [2, 3])
def test_models_of_other_factors(
    made_compressor: Callable[..., Compressor], calibration: torch.Tensor, downsamples: int
) -> None:
    """Every size is padded to what the model takes, also to a single latent."""
    codec = Codec(export(made_compressor(downsamples=downsamples), calibration, {}), threads=2)
    assert codec.model.factor == 2**downsamples
    images = [make(*size, content) for size in SIZES for content in CONTENTS]
    assert same(codec.decode(codec.encode(images)), images)


@given(
    st.lists(st.tuples(st.integers(1, 40), st.integers(1, 40)), min_size=1, max_size=40),
    st.sampled_from(CONTENTS),
    st.integers(0, 9),
    st.sampled_from([2, 6, 16, 64]),
)
@settings(max_examples=40, deadline=None)
def test_any_sizes(codec: Codec, sizes: list[tuple[int, int]], content: str, seed: int, tile: int) -> None:
    images = [make(*size, content, seed + i) for i, size in enumerate(sizes)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tiling, "TILE", tile)
        data = codec.encode(images)
    assert same(codec.decode(data), images)  # the blob says how large its tiles are
    chosen = [len(images) - 1, 0, len(images) // 2]
    assert same(codec.decode(data, only=chosen), [images[i] for i in chosen])


@given(
    st.lists(st.tuples(st.integers(1, 70), st.integers(1, 50), st.integers(1, 50)), min_size=1, max_size=6),
    st.sampled_from([(8, 1), (8, 2), (16, 4), (32, 32)]),
    st.integers(1, 3),
)
@settings(deadline=None)
def test_tiles_cover_every_pixel_once(
    runs: list[tuple[int, int, int]], sides: tuple[int, int], threads: int
) -> None:
    """And the groups are those that the arithmetic announces, whoever shares the work."""
    tile, factor = sides
    sizes = [SizeRun(*run) for run in runs]
    images = [np.zeros((run.height, run.width, 3), np.uint8) for run in sizes for _ in range(run.count)]
    cut = Cut(tile, factor)
    groups = list(tiling.group_sizes(tiling.tile_counts(sizes, cut), cut))
    found = []
    for part in tiling.in_groups(sizes, cut, threads):
        assert part.first == len(found)
        for number in part.numbers:
            single = part.single(number)
            found.append((single.shape, len(single.tiles)))
            assert part.shape[0] % factor == 0 and part.shape[1] % factor == 0 and max(part.shape) <= tile
            for image, top, left in single.tiles.tolist():
                images[image][top : top + part.shape[0], left : left + part.shape[1]] += 1
    assert found == groups and all(lanes <= LANES for _, lanes in groups)
    assert all((image == 1).all() for image in images)
    assert sum(run.count for run in tiling.size_runs(images)) == len(images)


@given(
    st.lists(st.tuples(st.integers(1, 3), st.integers(1, 1200), st.integers(1, 2500)), min_size=1, max_size=4)
)
@settings(deadline=None, max_examples=30)
def test_bands_cover_every_pixel_once(runs: list[tuple[int, int, int]]) -> None:
    """Large images are bands of nearly equal sizes, each a group; the others are tiles as ever."""
    sizes, cut = [SizeRun(*run) for run in runs], Cut(WAVE_TILE, waves=True)
    covered = [np.zeros((run.height, run.width), np.uint8) for run in sizes for _ in range(run.count)]
    groups = list(tiling.group_sizes(tiling.tile_counts(sizes, cut), cut))
    parts = tiling.in_groups(sizes, cut)
    assert [(one.shape, len(one.tiles)) for part in parts for one in map(part.single, part.numbers)] == groups
    for part in parts:
        assert part.wave == cut.is_wave(*part.shape)
        for image, top, left in part.tiles.tolist():
            assert part.wave == cut.is_wave(*covered[image].shape)
            piece = covered[image][top : top + part.shape[0], left : left + part.shape[1]]
            assert piece.shape == part.shape
            piece += 1
    assert all((one == 1).all() for one in covered)


def test_padding_repeats_the_last_row_and_column() -> None:
    image = np.arange(5 * 3 * 3, dtype=np.uint8).reshape(5, 3, 3)
    (part,) = tiling.in_groups([SizeRun(1, 5, 3)], Cut(8, 4))
    (lane,) = part.cut([image])
    assert np.array_equal(lane, np.pad(image, ((0, 3), (0, 1), (0, 0)), "edge"))


def test_one_photograph_fills_the_lanes() -> None:
    (part,) = tiling.in_groups([SizeRun(1, 8 * TILE, 4 * TILE)], Cut(TILE, 2))
    assert len(part) == 1 and len(part.tiles) == LANES


def test_equal_images_share_groups_and_order_is_kept() -> None:
    sizes = [SizeRun(3, 4, 4), SizeRun(1, 9, 4), SizeRun(40, 4, 4)]
    parts = tiling.in_groups(sizes, Cut(8, 4))
    assert [part.shape for part in parts] == [(4, 4), (8, 4)]
    assert parts[0].tiles[:, 0].tolist() == [0, 1, 2, 3, *range(4, 44)]  # 3: what is left of 9 rows
    assert parts[0].tiles[3].tolist() == [3, 8, 0]


def test_only(codec: Codec) -> None:
    images = np.stack([make(5, 6, "noise", i) for i in range(70)])
    data = codec.encode(images)
    assert np.array_equal(codec.decode(data, only=3), images[3])  # type: ignore[arg-type]
    assert np.array_equal(codec.decode(data, only=-1), images[-1])  # type: ignore[arg-type]
    for chosen in ([69, 0, 0], range(30, 40), np.array([5])):
        decoded = codec.decode(data, only=chosen)  # type: ignore[call-overload]
        assert isinstance(decoded, np.ndarray) and np.array_equal(decoded, images[chosen])
    assert codec.decode(data, only=[]).shape == (0, 5, 6, 3)  # type: ignore[union-attr]
    assert same(codec.decode(codec.encode(list(images)), only=[1, 64]), [images[1], images[64]])
    for wrong in (70, [0, -71]):
        with pytest.raises(IndexError, match="70"):
            codec.decode(data, only=wrong)  # type: ignore[arg-type]


def test_only_decodes_only_the_groups_it_needs(codec: Codec, monkeypatch: pytest.MonkeyPatch) -> None:
    data = codec.encode(np.zeros((100, 4, 4, 3), np.uint8))
    decoded: list[int] = []
    decode_groups = Codec._decode_groups

    def counted(self: Codec, streams: list[memoryview], part: tiling.Groups, kind: Kind) -> Image:
        decoded.append(len(part.tiles))
        return decode_groups(self, streams, part, kind)

    monkeypatch.setattr(Codec, "_decode_groups", counted)
    codec.decode(data, only=[99, 40])
    assert sorted(decoded) == [4, 32]


def test_threads_share_a_codec(codec: Codec) -> None:
    images = [[make(40, 50 + i, "noise", i), make(9, 9, "text", i)] for i in range(4)]
    data = [codec.encode(pair) for pair in images]
    wrong: list[int] = []

    def work(number: int) -> None:
        for _ in range(20):
            encoded = codec.encode(images[number])
            if encoded != data[number] or not same(codec.decode(encoded), images[number]):
                wrong.append(number)

    threads = [threading.Thread(target=work, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads the peak memory from Linux")
def test_memory_does_not_grow_with_the_image(model_path: Path) -> None:
    """4 megapixels in 48 MB beyond pixels and blob; all inputs and outputs of the networks take 60."""
    code = (
        "import re, sys\nimport numpy as np\nimport fsar_lab\n"
        "def memory(what):\n"
        "    return 1024 * int(re.search(what + r':\\s+(\\d+)', open('/proc/self/status').read())[1])\n"
        "codec = fsar_lab.Codec.load(sys.argv[1], threads=2)\n"
        "codec.decode(codec.encode([np.zeros((70, 70, 3), np.uint8)]))\n"
        "image = np.random.default_rng(0).integers(100, 130, (2000, 2000, 3), np.uint8)\n"
        "before = memory('VmRSS')\n"
        "blob = codec.encode([image])\n"
        "encoding = memory('VmHWM') - before - len(blob)\n"
        "(decoded,) = codec.decode(blob)\n"
        "decoding = memory('VmHWM') - before - len(blob) - decoded.nbytes\n"
        "assert np.array_equal(decoded, image)\n"
        "assert max(encoding, decoding) < 48e6, (encoding, decoding)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(model_path)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_overhead_of_a_batch(codec: Codec) -> None:
    """At most 10 bytes an image, its final state included."""
    parts = codec.encode_parts(np.random.default_rng(0).integers(0, 256, (1000, 32, 32, 3), np.uint8))
    assert parts.overhead / 8 <= 10 * 1000
