"""PyTorch codes pixels under causal networks to the entropy coder's bytes, and decodes them."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from conftest import smooth_images

from fsar_lab import zoo
from fsar_lab.codec import blob
from fsar_lab.codec.blob import Kind
from fsar_lab.codec.causal_net import CausalNetTables
from fsar_lab.codec.causal_torch import Network
from fsar_lab.codec.codec import Codec, has_few_colours
from fsar_lab.codec.engine_causal import CausalNetCoder, batch_steps, wave_steps
from fsar_lab.codec.integer_network import NetworkError
from fsar_lab.codec.model import CodecModel
from fsar_lab.entropy import CausalShape
from fsar_lab.errors import DamagedStreamError

DEVICES = ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]


def made_pairs() -> CodecModel:
    """A made network of pairs: either pixel is much like the one to its left."""
    fast = CodecModel.load(zoo.codec_path("fast")).pixels
    assert isinstance(fast, CausalNetTables)
    shape = CausalShape(radius=3, width=16, blocks=2, inner=8, spatial=True, hidden=8, mixtures=3, pair=True)
    rng = np.random.default_rng(3)
    arrays = {name: fast.arrays[name] for name in ("inverse", "sigmoid", "exponentials")}
    ranges = {
        "first": (-10, 11),
        "weights": (-30, 31),
        "bias": (-3000, 9000),
        "shift": (3, 7),
        "stream_shift": (0, 5),
        "own_shift": (0, 5),
        "colour": (-9000, 9000),
        "couple": (-2000, 2001),
    }
    for name, (dtype, size) in shape.arrays.items():
        if name in ranges:
            arrays[name] = rng.integers(*ranges[name], size).astype(dtype)
    rows = slice(shape.width, shape.width + shape.samples)
    arrays["bias"][rows], arrays["shift"][rows] = 0, 8
    heads = slice(-shape.samples * 3 * shape.mixtures, None)
    arrays["bias"][heads] = np.tile(np.repeat([0, 0, 60 << 9], shape.mixtures), shape.samples)
    arrays["shift"][heads] = 9
    for colour in range(3):
        arrays["first"][rows][[colour, 3 + colour], colour - 4] += 16 << 8  # the last pixel of the window
        arrays["couple"][3 + colour, colour] = 1 << 14  # the left pixel's error is the right one's
    return CodecModel(None, None, CausalNetTables(shape, arrays))


@pytest.fixture(scope="module", params=["fast", "balanced", "small", "pairs"])
def model(request: pytest.FixtureRequest) -> CodecModel:
    return made_pairs() if request.param == "pairs" else CodecModel.load(zoo.codec_path(request.param))


@pytest.mark.parametrize("device", DEVICES)
def test_same_bytes_in_both_directions(model: CodecModel, device: str) -> None:
    c, on_torch = Codec(model, threads=1), Codec(model, threads=1, engine="torch", device=device)
    rng = np.random.default_rng(1)
    noise = rng.integers(0, 256, (2, 6, 5, 3), np.uint8)
    sizes = [(1, 1), (1, 9), (7, 2), (5, 6), (8, 1)]
    several = [image[:h, :w] for image, (h, w) in zip(smooth_images(5, 9, 3), sizes, strict=True)]
    for images in (smooth_images(3, 7, 1), noise, several):
        data = c.encode(images)
        assert on_torch.encode(images) == data
        decoded = on_torch.decode(data)
        assert all(np.array_equal(a, b) for a, b in zip(decoded, images, strict=True))


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize(
    ("sides", "levels"),
    [((1, 1), 1), ((5, 9), 1), ((5, 9), 24), ((4, 8), 24), ((34, 2), 9), ((34, 3), 9), ((9, 9), 128)],
)
@pytest.mark.parametrize("recall", [False, True])
def test_waves(model: CodecModel, sides: tuple[int, int], levels: int, recall: bool, device: str) -> None:
    """Rows as lanes, also more of them than lanes; colours that come again."""
    image = np.ascontiguousarray(smooth_images(1, 34, 5)[0, : sides[0], : sides[1]]) // levels * levels
    c, on_torch = Codec(model).wave_coder, Codec(model, engine="torch", device=device).wave_coder
    stream, bits = c.encode_wave(image, recall)
    assert on_torch.encode_wave(image, recall) == (stream, bits)
    for coder in (c, on_torch):
        assert np.array_equal(coder.decode_wave(memoryview(stream), sides, recall), image)
        with pytest.raises(DamagedStreamError):
            coder.decode_wave(memoryview(stream + b"ab"), sides, recall)


def test_a_large_image() -> None:
    model = CodecModel.load(zoo.codec_path("fast"))
    image = smooth_images(1, 130, 5)[0, :33]
    assert model.cut.is_wave(*image.shape[:2]) and not has_few_colours(image)
    poster = image // 16 * 16
    assert has_few_colours(poster)
    data = Codec(model).encode([image, poster])
    assert blob.parse(memoryview(data), model.id, model.cut).directory.kinds == [Kind.CODED, Kind.RECALL]
    on_torch = Codec(model, engine="torch")
    assert on_torch.encode([image, poster]) == data
    for codec in (Codec(model), on_torch):
        assert all(np.array_equal(a, b) for a, b in zip(codec.decode(data), [image, poster], strict=True))


def test_recall_is_worth_it(model: CodecModel) -> None:
    """Colours on a lattice that no network can see."""
    coder, image = Codec(model, threads=1).wave_coder, smooth_images(1, 128, 5)[0] // 8 * 8
    assert len(coder.encode_wave(image, True)[0]) < 0.9 * len(coder.encode_wave(image, False)[0])


def test_damage_of_a_wave_that_remembers(model: CodecModel) -> None:
    coder, image = Codec(model, threads=1).wave_coder, smooth_images(1, 40, 5)[0] // 8 * 8
    stream, _ = coder.encode_wave(image, True)
    rng = np.random.default_rng(0)
    caught = 0
    for _ in range(100):
        bad = bytearray(stream)
        bad[rng.integers(len(bad))] ^= 1 << rng.integers(8)
        try:
            assert not np.array_equal(coder.decode_wave(memoryview(bytes(bad)), image.shape[:2], True), image)
        except DamagedStreamError:
            caught += 1
    assert caught >= 99


def test_groups_parts_and_damage(monkeypatch: pytest.MonkeyPatch) -> None:
    model = CodecModel.load(zoo.codec_path("fast"))
    monkeypatch.setattr("fsar_lab.codec.causal_torch.PIXELS", 50)
    images = smooth_images(35, 4, 2)
    data = Codec(model).encode(images)
    on_torch = Codec(model, threads=2, engine="torch")
    assert on_torch.encode(images) == data
    assert np.array_equal(on_torch.decode(data), images)
    bad = bytearray(data)
    bad[-20] ^= 4
    with pytest.raises(DamagedStreamError) as caught:
        on_torch.decode(bytes(bad))
    assert caught.value.images == (32, 33, 34)


@pytest.mark.parametrize("pixels", [1, 12, 1000])
def test_a_decoder_sees_what_the_encoder_saw(
    model: CodecModel, pixels: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The rows of the decoder's walk hold the intervals of the encoder, however that cuts its work."""
    monkeypatch.setattr("fsar_lab.codec.causal_torch.PIXELS", pixels)
    assert isinstance(model.pixels, CausalNetTables)
    network = Network(model.pixels, "cpu")
    images = smooth_images(2, 6, 4)[:, :, :5].copy()
    starts, ends = network.intervals(images)
    walk = network.walk(images.shape[:3])
    for step in batch_steps(images.shape[:3], network.pixels):
        walk.look(step.places)
        for turn in step.turns:
            for colour, (rows, _) in enumerate(walk.rows(turn.pixel, turn.which)):
                full = np.concatenate([rows.astype(np.int64), np.full((2, 1), 65536)], 1)
                assert (np.diff(full) > 0).all() and (full[:, 0] == 0).all()
                value = images[(*turn.pixels, colour)].astype(np.int64)
                assert np.array_equal(full[[0, 1], value], starts[(*turn.pixels, colour)])
                assert np.array_equal(full[[0, 1], value + 1], ends[(*turn.pixels, colour)])
                walk.take(value.astype(np.uint16))
    assert np.array_equal(walk.images, images)


