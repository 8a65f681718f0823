"""Contexts: the documented rule in plain Python gives the same tables and symbols, on every road."""

from __future__ import annotations

import entropy_reference as ref
import numpy as np
import pytest

from fsar_lab import entropy
from fsar_lab.errors import DamagedStreamError, TableError

STATES = 5
AROUND = [(0, -1), (-1, 0), (-1, -1), (-1, 1)]  # row, column
TAPS = [(0, *at) for at in AROUND] + [(-back, *at) for back in (1, 2) for at in [(0, 0), *AROUND]]
WIDE = [*AROUND, (0, -2), (-2, 0), (-2, 1), (-1, -2), (-1, 2), (-2, -1)]


def arguments(seed: int = 0, large: bool = False) -> dict[str, np.ndarray]:
    """Random predictors, many of which leave 0..255; or the largest numbers that are allowed."""
    rng = np.random.default_rng(seed)
    shape, place = (3, 6, 14), (3, 6)
    if large:
        sign = rng.choice([-1, 1], place)
        weights = np.where(rng.random(shape) < 0.5, 32767, -32768).astype(np.int16)
        limits = (sign << 30).astype(np.int32)
        steps = np.sort(rng.integers(-(2**31), 2**31, (3, STATES - 1)), 1).astype(np.int32)
        return {
            "weights": weights,
            "energy": weights[::-1].copy(),
            "bias": limits,
            "base": -limits,
            "thresholds": steps,
        }
    return {
        "weights": rng.integers(-900, 1500, shape).astype(np.int16),
        "energy": rng.integers(-100, 1000, shape).astype(np.int16),
        "bias": rng.integers(-60000, 60000, place).astype(np.int32),
        "base": rng.integers(-6000, 6000, place).astype(np.int32),
        "thresholds": rng.integers(0, 400000, (3, STATES - 1)).astype(np.int32),  # in no order
    }


def textured_arguments(large: bool = False) -> dict[str, np.ndarray]:
    """The same with textures."""
    rng, a = np.random.default_rng(5), arguments(large=large)
    sizes = {"weights": (3, 2, 16, 32), "energy": (3, 2, 16, 17), "bias": (3, 2, 16), "base": (3, 2, 16)}
    drawn = {name: rng.choice(a[name].reshape(-1), size) for name, size in sizes.items()}
    if large:
        bounds = (-(2**15), 2**15, (3, 3))
        return a | drawn | {"levels": _int16(rng, *bounds), "slopes": _int16(rng, *bounds)}
    return a | drawn | {"levels": _int16(rng, 0, 200, (3, 3)), "slopes": _int16(rng, -50, 50, (3, 3))}


def _int16(rng: np.random.Generator, low: int, high: int, shape: tuple[int, ...]) -> np.ndarray:
    return rng.integers(low, high, shape).astype(np.int16)


def tables(seed: int = 1) -> entropy.Tables:
    counts = ref.random_counts(np.random.default_rng(seed), 3 * STATES, 256, 14)
    return entropy.Tables(np.maximum(counts, 0).astype(np.uint32), 14)


