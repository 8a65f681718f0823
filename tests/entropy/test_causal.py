"""Causal networks: the documented rule gives the same intervals, on every road and instruction set."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import causal_reference
import entropy_reference as ref
import numpy as np
import pytest
from causal_reference import Reference, random_arrays, random_shape

from fsar_lab import entropy
from fsar_lab.errors import DamagedStreamError, TableError

Conditions = np.ndarray | None
ISAS = ("avx512", "avx2-vnni", "avx2-gather", "avx2", "sse4", "neon", "scalar")


def photographs(rng: np.random.Generator, number: int, height: int, width: int) -> np.ndarray:
    steps = rng.integers(-9, 10, (number, height, width, 3))
    return (128 + np.cumsum(np.cumsum(steps, 1), 2) // 3).astype(np.uint8)


def conditions_of(rng: np.random.Generator, shape: entropy.CausalShape, size: tuple[int, ...]) -> Conditions:
    return rng.integers(0, 256, (*size, shape.conditions)).astype(np.uint8) if shape.conditions else None


def coded(
    model: entropy.CausalModel, images: np.ndarray, threads: int = 1, conditions: Conditions = None
) -> list[bytes]:
    encoder = entropy.Encoder(len(images), threads=threads)
    encoder.push_causal(model, images, conditions)
    return encoder.finish()


def decoded(
    model: entropy.CausalModel,
    streams: list[bytes],
    shape: tuple[int, int, int],
    conditions: Conditions = None,
) -> np.ndarray:
    decoder = entropy.Decoder(streams, shape[0])
    images: np.ndarray = decoder.pop_causal(model, shape, conditions)
    decoder.finish()
    return images


@pytest.mark.parametrize("pair", [False, True])
@pytest.mark.parametrize("seed", range(12))
def test_the_documented_rule(seed: int, pair: bool) -> None:
    rng = np.random.default_rng(seed)
    shape = random_shape(rng, pair)
    arrays = random_arrays(rng, shape)
    model = entropy.CausalModel(shape, arrays)
    size = [(2, 5, 6), (1, 1, 1), (3, 1, 7), (2, 6, 1)][seed % 4]
    images, conditions = photographs(rng, *size), conditions_of(rng, shape, size)
    reference, plain = Reference(shape, arrays), ref.Encoder(len(images))
    each = [None] * len(images) if conditions is None else list(conditions)
    plain.push([list(pairs) for pairs in zip(*map(reference.intervals, images, each), strict=True)], 16)
    streams = coded(model, images, conditions=conditions)
    assert streams == [plain.finish()]
    assert np.array_equal(decoded(model, streams, size, conditions), images)


@pytest.mark.parametrize("lanes", [3, 4, 32])
@pytest.mark.parametrize("sides", [(1, 1), (9, 3), (7, 14), (34, 5), (2, 67)])
@pytest.mark.parametrize("pair", [False, True])
def test_waves(lanes: int, sides: tuple[int, int], pair: bool) -> None:
    """The rows of one image as lanes: the same intervals, in the order of the steps."""
    rng = np.random.default_rng(lanes + sides[0])
    shape = replace(random_shape(rng, pair), conditions=0)
    arrays = random_arrays(rng, shape)
    model = entropy.CausalModel(shape, arrays)
    (image,) = photographs(rng, 1, *sides)
    intervals = np.array(Reference(shape, arrays).intervals(image)).reshape(*sides, 3, 2).tolist()
    rows, columns = range(-shape.radius, 1), range(-shape.reach, shape.reach + 1)
    offsets = [(dy, dx) for dy in rows for dx in columns if (dy, dx) < (0, 0)]
    height, width, pixels = *sides, 2 if pair else 1
    events = [
        (lane, *intervals[row][pixels * place + pixel][colour], 16)
        for step in ref.wave_steps(lanes, height, -(-width // pixels), offsets, all_count=True)
        for pixel in range(pixels)
        for colour in range(3)
        for lane, row, place in step
        if pixels * place + pixel < width
    ]
    mine, theirs = ref.Encoder(lanes), entropy.WaveEncoder(lanes)
    mine.push_events(events)
    theirs.push_causal(model, image)
    bits = sum(16 - np.log2(count) for _, _, count, _ in events)
    assert theirs.information() == pytest.approx(bits, rel=0.01)  # states are integers, and small at first
    assert theirs.finish() == mine.finish()
    decoder = entropy.WaveDecoder(mine.finish(), lanes)
    assert np.array_equal(decoder.pop_causal(model, *sides), image)
    decoder.finish()


@pytest.mark.parametrize(("lanes", "said", "pair"), [(2, 0, False), (2, 0, True), (32, 4, False)])
def test_waves_of_too_few_lanes_or_with_conditions(lanes: int, said: int, pair: bool) -> None:
    rng = np.random.default_rng(1)
    shape = entropy.CausalShape(3, 8, 1, 8, True, 4, 2, said, pair)
    model = entropy.CausalModel(shape, random_arrays(rng, shape))
    with pytest.raises(ValueError, match="lanes too few"):
        entropy.WaveEncoder(lanes).push_causal(model, photographs(rng, 1, 5, 5)[0])


@pytest.mark.parametrize("pair", [False, True])
def test_the_random_networks_are_not_dull(pair: bool) -> None:
    """Activations saturate now and then only, and every component counts."""
    rng = np.random.default_rng(0)
    shape = entropy.CausalShape(2, 12, 2, 8, True, 8, 3, pair=pair)
    arrays = random_arrays(rng, shape)
    own, linear = Reference(shape, arrays).own(photographs(rng, 1, 6, 6)[0])
    hidden = causal_reference.byte(own, arrays["own_shift"])
    assert np.mean((hidden > 0) & (hidden < 255)) > 0.05
    assert np.mean((linear > -2048) & (linear < 6143)) > 0.5


@pytest.mark.parametrize(("said", "pair"), [(0, False), (8, False), (0, True)])
@pytest.mark.parametrize("number", [31, 32, 65])
def test_lanes_are_alone(number: int, said: int, pair: bool) -> None:
    """Images coded together, on two threads and one by one: the same words for each."""
    rng = np.random.default_rng(number)
    shape = entropy.CausalShape(2, 8, 1, 8, True, 4, 2, said, pair)
    model = entropy.CausalModel(shape, random_arrays(rng, shape))
    images, conditions = photographs(rng, number, 4, 5), conditions_of(rng, shape, (number, 4, 5))
    streams = coded(model, images, conditions=conditions)
    assert streams == coded(model, images, 2, conditions)
    each = [None if conditions is None else conditions[i : i + 1] for i in range(number)]
    alone = [coded(model, images[i : i + 1], conditions=each[i])[0] for i in range(number)]
    states = b"".join(one[:4] for one in alone)
    assert states == b"".join(s[: 4 * min(32, number - 32 * g)] for g, s in enumerate(streams))
    assert sum(len(one) for one in alone) == sum(map(len, streams))
    assert np.array_equal(decoded(model, streams, (number, 4, 5), conditions), images)


def test_conditions_count_and_must_fit() -> None:
    rng = np.random.default_rng(5)
    shape = entropy.CausalShape(1, 8, 1, 8, False, 4, 2, 4)
    arrays = random_arrays(rng, shape)
    model = entropy.CausalModel(shape, arrays)
    images, conditions = photographs(rng, 2, 3, 4), conditions_of(rng, shape, (2, 3, 4))
    assert conditions is not None
    other = conditions.copy()
    other[0, 1, 2] ^= 255
    streams = coded(model, images, conditions=conditions)
    assert streams != coded(model, images, conditions=other)
    own, changed = (Reference(shape, arrays).own(images[0], said[0])[0] for said in (conditions, other))
    assert np.argwhere((own != changed).any((2, 3))).tolist() == [[1, 2]]  # 1x1 blocks: that place alone
    for wrong in (None, conditions[..., :3], conditions[:1], conditions.astype(np.int16)):
        with pytest.raises((ValueError, TypeError), match="conditions"):
            coded(model, images, conditions=wrong)
        with pytest.raises((ValueError, TypeError), match="conditions"):
            decoded(model, streams, (2, 3, 4), wrong)
    plain = entropy.CausalShape(1, 8, 1, 8, False, 4, 2)
    with pytest.raises(ValueError, match="conditions"):
        coded(entropy.CausalModel(plain, random_arrays(rng, plain)), images, conditions=conditions)


def digest() -> str:
    """Streams of some networks, for other instruction sets to compare with."""
    import hashlib

    total = hashlib.sha256()
    for seed in range(12):
        rng = np.random.default_rng(100 + seed)
        shape = random_shape(rng, pair=seed % 2 == 1)
        size = 33, 5, 4 + seed % 4 // 2  # of pairs, an even width and an odd one
        model = entropy.CausalModel(shape, random_arrays(rng, shape))
        images, conditions = photographs(rng, *size), conditions_of(rng, shape, size)
        streams = coded(model, images, conditions=conditions)
        assert np.array_equal(decoded(model, streams, size, conditions), images)
        total.update(b"".join(streams))
        if conditions is None:
            image = images.reshape(-1, size[2], 3)
            for recall, pixels in ((False, image), (True, image // 16 * 16)):  # and a few colours, remembered
                wave = entropy.WaveEncoder()
                wave.push_causal(model, pixels, recall)
                total.update(wave.finish())
    return total.hexdigest()


@pytest.mark.parametrize("isa", ISAS)
def test_instruction_sets(isa: str) -> None:
    program = "import test_causal as t; from fsar_lab import entropy; print(entropy.isa(), t.digest())"
    found = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "EC_ISA": isa},
        cwd=Path(__file__).parent,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    if found[0] != isa:
        pytest.skip(f"this processor has no {isa}")
    assert found[1] == digest()


@pytest.mark.parametrize("pair", [False, True])
def test_damage(pair: bool) -> None:
    rng = np.random.default_rng(1)
    shape = entropy.CausalShape(2, 8, 1, 8, True, 4, 2, pair=pair)
    model = entropy.CausalModel(shape, random_arrays(rng, shape))
    images = photographs(rng, 33, 5, 5)
    streams = coded(model, images)
    caught = 0
    for _ in range(200):
        bad = bytearray(streams[0])
        bad[rng.integers(len(bad))] ^= 1 << rng.integers(8)
        try:
            assert decoded(model, [bytes(bad), streams[1]], images.shape[:3]).shape == images.shape
        except DamagedStreamError:
            caught += 1
    assert caught >= 198
    with pytest.raises(DamagedStreamError):
        decoded(model, [streams[0][:-2], streams[1]], images.shape[:3])


@pytest.mark.parametrize(
    ("name", "at", "value"),
    [
        ("bias", 0, 1 << 30),
        ("shift", 0, 25),
        ("stream_shift", (0, 0), 25),
        ("own_shift", (-1, 3), 25),
        ("first", (0, 0), 32767),
        ("bias", 6, -(1 << 31)),
        ("bias", -1, 1 << 30),
        ("inverse", 5, 0),
        ("inverse", 5, (1 << 18) + 1),
        ("sigmoid", 700, 0),
        ("sigmoid", 768, 65281),
        ("exponentials", 0, 32767),
        ("exponentials", 3, 32769),
    ],
)
@pytest.mark.parametrize("pair", [False, True])
def test_what_may_overflow_is_refused(name: str, at: object, value: int, pair: bool) -> None:
    rng = np.random.default_rng(2)
    shape = entropy.CausalShape(1, 4, 1, 4, False, 4, 1, pair=pair)
    arrays = random_arrays(rng, shape)
    entropy.CausalModel(shape, arrays)
    arrays[name][at] = value
    with pytest.raises(TableError):
        entropy.CausalModel(shape, arrays)


@pytest.mark.parametrize("pair", [False, True])
def test_the_largest_numbers_that_are_allowed(pair: bool) -> None:
    """Every weight at its limit: sums and the decoder's products stay within their bounds."""
    shape = entropy.CausalShape(7, 8, 2, 8, True, 8, 6, pair=pair)
    rng = np.random.default_rng(3)
    arrays = random_arrays(rng, shape)
    for name in ("weights", "colour", "couple", "first"):
        limits = np.iinfo(arrays[name].dtype)
        largest = 7800 if pair else 8000  # of the first matrix, with a window of 134 pixels or of 112
        ends = (-largest, largest) if name == "first" else (limits.min, limits.max)
        arrays[name] = rng.choice(ends, arrays[name].shape).astype(arrays[name].dtype)
    arrays["shift"][:] = 0
    arrays["inverse"][:] = 1 << 18
    reference, images = Reference(shape, arrays), rng.integers(0, 256, (2, 3, 4, 3)).astype(np.uint8)
    model = entropy.CausalModel(shape, arrays)
    plain = ref.Encoder(len(images))
    plain.push([list(pairs) for pairs in zip(*map(reference.intervals, images), strict=True)], 16)
    streams = coded(model, images)
    assert streams == [plain.finish()]
    assert np.array_equal(decoded(model, streams, (2, 3, 4)), images)


@pytest.mark.parametrize(
    "sizes",
    [
        (0, 4, 1, 4, False, 4, 1),
        (8, 4, 1, 4, False, 4, 1),
        (1, 6, 1, 4, False, 4, 1),
        (1, 260, 1, 4, False, 4, 1),
        (1, 4, 9, 4, False, 4, 1),
        (1, 4, 1, 5, False, 4, 1),
        (1, 4, 1, 4, False, 68, 1),
        (1, 4, 1, 4, False, 4, 0),
        (1, 4, 1, 4, False, 4, 7),
        (1, 4, 1, 4, False, 4, 1, 6),
        (1, 4, 1, 4, False, 4, 1, 68),
        (1, 4, 1, 4, False, 4, 1, 4, True),  # pairs have no conditions
        (8, 4, 1, 4, False, 4, 1, 0, True),
    ],
)
def test_shapes_out_of_range(sizes: Any) -> None:
    shape = entropy.CausalShape(*sizes)
    with pytest.raises(ValueError):
        entropy.CausalModel(shape, random_arrays(np.random.default_rng(0), shape))
