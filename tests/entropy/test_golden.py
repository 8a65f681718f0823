"""The pinned streams of entropy_c/tests/golden, from the formulas of test_golden.c there, in Python.

If one of them changes, every file written so far becomes unreadable.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import entropy_reference as ref
import numpy as np
import pytest

from fsar_lab import entropy

GOLDEN = Path(__file__).parents[2] / "entropy_c" / "tests" / "golden"


def made(series: int, index: Any) -> Any:
    """The same 32 bits everywhere for a pair of small numbers; `index` may be an array."""
    x = (
        np.uint64(series * 0x9E3779B1 & 0xFFFFFFFF) + np.asarray(index, np.uint64) * np.uint64(0x85EBCA77)
    ) & np.uint64(0xFFFFFFFF)
    for shift, factor in ((15, 0x2C1B3C6D), (12, 0x297A2D39)):
        x = ((x ^ (x >> np.uint64(shift))) * np.uint64(factor)) & np.uint64(0xFFFFFFFF)
    return x ^ (x >> np.uint64(15))


def made_tables(tables: int, symbols: int, bits: int, escape: bool = False) -> entropy.Tables:
    alphabet = symbols + escape
    counts = np.ones((tables, alphabet), np.uint32)
    for table, row in enumerate(counts):
        if escape:
            row[:] = made(table, np.arange(alphabet)) % np.uint64(3) == 0
            row[[0, -1]] = 1
        left, i = (1 << bits) - int(row.sum()), 0
        while left > 0:
            k, more = int(made(table, 1000 + i)) % alphabet, left // 2 + 1
            if row[k] > 0:
                row[k] += more
                left -= more
            i += 1
    return entropy.Tables(counts, bits, escape=escape)


def series(number: int, shape: tuple[int, ...], limit: int) -> Any:
    return (made(number, np.arange(np.prod(shape))) % np.uint64(limit)).reshape(shape)


def indexed(lanes: int, symbols: int, bits: int, tables: int, escape: bool = False) -> list[bytes]:
    model = made_tables(tables, symbols, bits, escape)
    index = series(8, (lanes, 40), tables).astype(np.uint8) if tables > 1 else None
    data = series(7, (lanes, 40), symbols).astype(np.uint16)
    encoder = entropy.Encoder(lanes)
    encoder.push_indexed(model, data, index)
    decoder = entropy.Decoder(encoder.finish(), lanes)
    assert np.array_equal(decoder.pop_indexed(model, 40 if index is None else index), data)
    decoder.finish()
    return encoder.finish()


def fsar_model(order: int, with_map: bool) -> entropy.FSARModel:
    offsets = [(0, -1, 0), (0, 0, -1), (-1, 0, 1), (0, -2, 1)][:order]
    if not with_map:
        return entropy.FSARModel(made_tables(2 * 20**order, 19, 12), offsets, 2, 19)
    class_counts = [2 + i for i in range(order)]
    numbers = made(9, np.arange(2 * order * 20)).reshape(2, order, 20)
    classes = numbers % np.array(class_counts, np.uint64)[None, :, None]
    return entropy.FSARModel(
        made_tables(6, 19, 12),
        offsets,
        2,
        19,
        classes=classes.astype(np.uint16),
        class_counts=class_counts,
        context_map=series(10, (2, int(np.prod(class_counts))), 6).astype(np.uint32),
    )


def fsar(lanes: int, order: int, with_map: bool = True) -> list[bytes]:
    model = fsar_model(order, with_map)
    data = series(7, (lanes, 2, 5, 6), 19).astype(np.uint16)
    encoder = entropy.Encoder(lanes)
    encoder.push_fsar(model, data)
    decoder = entropy.Decoder(encoder.finish(), lanes)
    assert np.array_equal(decoder.pop_fsar(model, data.shape), data)
    decoder.finish()
    return encoder.finish()


def pixel_model() -> entropy.PixelModel:
    t = np.arange(-1022, 1023)
    cdf = np.stack([np.clip((t + reach) * 65280 // (2 * reach), 0, 65280) for reach in (8, 64, 512)])
    taps = [
        [(0, -1, -1), (0, -1, 1), (0, 0, -1)],
        [(-1, 0, 0), (-1, 0, -1), (0, 0, -1)],
        [(-2, 0, 0), (-1, -2, 0), (0, 0, -1)],
    ]
    weights = [[-131072, 131072, 131072], [262144, -262144, 262144], [262144, -100000, 77777]]
    lut = (4 * np.arange(4096) - 8192).astype(np.int16)
    return entropy.PixelModel(cdf.astype(np.uint16), lut, taps, weights, [300 << 16, -7, 99])


def pixel_data(images: int, height: int) -> tuple[Any, Any, Any]:
    shape = (images, 3, height, 5)
    logits = (series(11, shape, 3000).astype(np.int64) - 300).astype(np.int16)
    samples = series(7, (images, height, 5, 3), 256).astype(np.uint8)
    return samples, logits, series(12, shape, 3).astype(np.uint8)


def pixels(lanes: int) -> list[bytes]:
    model = pixel_model()
    data, logits, scales = pixel_data(lanes, 4)
    encoder = entropy.Encoder(lanes)
    encoder.push_pixels(model, data, logits, scales)
    decoder = entropy.Decoder(encoder.finish(), lanes)
    assert np.array_equal(decoder.pop_pixels(model, logits, scales), data)
    decoder.finish()
    return encoder.finish()


def fsar_wave() -> list[bytes]:
    model = fsar_model(4, with_map=True)
    data = series(7, (2, 13, 6), 19).astype(np.uint16)
    encoder = entropy.WaveEncoder(4)
    encoder.push_fsar(model, data)
    decoder = entropy.WaveDecoder(encoder.finish(), 4)
    assert np.array_equal(decoder.pop_fsar(model, 13, 6), data)
    decoder.finish()
    return [encoder.finish()]


def pixels_wave() -> list[bytes]:
    model = pixel_model()
    data, logits, scales = (array[0] for array in pixel_data(1, 13))
    encoder = entropy.WaveEncoder(3)
    encoder.push_pixels(model, data, logits, scales)
    decoder = entropy.WaveDecoder(encoder.finish(), 3)
    assert np.array_equal(decoder.pop_pixels(model, logits, scales), data)
    decoder.finish()
    return [encoder.finish()]


STREAMS: dict[str, Callable[[], list[bytes]]] = {
    "static": lambda: indexed(3, 40, 12, 1),
    "indexed": lambda: indexed(32, 20, 14, 9),
    "deep": lambda: indexed(2, 5000, 16, 2),
    "escapes": lambda: indexed(7, 300, 16, 3, escape=True),
    "fsar-1": lambda: fsar(5, 1),
    "fsar-2": lambda: fsar(32, 2),
    "fsar-3": lambda: fsar(9, 3),
    "fsar-4": lambda: fsar(1, 4),
    "fsar-2-plain": lambda: fsar(10, 2, with_map=False),
    "pixels": lambda: pixels(6),
    "fsar-wave": fsar_wave,
    "pixels-wave": pixels_wave,
}


@pytest.mark.parametrize("name", STREAMS)
def test_golden_stream(name):
    assert STREAMS[name]() == [(GOLDEN / f"{name}.bin").read_bytes()]


def test_every_file_has_its_formula():
    assert {path.stem for path in GOLDEN.iterdir()} == set(STREAMS)


@pytest.mark.parametrize(
    "isa", ["scalar", "sse4", "avx2", "avx2-vnni", "avx2-gather", "avx512", "neon", "nonsense"]
)
def test_every_instruction_set_writes_the_same_bytes(isa):
    """In a process of its own; a name that the processor lacks means the best one that it has."""
    code = (
        "import sys; sys.path.insert(0, sys.argv[1]); import test_golden as golden\n"
        "for name in golden.STREAMS: golden.test_golden_stream(name)\n"
        "print(golden.entropy.isa(), golden.made_tables(1, 5, 9).isa)"
    )
    run = subprocess.run(
        [sys.executable, "-c", code, str(Path(__file__).parent)],
        env=os.environ | {"EC_ISA": isa},
        cwd=Path(ref.__file__).parents[2],
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    first, second = run.stdout.split()
    assert first == second
    assert first in ("scalar", "sse4", "avx2", "avx2-vnni", "avx2-gather", "avx512", "neon")
    if isa == "scalar":
        assert first == "scalar"
