"""Escapes, table indices of all widths, classes of states and waves against the plain Python reading."""

from __future__ import annotations

import entropy_reference as ref
import numpy as np
import pytest

from fsar_lab import entropy
from fsar_lab.errors import DamagedStreamError, SymbolRangeError


def sparse_counts(rng: np.random.Generator, tables: int, symbols: int, bits: int) -> np.ndarray:
    """Random counts with an escape in the last column; most symbols have none."""
    weights = rng.random((tables, symbols + 1)) ** 3 * (rng.random((tables, symbols + 1)) < 0.4)
    weights[:, 0] += 0.01
    weights[:, -1] += 0.05
    counts = np.floor(weights / weights.sum(1, keepdims=True) * (1 << bits)).astype(np.int64)
    counts[:, -1] += 1
    counts[:, 0] += (1 << bits) - counts.sum(1)
    return counts.astype(np.uint32)


@pytest.mark.parametrize("symbols", [1, 2, 15, 16, 17, 31, 200, 300])
@pytest.mark.parametrize("bits", [8, 12, 16])
def test_escapes(symbols, bits):
    rng = np.random.default_rng(symbols + bits)
    lanes, positions = 5, 9
    counts = sparse_counts(rng, 4, symbols, bits)
    tables = entropy.Tables(counts, bits, escape=True)
    assert (tables.symbols, tables.escape) == (symbols, True)
    assert tables.counts(3).tolist() == counts[3].tolist()
    index = rng.integers(0, 4, (lanes, positions)).astype(np.uint8)
    data = rng.integers(0, symbols, index.shape).astype(np.uint16)
    mine, theirs = ref.Encoder(lanes), entropy.Encoder(lanes)
    events = [
        ref.step_events(
            [(n, counts[index[n, p]].tolist(), int(data[n, p])) for n in range(lanes)], bits, True
        )
        for p in range(positions)
    ]
    mine.push_events([event for step in events for event in step])
    theirs.push_indexed(tables, data, index)
    assert theirs.finish() == [mine.finish()]
    decoder = entropy.Decoder(theirs.finish(), lanes)
    assert np.array_equal(decoder.pop_indexed(tables, index), data)
    decoder.finish()

    slow = ref.Decoder(mine.finish(), lanes)
    for position in range(positions):
        step = [slow.pop(n, bits, ref.cumulate(counts[index[n, position]])) for n in range(lanes)]
        for lane in [n for n in range(lanes) if step[n] == symbols]:
            raw_bits = (symbols - 1).bit_length()
            step[lane] = slow.pop_raw(lane, raw_bits) if raw_bits else 0
        assert step == data[:, position].tolist()
    slow.finish()


def test_escapes_need_a_count_and_a_symbol():
    tables = entropy.Tables(np.array([[200, 0, 56, 0], [200, 0, 0, 56]], np.uint32), 8, escape=True)
    encoder = entropy.Encoder(1)
    with pytest.raises(SymbolRangeError):
        encoder.push_indexed(tables, np.array([[1]], np.uint16), np.array([[0]], np.uint8))
    with pytest.raises(ValueError, match=r"1\.\.65536"):
        entropy.Tables(np.ones((1, 1), np.uint32), 8, escape=True)
    stream = (3 << 24 | 203).to_bytes(4, "little")  # the escape, and 3 as its raw bits
    with pytest.raises(DamagedStreamError):
        entropy.Decoder([stream], 1).pop_indexed(tables, np.array([[1]], np.uint8))


def test_the_width_of_the_index_changes_nothing():
    rng = np.random.default_rng(0)
    tables = entropy.Tables(ref.random_counts(rng, 200, 20, 11), 11)
    symbols = rng.integers(0, 20, (40, 100)).astype(np.uint16)
    index = rng.integers(0, 200, symbols.shape)
    streams = []
    for dtype in (np.uint8, np.uint16, np.uint32):
        encoder = entropy.Encoder(40)
        encoder.push_indexed(tables, symbols, index.astype(dtype))
        streams.append(encoder.finish())
        decoder = entropy.Decoder(streams[-1], 40)
        assert np.array_equal(decoder.pop_indexed(tables, index.astype(dtype)), symbols)
    assert streams[0] == streams[1] == streams[2]
    first, none = entropy.Encoder(40), entropy.Encoder(40)
    first.push_indexed(tables, symbols, np.zeros(symbols.shape, np.uint8))
    none.push_indexed(tables, symbols)
    assert first.finish() == none.finish()
    assert np.array_equal(entropy.Decoder(none.finish(), 40).pop_indexed(tables, 100), symbols)
    with pytest.raises(TypeError, match="uint32"):
        first.push_indexed(tables, symbols, index.astype(np.int64))


