"""One image in lanes of rows: no information is lost against coding it as a batch of one."""

from __future__ import annotations

import entropy_reference as ref
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fsar_lab import entropy
from fsar_lab.errors import DamagedStreamError, SymbolRangeError

NEIGHBOURS = [
    [],
    [(0, -1, 0)],
    [(0, -1, 0), (0, 0, -1)],
    [(0, -1, 1), (0, 0, -1), (0, -1, -1)],  # up-right: rows two columns apart
    [(0, -2, 3), (0, 0, -2)],
    [(-1, 0, 0), (0, -1, 0), (0, 0, -1)],
    [(-1, -1, 2), (-1, 0, 1)],
]


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 999),
    sides=st.tuples(st.integers(1, 41), st.integers(1, 41)),
    lanes=st.integers(1, 32),
    offsets=st.sampled_from(NEIGHBOURS),
    groups=st.integers(1, 2),
)
def test_latents(seed, sides, lanes, offsets, groups):
    rng = np.random.default_rng(seed)
    symbols = 5
    tables = groups * (symbols + 1) ** len(offsets)
    counts = ref.random_counts(rng, tables, symbols, 12)
    model = entropy.FSARModel(entropy.Tables(counts, 12), offsets, groups, symbols)
    indices = rng.integers(0, symbols, (groups, *sides)).astype(np.uint16)
    encoder = entropy.WaveEncoder(lanes)
    encoder.push_fsar(model, indices)
    stream = encoder.finish()
    decoder = entropy.WaveDecoder(stream, lanes)
    assert np.array_equal(decoder.pop_fsar(model, *sides), indices)
    decoder.finish()
    # The tables used are those of a batch of one, so the information is the same.
    batch = entropy.Encoder(1)
    batch.push_fsar(model, indices[None])
    states = np.frombuffer(stream, "<u4", lanes)
    bits = 8 * (len(stream) - 4 * lanes) + float(np.log2(states / 65536).sum())
    assert bits == pytest.approx(batch.information(), rel=1e-3, abs=0.2)


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 999),
    sides=st.tuples(st.integers(1, 37), st.integers(1, 37)),
    lanes=st.integers(1, 32),
    colours=st.integers(1, 4),
)
def test_pixels(seed, sides, lanes, colours):
    rng = np.random.default_rng(seed)
    model = entropy.PixelModel(**ref.pixel_arguments(colours=colours))
    image = rng.integers(0, 256, (*sides, colours)).astype(np.uint8)
    logits = rng.integers(-2500, 2500, (colours, *sides)).astype(np.int16)
    scales = rng.integers(0, 6, logits.shape).astype(np.uint8)
    encoder = entropy.WaveEncoder(lanes)
    encoder.push_pixels(model, image, logits, scales)
    stream = encoder.finish()
    decoder = entropy.WaveDecoder(stream, lanes)
    assert np.array_equal(decoder.pop_pixels(model, logits, scales), image)
    decoder.finish()
    batch = entropy.Encoder(1)
    batch.push_pixels(model, image[None], logits[None], scales[None])
    states = np.frombuffer(stream, "<u4", lanes)
    bits = 8 * (len(stream) - 4 * lanes) + float(np.log2(states / 65536).sum())
    assert bits == pytest.approx(
        batch.information(), rel=2e-2, abs=2 + lanes
    )  # at 16 bits a state loses some


def test_both_on_the_same_states_and_refusals():
    rng = np.random.default_rng(3)
    model = entropy.FSARModel(entropy.Tables(ref.random_counts(rng, 25, 4, 12), 12), NEIGHBOURS[2], 1, 4)
    pixels = entropy.PixelModel(**ref.pixel_arguments())
    indices = rng.integers(0, 4, (1, 20, 30)).astype(np.uint16)
    image = rng.integers(0, 256, (40, 60, 3)).astype(np.uint8)
    logits = rng.integers(-500, 500, (3, 40, 60)).astype(np.int16)
    scales = rng.integers(0, 6, logits.shape).astype(np.uint8)
    encoder = entropy.WaveEncoder(16)
    encoder.push_pixels(pixels, image, logits, scales)
    before = encoder.finish()
    wrong = indices.copy()
    wrong[0, 19, 29] = 4
    with pytest.raises(SymbolRangeError):
        encoder.push_fsar(model, wrong)
    assert encoder.finish() == before
    encoder.push_fsar(model, indices)
    decoder = entropy.WaveDecoder(encoder.finish(), 16)
    assert np.array_equal(decoder.pop_fsar(model, 20, 30), indices)
    assert np.array_equal(decoder.pop_pixels(pixels, logits, scales), image)
    decoder.finish()
    with pytest.raises(DamagedStreamError):
        cut = entropy.WaveDecoder(encoder.finish()[:-40], 16)
        cut.pop_fsar(model, 20, 30)
        cut.pop_pixels(pixels, logits, scales)
    with pytest.raises(ValueError, match="lanes"):
        entropy.WaveEncoder(33)
    below = entropy.FSARModel(entropy.Tables(ref.random_counts(rng, 10, 4, 12), 12), [(-1, 1, 0)], 2, 4)
    with pytest.raises(ValueError, match="row below"):
        entropy.WaveEncoder(4).push_fsar(below, np.zeros((2, 5, 5), np.uint16))
