"""Makes the pinned model and blobs of this folder: `python tests/golden/make_golden.py`.

All weights and pixels follow from formulas, so that the test can make the pixels anew. Run it only when what
is written has changed on purpose. The blobs in `earlier/` were written before there were stored groups and
waves, or before contexts had textures, and stay readable.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fsar_lab import zoo
from fsar_lab.codec.codec import Codec
from fsar_lab.codec.integer_network import CodeSearch, CodeTable, IntegerNetwork, Layer
from fsar_lab.codec.mean_scale import MeanScaleTables
from fsar_lab.codec.model import CodecModel
from fsar_lab.codec.networks import Networks
from fsar_lab.codec.prior import PriorTables
from fsar_lab.tables.pixels import CDF_TOTAL, FINE, LOGITS, LUT_UNITS, REACH, linear_ar

FOLDER = Path(__file__).parent
MODEL = "made.fsarm"
PAIRS = "pairs.fsarm"  # of docs/FRONTIER.md: two pixels at a time, 600,000 images; it holds no pixels
ZOO = ("context", "fast", "balanced", "small", "photos")
CODECS = {name: zoo.codec_path(name) for name in ZOO} | {"pairs": FOLDER / PAIRS}
GROUPS, SYMBOLS, DIM, WIDTH, SCALES, TABLES = 2, 16, 4, 8, 8, 12

# Blobs by name: sizes (height, width) of images, and whether they are given as one array.
CASES: dict[str, tuple[list[tuple[int, int]], bool]] = {
    "batch": ([(8, 8)] * 35, True),  # more than one group
    "photograph": ([(37, 134)], True),  # odd multiples of the factor, more than one tile
    "mixed": ([(1, 1), (5, 7), (8, 8), (1, 66), (8, 8), (65, 3)], False),
    "list_of_one": ([(16, 10)], False),
    "wave": ([(5, 7), (8, 8), (65, 3), (37, 134), (8, 8)], False),  # one is large enough for rows as lanes
    "poster": ([(33, 130)], False),  # so is this, and it has few colours
}


def made(series: int, shape: tuple[int, ...], limit: int) -> NDArray[np.int64]:
    """The same numbers everywhere, in [0, limit), for a series: the mixing function of entropy_c's tests."""
    mask = np.uint64(0xFFFFFFFF)
    index = np.arange(int(np.prod(shape)), dtype=np.uint64)
    x = (np.uint64(series * 0x9E3779B1 & 0xFFFFFFFF) + index * np.uint64(0x85EBCA77)) & mask
    for shift, factor in ((15, 0x2C1B3C6D), (12, 0x297A2D39)):
        x = ((x ^ (x >> np.uint64(shift))) * np.uint64(factor)) & mask
    x ^= x >> np.uint64(15)
    return (x % np.uint64(limit)).astype(np.int64).reshape(shape)


def around_zero(series: int, shape: tuple[int, ...], limit: int) -> NDArray[np.int64]:
    """The same in [-limit, limit]."""
    return made(series, shape, 2 * limit + 1) - limit


def image(number: int, height: int, width: int) -> NDArray[np.uint8]:
    """Waves of triangles with a little noise, uint8 [height, width, 3]."""
    y, x, colour = np.ogrid[0:height, 0:width, 0:3]
    wave = np.abs((x * (2 + number % 3) + y * 3 + colour * 20 + number * 37) % 400 - 200)
    pixels: NDArray[np.uint8] = (20 + wave + made(100 + number, (height, width, 3), 12)).astype(np.uint8)
    return pixels


