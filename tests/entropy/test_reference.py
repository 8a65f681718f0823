"""The C library agrees with the plain Python reading of the format, byte for byte."""

from __future__ import annotations

import entropy_reference as ref
import numpy as np
import pytest

from fsar_lab import entropy

OFFSETS = [
    [(0, -1, 0)],
    [(0, -1, 0), (0, 0, -1)],
    [(-1, 1, 1), (0, -1, 0), (0, 0, -1)],
    [(-1, 0, 0), (-2, 0, 0), (0, -1, 0), (0, 0, -1)],
]


@pytest.mark.parametrize("offsets", OFFSETS)
@pytest.mark.parametrize("bits", [9, 12, 16])
def test_fsar_stream(offsets, bits):
    rng = np.random.default_rng(len(offsets))
    lanes, groups, height, width, size = 3, 3, 4, 3, 3
    counts = ref.random_counts(rng, groups * (size + 1) ** len(offsets), size, bits)
    model = entropy.FSARModel(entropy.Tables(counts, bits), offsets, groups, size)
    indices = rng.integers(0, size, (lanes, groups, height, width)).astype(np.uint16)
    places = ref.raster(groups, height, width)

    ids = model.table_ids(indices)
    expected = [[ref.fsar_table(image, offsets, size, *place) for place in places] for image in indices]
    assert ids.dtype == np.uint32
    assert np.array_equal(ids.reshape(lanes, -1), expected)

    def pair(lane: int, place: tuple[int, ...]) -> ref.Pair:
        table, symbol = counts[ids[lane][place]], int(indices[lane][place])
        return ref.cumulate(table)[symbol], int(table[symbol])

    mine = ref.Encoder(lanes)
    mine.push(ref.encode_positions(lanes, places, pair), bits)
    theirs = entropy.Encoder(lanes)
    theirs.push_fsar(model, indices)
    assert theirs.finish() == [mine.finish()]

    decoder = ref.Decoder(mine.finish(), lanes)
    decoded = np.full_like(indices, 999)  # what is not decoded yet must not matter
    for place in places:
        for lane in range(lanes):
            table = ref.fsar_table(decoded[lane], offsets, size, *place)
            decoded[lane][place] = decoder.pop(lane, bits, ref.cumulate(counts[table]))
    decoder.finish()
    assert np.array_equal(decoded, indices)


@pytest.mark.parametrize("colours", [1, 3, 4])
@pytest.mark.parametrize("taps", [True, False])
def test_pixel_stream(colours, taps):
    rng = np.random.default_rng(colours)
    lanes, height, width = 2, 3, 5
    arguments = ref.pixel_arguments(taps, colours)
    model = entropy.PixelModel(**arguments)
    data = rng.integers(0, 256, (lanes, height, width, colours)).astype(np.uint8)
    logits = rng.integers(-2500, 2500, (lanes, colours, height, width)).astype(np.int16)
    scales = rng.integers(0, model.scales, logits.shape).astype(np.uint8)
    places = ref.raster(height, width, colours)

    def mean(image: np.ndarray, lane: int, place: tuple[int, ...]) -> int:
        r, c, k = place
        return ref.mean_index(arguments, image, int(logits[lane, k, r, c]), r, c, k)

    def cumulative(image: np.ndarray, lane: int, place: tuple[int, ...]) -> list[int]:
        r, c, k = place
        return ref.pixel_cumulative(arguments["cdf"][scales[lane, k, r, c]], mean(image, lane, place))

    means = model.mean_index(data, logits)
    for lane in range(lanes):
        for place in places:
            assert means[lane, place[2], place[0], place[1]] == mean(data[lane], lane, place)

    def pair(lane: int, place: tuple[int, ...]) -> ref.Pair:
        edges, value = cumulative(data[lane], lane, place), int(data[lane][place])
        return edges[value], edges[value + 1] - edges[value]

    mine = ref.Encoder(lanes)
    mine.push(ref.encode_positions(lanes, places, pair), 16)
    theirs = entropy.Encoder(lanes)
    theirs.push_pixels(model, data, logits, scales)
    assert theirs.finish() == [mine.finish()]

    decoder = ref.Decoder(mine.finish(), lanes)
    decoded = np.full_like(data, 77)
    for place in places:
        for lane in range(lanes):
            decoded[lane][place] = decoder.pop(lane, 16, cumulative(decoded[lane], lane, place))
    decoder.finish()
    assert np.array_equal(decoded, data)


def test_every_pixel_value_has_a_count_around_every_mean():
    cdf = ref.pixel_arguments()["cdf"]
    for scale in cdf:
        for mean in range(0, 1021, 17):
            edges = ref.pixel_cumulative(scale, mean)
            assert len(edges) == 257
            assert np.diff(edges).min() >= 1