@pytest.mark.parametrize(("pixels", "size"), [(1, (3, 4, 5)), (2, (3, 4, 6)), (2, (3, 4, 5)), (2, (2, 3, 1))])
def test_every_pixel_has_its_turn(pixels: int, size: tuple[int, int, int]) -> None:
    """Once, in raster order within its row; of waves the right ones of a step only where there are any."""
    for shape, steps in (
        (size, batch_steps(size, pixels)),
        ((1, *size[1:]), wave_steps(size[1:], 2, pixels)),
    ):
        order = np.full(shape, -1)
        turns = [turn for step in steps for turn in step.turns]
        for time, turn in enumerate(turns):
            assert len(turn.lane) > 0 and (np.diff(turn.lane) > 0).all()
            assert (order[turn.pixels] == -1).all()
            order[turn.pixels] = time
        assert (order >= 0).all() and (np.diff(order, axis=2) > 0).all()


@pytest.mark.parametrize(("spatial", "pair"), [(False, False), (True, False), (True, True)])
def test_the_largest_numbers_that_are_allowed(spatial: bool, pair: bool) -> None:
    """Sums near 2^30 would not be exact in float32."""
    tables = CodecModel.load(zoo.codec_path("fast")).pixels
    assert isinstance(tables, CausalNetTables)
    shape = CausalShape(2, 8, 2, 8, spatial, 8, mixtures=6, pair=pair)
    rng = np.random.default_rng(7)
    arrays = {name: tables.arrays[name] for name in ("sigmoid", "exponentials")}
    arrays["inverse"] = np.full_like(tables.arrays["inverse"], 1 << 18)
    for name, (dtype, size) in shape.arrays.items():
        if name in ("first", "weights", "colour", "couple"):
            most = 32639 if name == "first" else np.iinfo(dtype).max
            arrays[name] = rng.integers(-most, most + 1, size).astype(dtype)
        elif name == "bias":
            arrays[name] = rng.integers(-(1 << 29), 1 << 29, size).astype(dtype)
        elif name not in arrays:
            arrays[name] = rng.integers(0, 25, size).astype(dtype)
    model = CodecModel(None, None, CausalNetTables(shape, arrays))
    images = rng.integers(0, 256, (3, 4, 5, 3), np.uint8)
    data = Codec(model).encode(images)
    on_torch = Codec(model, engine="torch")
    assert on_torch.encode(images) == data
    assert np.array_equal(on_torch.decode(data), images)


def test_what_the_entropy_coder_refuses(model: CodecModel) -> None:
    part = model.pixels
    assert isinstance(part, CausalNetTables) and isinstance(part.shape, CausalShape)
    wrong = CausalNetTables(part.shape, {**part.arrays, "bias": np.full_like(part.arrays["bias"], 1 << 30)})
    with pytest.raises(NetworkError):
        CausalNetCoder(wrong, "cpu")


@pytest.mark.parametrize(("engine", "device"), [("c", "cuda"), ("fortran", "cpu")])
def test_no_such_engine(model: CodecModel, engine: str, device: str) -> None:
    with pytest.raises(ValueError, match="engine"):
        Codec(model, engine=engine, device=device)