def images(name: str) -> Any:
    """The pixels of a case: uint8 [N, H, W, 3], or a list."""
    sizes, as_array = CASES[name]
    made_images = [image(number, *size) for number, size in enumerate(sizes)]
    if name == "poster":
        made_images = [one // 16 * 16 for one in made_images]
    return np.stack(made_images) if as_array else made_images


def layer(
    series: int,
    kind: str,
    outputs: int,
    inputs: int,
    side: int,
    shift: int,
    bounds: tuple[int, int],
    skip: int | None = None,
) -> Layer:
    """Weights up to 40; the skip is added as it is."""
    multiplier = np.full(outputs, 0 if skip is None else 1 << shift, np.int32)
    return Layer(
        name=f"{kind}{side}",
        kind=kind,
        weight=around_zero(series, (outputs, inputs, side, side), 40).astype(np.int16),
        bias=around_zero(series + 1, (outputs,), 5000).astype(np.int32),
        shift=np.full(outputs, shift, np.uint8),
        low=np.full(outputs, bounds[0], np.int16),
        high=np.full(outputs, bounds[1], np.int16),
        stride=2 if side == 4 else 1,
        padding={1: 0, 3: 1, 4: 1}[side],
        skip=skip,
        skip_multiplier=multiplier,
    )


def curves() -> tuple[NDArray[np.uint16], NDArray[np.int16]]:
    """Cdfs of scales 2, 4, ... 256 and means of logits, curves of integers that no libm decides."""
    t, scale = np.arange(-REACH, REACH + 1), (2 << np.arange(SCALES))[:, None]
    total = t * t + scale * scale
    logit = np.arange(-LOGITS // 2, LOGITS // 2)
    reach = np.abs(logit) + 512
    mean = FINE * LUT_UNITS * (logit + reach) // (2 * reach)
    return (CDF_TOTAL * (t * np.abs(t) + total) // (2 * total)).astype(np.uint16), mean.astype(np.int16)


def model() -> CodecModel:
    """Two groups of 16 codes at half the side, order 2, a linear AR of three taps."""
    reach = np.full(3, 255, np.int16)
    down = layer(1, "conv", WIDTH, 3, 4, 8, (0, 1000))
    analysis = IntegerNetwork(-reach, reach, (down, layer(3, "conv", WIDTH, WIDTH, 3, 6, (-1000, 1000))))

    words = around_zero(5, (GROUPS, SYMBOLS, DIM), 700)
    search = CodeSearch((2 * words).astype(np.int16), -(words**2).sum(2).astype(np.int32))

    limit = np.full(WIDTH, 1000, np.int16)
    table = CodeTable(around_zero(6, (GROUPS, SYMBOLS, WIDTH), 600).astype(np.int16), -limit, limit)
    head = layer(11, "conv", 6, WIDTH, 1, 9, (-2048, 2047))
    head.shift[1::2] = 13
    head.bias[1::2] = 3 << 13
    head.low[1::2], head.high[1::2] = 0, SCALES - 1
    synthesis = IntegerNetwork(
        -limit,
        limit,
        (
            layer(7, "conv", WIDTH, WIDTH, 3, 8, (0, 1000), 0),
            layer(9, "transposed", WIDTH, WIDTH, 4, 8, (0, 1000)),
            head,
        ),
    )
    prior = PriorTables(
        features=around_zero(13, (TABLES, 3), 1500).astype(np.int16),
        basis=around_zero(14, (3, SYMBOLS), 30).astype(np.int16),
        bias=around_zero(15, (SYMBOLS,), 8000).astype(np.int32),
        context_map=made(16, (GROUPS, (SYMBOLS + 1) ** 2), TABLES).astype(np.uint16),
        bits=12,
        offsets=((0, -1, 0), (0, 0, -1)),
    )
    taps = tuple(((0, 0, -1), (0, -1, 0), (0, -1, -1)) for _ in range(3))
    weight, bias = linear_ar(taps, np.tile([0.75, 0.75, -0.5], (3, 1)), np.full(3, -0.5))
    pixels = MeanScaleTables(*curves(), taps, weight, bias)
    networks = Networks(analysis, search, table, synthesis)
    return CodecModel(networks, prior, pixels, {"name": "made for golden files"})


def main() -> None:
    """Writes the model and the blobs beside this file."""
    model().save(FOLDER / MODEL)
    codec = Codec.load(FOLDER / MODEL)
    for name in CASES:
        data = codec.encode(images(name))
        (FOLDER / f"{name}.fsb").write_bytes(data)
        print(f"{name}: {len(data):,} bytes")
    for name, path in CODECS.items():  # of each the blob of the cases "wave" and "poster"
        data = Codec.load(path).encode(images("wave") + images("poster"))
        (FOLDER / "zoo" / f"{name}.fsb").write_bytes(data)
        print(f"{path.name}: {len(data):,} bytes")


if __name__ == "__main__":
    main()