def test_changing_a_symbol_changes_no_earlier_table():
    rng = np.random.default_rng(8)
    counts = ref.random_counts(rng, 3 * 5**4, 4, 12)
    model = entropy.FSARModel(entropy.Tables(counts, 12), OFFSETS[3], 3, 4)
    indices = rng.integers(0, 4, (1, 3, 5, 4)).astype(np.uint16)
    before = model.table_ids(indices).ravel()
    later = 0
    for position in range(indices.size):
        changed = indices.copy()
        changed.ravel()[position] ^= 1
        after = model.table_ids(changed).ravel()
        assert np.array_equal(after[: position + 1], before[: position + 1])
        later += int((after != before).sum())
    assert later > 0  # the contexts do look back


def test_changing_a_pixel_changes_no_earlier_mean():
    rng = np.random.default_rng(9)
    model = entropy.PixelModel(**ref.pixel_arguments())
    data = rng.integers(60, 200, (1, 4, 5, 3)).astype(np.uint8)
    logits = np.full((1, 3, 4, 5), -900, np.int16)

    def means(images: np.ndarray) -> np.ndarray:  # in coding order: row, column, colour
        return np.moveaxis(model.mean_index(images, logits), 1, 3).ravel()

    before = means(data)
    later = 0
    for position in range(data.size):
        changed = data.copy()
        changed.ravel()[position] += 40
        after = means(changed)
        assert np.array_equal(after[: position + 1], before[: position + 1])
        later += int((after != before).sum())
    assert later > 0


# --- pinned bytes: if one of these changes, every file written so far becomes unreadable ---

GOLDEN_FSAR = (
    "002f290005aa010001823f110257048024e906410480076707c1048080ccbf2b0a9a0bcd089a03ac5eccfdd505c10281"
    "065608aac687055608aa01ce05d606ab"
)
GOLDEN_STACK = (
    "81500300c59f6423ec6f137046ff1506574cd36e5bf175ff2a8364768777a59d85ff8c0098ff93ff9fff9affa6ff1b38"
    "e9f41041ba8c26bbdaac53005fff5aff66ff61006d006800f2966fff7bff5c6a085d2573b8738b009200af5c99ffa5ff"
    "a0ffacffa700426eaeff1a86702b006729a6"
)


def golden_fsar() -> entropy.Encoder:
    counts = np.array([[1 + (i % 7), 2 + (i % 5), 256 - 3 - i % 7 - i % 5] for i in range(2 * 16)], np.uint32)
    model = entropy.FSARModel(entropy.Tables(counts, 8), [(0, -1, 0), (0, 0, -1)], 2, 3)
    indices = (np.arange(3 * 2 * 4 * 4).reshape(3, 2, 4, 4) ** 2 % 7 % 3).astype(np.uint16)
    encoder = entropy.Encoder(3)
    encoder.push_fsar(model, indices)
    return encoder


def golden_stack() -> entropy.Encoder:
    t = np.arange(-1022, 1023)
    cdf = np.stack([np.clip((t + reach) * 65280 // (2 * reach), 0, 65280) for reach in (8, 80, 800)])
    taps = [[(0, -1, -1), (0, -1, 0), (0, 0, -1)]] + [[(-1, 0, 0), (-1, 0, -1), (0, 0, -1)]] * 2
    one = 4 << 16
    weights = [[-one // 2, one // 2, one // 2], [one, -one, one], [one, -one, one // 2]]
    lut = (np.arange(4096) * 4 - 8192).astype(np.int16)
    model = entropy.PixelModel(cdf.astype(np.uint16), lut, taps, weights, [300 << 16, -7, 99])
    images = (np.arange(2 * 3 * 4 * 3).reshape(2, 3, 4, 3) * 7 % 120 + 70).astype(np.uint8)
    logits = (np.arange(72).reshape(2, 3, 3, 4) * 37 % 900 - 300).astype(np.int16)
    scales = (np.arange(72).reshape(2, 3, 3, 4) % 3).astype(np.uint8)
    tables = entropy.Tables(np.array([[1000, 24, 3000, 72]], np.uint32), 12)
    symbols = (np.arange(10).reshape(2, 5) * 3 % 4).astype(np.uint16)
    encoder = entropy.Encoder(2)
    encoder.push_pixels(model, images, logits, scales)
    encoder.push_indexed(tables, symbols, np.zeros((2, 5), np.uint32))
    return encoder


def test_golden_streams():
    assert [stream.hex() for stream in golden_fsar().finish()] == [GOLDEN_FSAR]
    assert [stream.hex() for stream in golden_stack().finish()] == [GOLDEN_STACK]