def photographs(number: int, height: int, width: int) -> np.ndarray:
    rng = np.random.default_rng(height)
    steps = rng.integers(-9, 10, (number, height, width, 3))
    return (128 + np.cumsum(np.cumsum(steps, 1), 2) // 3).astype(np.uint8)


def reference(image: np.ndarray, a: dict[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Symbols and tables [H, W, 3] of one image, sample after sample in Python's integers."""
    height, width, _ = image.shape
    errors: dict[tuple[int, int, int], int] = {}
    symbols, index = np.empty(image.shape, np.uint8), np.empty(image.shape, np.uint16)
    for y in range(height):
        for x in range(width):
            place = 3 * (y > 0) + (0 if x == 0 else 2 if x == width - 1 else 1)
            for c in range(3):
                p, activity = int(a["bias"][c, place]), int(a["base"][c, place])
                for t, (dc, dy, dx) in enumerate(TAPS[: (4, 9, 14)[c]]):
                    if y + dy >= 0 and 0 <= x + dx < width:
                        p += int(a["weights"][c, place, t]) * int(image[y + dy, x + dx, c + dc])
                        activity += int(a["energy"][c, place, t]) * abs(errors[y + dy, x + dx, c + dc])
                p = min(max((p + 2048) >> 12, 0), 255)
                errors[y, x, c] = int(image[y, x, c]) - p
                symbols[y, x, c] = errors[y, x, c] % 256
                index[y, x, c] = c * STATES + sum(int(t) <= activity for t in a["thresholds"][c])
    return symbols, index


def textured_reference(image: np.ndarray, a: dict[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """The same with textures."""
    height, width, _ = image.shape
    errors, symbols, index = (np.empty(image.shape, np.int64) for _ in range(3))

    def seen(plane: np.ndarray, outside: int, row: int, y: int, x: int, c: int) -> int:
        if row == 1 and y < 0:
            y += 1
        if x < 0:
            x, y = 0, y - 1
        return outside if y < 0 else int(plane[y, min(x, width - 1), c])

    def around(plane: np.ndarray, outside: int, taps: tuple[int, int], y: int, x: int, c: int) -> list[int]:
        offsets = [(0, *at) for at in WIDE[: taps[0]]]
        offsets += [(b, *at) for b in range(1, c + 1) for at in [(0, 0), *WIDE[: taps[1]]]]
        return [seen(plane, outside, y, y + dy, x + dx, c - b) for b, dy, dx in offsets]

    for y in range(height):
        for x in range(width):
            for c in range(3):
                v, e = around(image, 128, (10, 10), y, x, c), around(errors, 24, (7, 4), y, x, c)
                place = int(y > 0)
                across = abs(v[0] - v[4]) + abs(v[1] - v[2]) + abs(v[3] - v[1])
                down = abs(v[0] - v[2]) + abs(v[1] - v[5]) + abs(v[3] - v[6])
                if c > 0:
                    across += 2 * abs(v[10] - v[11])
                    down += 2 * abs(v[10] - v[12])
                total, lean = across + down, 64 * (down - across)
                k = 4 * sum(int(level) <= total for level in a["levels"][c])
                k += sum(int(slope) * (total + 8) <= lean for slope in a["slopes"][c])
                value, activity = int(a["bias"][c, place, k]) + 2048, int(a["base"][c, place, k])
                value += sum(int(w) * s for w, s in zip(a["weights"][c, place, k], v))
                activity += sum(int(w) * abs(s) for w, s in zip(a["energy"][c, place, k], e))
                error = int(image[y, x, c]) - min(max(value >> 12, 0), 255)
                errors[y, x, c] = abs(error)
                symbols[y, x, c] = (error if value >> 11 & 1 else -error) % 256
                index[y, x, c] = c * STATES + sum(int(t) <= activity for t in a["thresholds"][c])
    return symbols.astype(np.uint8), index.astype(np.uint16)


@pytest.mark.parametrize("shape", [(1, 5, 7), (3, 1, 1), (2, 4, 1), (2, 1, 9), (40, 6, 5), (70, 2, 3)])
@pytest.mark.parametrize("large", [False, True])
@pytest.mark.parametrize("textured", [False, True])
def test_the_documented_rule(shape: tuple[int, int, int], large: bool, textured: bool) -> None:
    a = textured_arguments(large) if textured else arguments(large=large)
    images, t = photographs(*shape), tables()
    model = entropy.ContextModel(t, **a)
    encoder = entropy.Encoder(shape[0])
    encoder.push_context(model, images)
    streams = encoder.finish()

    pairs = [(textured_reference if textured else reference)(image, a) for image in images]
    symbols, index = (np.stack([pair[i].reshape(-1) for pair in pairs]) for i in range(2))
    plain = entropy.Encoder(shape[0])
    plain.push_indexed(t, symbols, index)
    assert streams == plain.finish()

    decoder = entropy.Decoder(streams, shape[0])
    assert np.array_equal(decoder.pop_context(model, shape), images)
    decoder.finish()


@pytest.mark.parametrize("layout", ["tree", "buckets", "splits"])
@pytest.mark.parametrize("textured", [False, True])
def test_layouts_and_groups_side_by_side(layout: entropy.tables.Layout, textured: bool) -> None:
    counts = ref.random_counts(np.random.default_rng(3), 3 * STATES, 256, 16)
    a = textured_arguments() if textured else arguments(4)
    model = entropy.ContextModel(entropy.Tables(counts, 16, layout), **a)
    images = photographs(100, 7, 8)
    encoder = entropy.Encoder(100, threads=2)
    encoder.push_context(model, images)
    decoder = entropy.Decoder(encoder.finish(), 100, threads=2)
    assert np.array_equal(decoder.pop_context(model, (100, 7, 8)), images)
    decoder.finish()


def test_damage() -> None:
    model, images = entropy.ContextModel(tables(), **arguments()), photographs(33, 5, 5)
    encoder = entropy.Encoder(33)
    encoder.push_context(model, images)
    streams = encoder.finish()
    rng = np.random.default_rng(0)
    caught = 0
    for _ in range(200):
        bad = bytearray(streams[0])
        bad[rng.integers(len(bad))] ^= 1 << rng.integers(8)
        try:
            decoder = entropy.Decoder([bytes(bad), streams[1]], 33)
            assert decoder.pop_context(model, (33, 5, 5)).shape == images.shape
            decoder.finish()
        except DamagedStreamError:
            caught += 1
    assert caught > 190
    for cut in range(0, len(streams[0]), 7):
        with pytest.raises(DamagedStreamError):
            decoder = entropy.Decoder([streams[0][:cut], streams[1]], 33)
            decoder.pop_context(model, (33, 5, 5))
            decoder.finish()


def test_nothing_to_code() -> None:
    model = entropy.ContextModel(tables(), **arguments())
    encoder = entropy.Encoder(2)
    encoder.push_context(model, np.zeros((2, 0, 4, 3), np.uint8))
    decoder = entropy.Decoder(encoder.finish(), 2)
    assert decoder.pop_context(model, (2, 4, 0)).shape == (2, 4, 0, 3)
    decoder.finish()


def test_refusals() -> None:
    a, good = arguments(), tables()
    limit = np.zeros((3, 6), np.int32)
    for value in (2**30 + 1, -(2**30) - 1):
        for name in ("bias", "base"):
            limit[2, 5] = value
            with pytest.raises(TableError):
                entropy.ContextModel(good, **(a | {name: limit}))
    with pytest.raises(TableError):
        entropy.ContextModel(good, **(a | {"thresholds": np.zeros((3, STATES), np.int32)}))
    with pytest.raises(ValueError, match="states"):
        entropy.ContextModel(good, **(a | {"thresholds": np.zeros((3, 64), np.int32)}))
    with pytest.raises(ValueError, match="shape"):
        entropy.ContextModel(good, **(a | {"weights": a["weights"][:2]}))
    with pytest.raises(TypeError):
        entropy.ContextModel(good, **(a | {"bias": a["bias"].astype(np.int64)}))
    textured = textured_arguments()
    for name in ("levels", "slopes"):
        with pytest.raises((TypeError, ValueError)):
            entropy.ContextModel(good, **(textured | {name: None}))
        with pytest.raises(ValueError, match="shape"):
            entropy.ContextModel(good, **(textured | {name: textured[name][:2].copy()}))
    with pytest.raises(ValueError, match="shape"):
        entropy.ContextModel(good, **(textured | {"energy": textured["weights"]}))
    with pytest.raises(TableError):
        entropy.ContextModel(good, **(textured | {"base": np.full((3, 2, 16), 2**30 + 1, np.int32)}))
    model = entropy.ContextModel(good, **a)
    with pytest.raises(ValueError, match="must be"):
        entropy.Decoder(entropy.Encoder(2).finish(), 2).pop_context(model, (3, 4, 4))
    with pytest.raises(ValueError):
        entropy.Encoder(2).push_context(model, np.zeros((2, 4, 4, 4), np.uint8))
