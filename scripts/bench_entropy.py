"""Speed of the entropy coder alone: one thread, fixed seeds, median of repeats, warm-up excluded.

    python scripts/bench_entropy.py [--repeats 7] [--json FILE]

MB/s are 10^6 symbols of at most one byte per second of CPU time, Python calls included, building the
tables excluded. "excess" compares the information coded (words and states) with the cross-entropy of the
same symbols under the float distributions before they were made integer: the loss of tables and coder.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fsar_lab import entropy
from fsar_lab.entropy.pixels import FINE_STEPS, LOGIT_LEVELS
from fsar_lab.entropy.tables import Layout
from fsar_lab.tables.normalise import normalise

Array = NDArray[Any]


@dataclass
class Row:
    """One line of the table; MBps are millions of symbols per second."""

    workload: str
    bits: int
    layout: str
    MBps_encode: float
    MBps_decode: float
    bits_per_symbol: float
    excess_percent: float
    expanded_MB: float


def seconds(call: Callable[[], object], repeats: int) -> float:
    """Median CPU time of `call` after one warm-up."""
    call()
    times = []
    for _ in range(repeats):
        start = time.thread_time()
        call()
        times.append(time.thread_time() - start)
    return statistics.median(times)


def measure(
    workload: str,
    bits: int,
    layout: str,
    symbols: int,
    ideal_bits: float,
    expanded: int,
    encode: Callable[[], entropy.Encoder],
    decode: Callable[[list[bytes]], None],
    repeats: int,
) -> Row:
    """Times both directions; `decode` also compares what it decoded."""
    encoder = encode()
    groups = encoder.finish()
    decode(groups)
    encode_time = seconds(lambda: encode().finish(), repeats)
    decode_time = seconds(lambda: decode(groups), repeats)
    coded = encoder.information()
    return Row(
        workload,
        bits,
        layout,
        symbols / encode_time / 1e6,
        symbols / decode_time / 1e6,
        coded / symbols,
        100 * (coded / ideal_bits - 1),
        expanded / 1e6,
    )


def random_tables(rng: np.random.Generator, tables: int, symbols: int, spread: float) -> NDArray[np.float32]:
    """Softmax of Gaussian logits, float32 [tables, symbols]; `spread` sets the entropy."""
    p = np.exp(rng.normal(0, spread, (tables, symbols)).astype(np.float32))
    p /= p.sum(1, keepdims=True)
    return p


def draw(rng: np.random.Generator, cumulative: Array, ids: Array) -> Array:
    """One symbol from each of the distributions `ids`."""
    u = rng.random((len(ids), 1), np.float32) * cumulative[ids, -1:] * np.float32(1 - 1e-6)
    drawn: Array = (cumulative[ids] <= u).sum(1)
    return drawn


def fsar_source(
    rng: np.random.Generator, images: int, groups: int, side: int, symbols: int, spread: float
) -> tuple[NDArray[np.float32], Array]:
    """Random order-2 distributions (above, left) and latents drawn from them, uint16 [N, G, h, w]."""
    radix = symbols + 1
    p = random_tables(rng, groups * radix**2, symbols, spread)
    cumulative = np.cumsum(p, axis=1)
    indices = np.zeros((images, groups, side, side), np.uint16)
    for g in range(groups):
        for r in range(side):
            for c in range(side):
                above = indices[:, g, r - 1, c].astype(np.int64) + 1 if r else np.zeros(images, np.int64)
                left = indices[:, g, r, c - 1].astype(np.int64) + 1 if c else np.zeros(images, np.int64)
                indices[:, g, r, c] = draw(rng, cumulative, (g * radix + above) * radix + left)
    return p, indices


def fsar(
    name: str, images: int, groups: int, symbols: int, spread: float, bits: int, layout: Layout, repeats: int
) -> Row:
    """FSAR of order 2 on 16x16 latents."""
    rng = np.random.default_rng(1)
    p, indices = fsar_source(rng, images, groups, 16, symbols, spread)
    tables = entropy.Tables(normalise(p, bits), bits, layout)
    model = entropy.FSARModel(tables, [(0, -1, 0), (0, 0, -1)], groups, symbols)
    ideal = float(-np.log2(p[model.table_ids(indices), indices].astype(np.float64)).sum())

    def encode() -> entropy.Encoder:
        encoder = entropy.Encoder(images)
        encoder.push_fsar(model, indices)
        return encoder

    def decode(streams: list[bytes]) -> None:
        decoder = entropy.Decoder(streams, images)
        assert np.array_equal(decoder.pop_fsar(model, indices.shape), indices)
        decoder.finish()

    return measure(
        name, bits, tables.layout, indices.size, ideal, model.expanded_nbytes, encode, decode, repeats
    )


def indexed(
    name: str, number: int, symbols: int, spread: float, bits: int, layout: Layout, repeats: int
) -> Row:
    """One of `number` distributions per symbol, chosen at random."""
    rng = np.random.default_rng(2)
    images, positions = 256, 4096
    p = random_tables(rng, number, symbols, spread)
    index = rng.integers(0, number, (images, positions)).astype(np.uint32)
    cumulative = np.cumsum(p, axis=1)
    values = np.stack([draw(rng, cumulative, ids) for ids in index]).astype(np.uint16)
    tables = entropy.Tables(normalise(p, bits), bits, layout)
    ideal = float(-np.log2(p[index, values].astype(np.float64)).sum())

    def encode() -> entropy.Encoder:
        encoder = entropy.Encoder(images)
        encoder.push_indexed(tables, values, index)
        return encoder

    def decode(streams: list[bytes]) -> None:
        decoder = entropy.Decoder(streams, images)
        assert np.array_equal(decoder.pop_indexed(tables, index), values)
        decoder.finish()

    return measure(
        name, bits, tables.layout, values.size, ideal, tables.expanded_nbytes, encode, decode, repeats
    )


def gaussian_cdf(x: Array) -> Array:
    """Phi, element by element."""
    flat = [0.5 * math.erfc(-v * math.sqrt(0.5)) for v in x.ravel().tolist()]
    return np.asarray(flat).reshape(x.shape)


def ar_images(
    rng: np.random.Generator, model: entropy.PixelModel, logits: Array, lut: Array, sigma: Array
) -> Array:
    """Images drawn sample by sample from the model, uint8 [N, H, W, C]; sigma [N, C, H, W] in grey levels."""
    number, colours, height, width = logits.shape
    padded = np.zeros(
        (number, height + 1, width + 1, colours), np.int64
    )  # taps reach one row and column back
    for r in range(height):
        for c in range(width):
            for k in range(colours):
                total = lut[logits[:, k, r, c] + 2048].astype(np.int64) * 4096 + model.bias[k] + 32768
                for (dk, dr, dc), weight in zip(model.taps[k], model.weights[k], strict=True):
                    total += weight * padded[:, r + 1 + dr, c + 1 + dc, k + dk]
                mean = np.clip(total >> 16, 0, 1020) / 4
                value = np.clip(np.rint(rng.normal(mean, sigma[:, k, r, c])), 0, 255)
                padded[:, r + 1, c + 1, k] = value.astype(np.int64)
    return np.ascontiguousarray(padded[:, 1:, 1:], np.uint8)


def pixels(name: str, repeats: int, taps: bool) -> Row:
    """32x32 RGB images drawn from the model itself: 64 scales, sigma 1.2 to 20 grey levels."""
    rng = np.random.default_rng(3)
    images, side, scales = 128, 32, 64
    sigma = 255 * np.exp(np.linspace(-7, 0, scales))  # grey levels
    t = np.arange(FINE_STEPS) - 1022
    cdf = np.rint(gaussian_cdf(t / 4 / sigma[:, None]) * (65536 - 256)).astype(np.uint16)
    lut = (8 * (np.arange(LOGIT_LEVELS) - 2048)).astype(np.int16)  # half a fine step a logit
    one = 4 << 16
    red = [(0, -1, -1), (0, -1, 0), (0, 0, -1)]
    other = [(-1, 0, 0), (-1, 0, -1), (0, 0, -1)]
    if taps:
        weights = [[-3 * one // 10, 6 * one // 10, 6 * one // 10]] + [
            [8 * one // 10, -7 * one // 10, 8 * one // 10]
        ] * 2
        model = entropy.PixelModel(cdf, lut, [red, other, other], weights, [12 * one] * 3)
    else:
        model = entropy.PixelModel(cdf, lut, [[], [], []], [[], [], []], [128 * one] * 3)
    width = rng.integers(15, 41, (images, 3, side, side)).astype(np.uint8)
    logits = np.rint(rng.normal(0, 30, width.shape)).astype(np.int16)
    data = ar_images(rng, model, logits, lut, sigma[width])

    mean = model.mean_index(data, logits).astype(np.float64)
    value, spread = np.moveaxis(data, 3, 1).astype(np.float64), sigma[width]
    upper = np.where(value == 255, 1.0, gaussian_cdf((value + 0.5 - mean / 4) / spread))
    lower = np.where(value == 0, 0.0, gaussian_cdf((value - 0.5 - mean / 4) / spread))
    ideal = float(-np.log2(upper - lower).sum())

    def encode() -> entropy.Encoder:
        encoder = entropy.Encoder(images)
        encoder.push_pixels(model, data, logits, width)
        return encoder

    def decode(streams: list[bytes]) -> None:
        decoder = entropy.Decoder(streams, images)
        assert np.array_equal(decoder.pop_pixels(model, logits, width), data)
        decoder.finish()

    return measure(name, 16, "inverse", data.size, ideal, model.expanded_nbytes, encode, decode, repeats)


def run(repeats: int = 7) -> list[Row]:
    """All workloads."""
    rows = []
    layouts: tuple[Layout, ...] = ("fused", "bucketed")
    for layout in layouts:
        rows.append(fsar("fsar_o2_k32", 2048, 1, 32, 1.6, 12, layout, repeats))
        rows.append(fsar("fsar_o2_k32 10 bits", 2048, 1, 32, 1.6, 10, layout, repeats))
        rows.append(indexed("indexed1024", 1024, 256, 2.5, 12, layout, repeats))
        rows.append(indexed("indexed64", 64, 256, 2.5, 12, layout, repeats))
        rows.append(indexed("static", 1, 256, 2.2, 12, layout, repeats))
    rows.append(fsar("fsar_o2_k32 one image", 1, 1, 32, 1.6, 12, "auto", repeats))
    rows.append(fsar("fsar_o2_k256 2 groups", 2048, 2, 256, 2.5, 14, "auto", repeats))
    rows.append(pixels("pixels, 3-tap AR", repeats, taps=True))
    rows.append(pixels("pixels, no taps", repeats, taps=False))
    return rows


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--repeats", type=int, default=7, help="timed repeats, median taken (default 7)")
    parser.add_argument("--json", type=Path, help="also write the rows to this file")
    arguments = parser.parse_args()
    rows = run(arguments.repeats)
    print(f"{'workload':<24} {'bits':>4} {'layout':<9} {'enc MB/s':>9} {'dec MB/s':>9}", end=" ")
    print(f"{'b/sym':>7} {'excess %':>9} {'MB':>7}")
    for row in rows:
        print(
            f"{row.workload:<24} {row.bits:>4} {row.layout:<9} {row.MBps_encode:>9.1f} "
            f"{row.MBps_decode:>9.1f} {row.bits_per_symbol:>7.3f} {row.excess_percent:>9.3f} "
            f"{row.expanded_MB:>7.1f}"
        )
    if arguments.json is not None:
        arguments.json.parent.mkdir(parents=True, exist_ok=True)
        arguments.json.write_text(json.dumps([asdict(row) for row in rows], indent=1))


if __name__ == "__main__":
    main()