def some_fsar(
    rng: np.random.Generator, offsets: list[tuple[int, int, int]], groups: int, symbols: int, bits: int
) -> tuple[entropy.FSARModel, np.ndarray]:
    """A model with classes, a map and an escape, and its counts."""
    class_counts = [int(n) for n in rng.integers(1, 4, len(offsets))]
    classes = np.stack([rng.integers(0, n, (groups, symbols + 1)) for n in class_counts], 1)
    context_map = rng.integers(0, 7, (groups, int(np.prod(class_counts))))
    counts = sparse_counts(rng, 7, symbols, bits)
    model = entropy.FSARModel(
        entropy.Tables(counts, bits, escape=True),
        offsets,
        groups,
        symbols,
        classes=classes.astype(np.uint16),
        class_counts=class_counts,
        context_map=context_map.astype(np.uint32),
    )
    return model, counts


def table_of(model: entropy.FSARModel, image: np.ndarray, group: int, row: int, column: int) -> int:
    """Table of one symbol by classes and map; `image` [G, h, w] needs to hold the earlier symbols only."""
    assert model.classes is not None
    assert model.context_map is not None
    context = 0
    for i, (dg, dr, dc) in enumerate(model.offsets):
        g, r, c = group + dg, row + dr, column + dc
        inside = 0 <= g < image.shape[0] and 0 <= r < image.shape[1] and 0 <= c < image.shape[2]
        state = int(image[g, r, c]) + 1 if inside else 0
        context = context * model.class_counts[i] + int(model.classes[group, i, state])
    return int(model.context_map[group, context])


WAVES = [
    [(0, -1, 0), (0, 0, -1)],
    [(0, -1, -1), (0, -1, 1)],
    [(0, -1, 3), (0, -4, 0), (0, 0, -2)],
    [(-1, 0, 0), (-1, 0, 2), (-1, -2, -1), (0, -2, 1)],
    [(0, -1, 99), (-2, 3, 0), (0, -60, 0)],  # never inside
]


@pytest.mark.parametrize("offsets", WAVES)
@pytest.mark.parametrize("lanes", [1, 2, 5, 32])
@pytest.mark.parametrize("sides", [(1, 1), (7, 4), (13, 9)])
def test_wave_of_latents(offsets, lanes, sides):
    rng = np.random.default_rng(lanes)
    groups, symbols, bits = 2, 6, 11
    if sides[0] > 3:
        offsets = [offset for offset in offsets if offset[1] <= 0]
    model, counts = some_fsar(rng, offsets, groups, symbols, bits)
    indices = rng.integers(0, symbols, (groups, *sides)).astype(np.uint16)
    ids = model.table_ids(indices[None])[0]
    for place in ref.raster(groups, *sides):
        assert ids[place] == table_of(model, indices, *place)
    inside = [(r, c) for g, r, c in offsets if g > -groups]
    steps = ref.wave_steps(lanes, *sides, inside)
    assert sorted((r, c) for step in steps for _, r, c in step) == ref.raster(*sides)
    events = [
        event
        for group in range(groups)
        for step in steps
        for event in ref.step_events(
            [(n, counts[ids[group, r, c]].tolist(), int(indices[group, r, c])) for n, r, c in step],
            bits,
            True,
        )
    ]
    mine, theirs = ref.Encoder(lanes), entropy.WaveEncoder(lanes)
    mine.push_events(events)
    theirs.push_fsar(model, indices)
    assert theirs.finish() == mine.finish()
    decoder = entropy.WaveDecoder(mine.finish(), lanes)
    assert np.array_equal(decoder.pop_fsar(model, *sides), indices)
    decoder.finish()


@pytest.mark.parametrize("colours", [1, 3, 4])
@pytest.mark.parametrize("lanes", [1, 3, 16])
@pytest.mark.parametrize("sides", [(2, 3), (11, 6)])
def test_wave_of_pixels(colours, lanes, sides):
    rng = np.random.default_rng(colours)
    arguments = ref.pixel_arguments(colours=colours)
    model = entropy.PixelModel(**arguments)
    image = rng.integers(0, 256, (*sides, colours)).astype(np.uint8)
    logits = rng.integers(-2500, 2500, (colours, *sides)).astype(np.int16)
    scales = rng.integers(0, model.scales, logits.shape).astype(np.uint8)
    offsets = [(r, c) for taps in arguments["taps"] for _, r, c in taps]

    def event(lane: int, row: int, column: int, colour: int) -> ref.Event:
        place = colour, row, column
        mean = ref.mean_index(arguments, image, int(logits[place]), row, column, colour)
        edges = ref.pixel_cumulative(arguments["cdf"][scales[place]], mean)
        value = int(image[row, column, colour])
        return lane, edges[value], edges[value + 1] - edges[value], 16

    events = [
        event(*place, colour)
        for step in ref.wave_steps(lanes, *sides, offsets)
        for colour in range(colours)
        for place in step
    ]
    mine, theirs = ref.Encoder(lanes), entropy.WaveEncoder(lanes)
    mine.push_events(events)
    theirs.push_pixels(model, image, logits, scales)
    assert theirs.finish() == mine.finish()
    decoder = entropy.WaveDecoder(mine.finish(), lanes)
    assert np.array_equal(decoder.pop_pixels(model, logits, scales), image)
    decoder.finish()
