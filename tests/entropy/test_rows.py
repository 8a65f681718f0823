"""Explicit rows and raw bits of one group agree with the plain Python reading of the format."""

from __future__ import annotations

import entropy_reference as ref
import numpy as np
import pytest

from fsar_lab import entropy
from fsar_lab.errors import DamagedStreamError, SymbolRangeError, TableError


@pytest.mark.parametrize("lanes", [1, 5, 32, 40])
@pytest.mark.parametrize("bits", [8, 13, 16])
def test_stream(lanes, bits):
    rng = np.random.default_rng(lanes)
    total, size, raw_bits = 1 << bits, 6, 11

    def starts_after(previous: np.ndarray) -> np.ndarray:
        """Rows that depend on the values just decoded: what the alternation is for."""
        weights = 1 + (np.arange(size) * 7 + previous[:, None] * 5) % 11
        ends = np.cumsum(weights, 1) * total // weights.sum(1, keepdims=True)
        return np.concatenate([np.zeros((lanes, 1)), ends[:, :-1]], 1).astype(np.uint16)

    values = rng.integers(0, size, (4, lanes)).astype(np.uint16)
    raw = rng.integers(0, 1 << raw_bits, (lanes, 3)).astype(np.uint16)
    previous = np.concatenate([np.zeros((1, lanes), np.uint16), values[:-1]])
    starts = [starts_after(row) for row in previous]

    encoder = entropy.Encoder(lanes)
    mine = ref.Encoder(min(lanes, 32))  # the first group
    encoder.push_bypass(raw_bits, raw)
    mine.push([[(int(value), 1) for value in column] for column in raw[:32].T], raw_bits)
    for position in reversed(range(4)):
        encoder.push_rows(starts[position], bits, values[position])
        edges = np.concatenate([starts[position], np.full((lanes, 1), total)], axis=1)
        pairs = [(int(e[v]), int(e[v + 1] - e[v])) for e, v in zip(edges, values[position], strict=True)]
        mine.push([pairs[:32]], bits)
    streams = encoder.finish()
    assert streams[0] == mine.finish()

    decoder = entropy.Decoder(streams, lanes)
    got = np.zeros(lanes, np.uint16)
    for position in range(4):
        got = decoder.pop_rows(starts_after(got), bits)
        assert np.array_equal(got, values[position])
    assert np.array_equal(decoder.pop_bypass(raw_bits, 3), raw)
    decoder.finish()


def test_refusals():
    encoder = entropy.Encoder(2)
    good = np.array([[0, 3, 9]] * 2, np.uint16)
    values = np.array([1, 2], np.uint16)
    for bad in ([0, 9, 3], [1, 3, 9], [0, 3, 257]):
        starts = np.array([[0, 3, 9], bad], np.uint16)
        with pytest.raises(TableError, match="begin with 0"):
            encoder.push_rows(starts, 8, values)
    with pytest.raises(SymbolRangeError):
        encoder.push_rows(good, 8, values + 1)
    with pytest.raises(SymbolRangeError):
        encoder.push_bypass(1, np.array([[1], [2]], np.uint16))
    with pytest.raises(ValueError, match="shape"):
        encoder.push_rows(good[:1], 8, values)
    with pytest.raises(ValueError, match="documents"):
        encoder.push_bypass(17, np.zeros((2, 1), np.uint16))
    assert encoder.finish() == [b"\0\0\1\0" * 2]
    decoder = entropy.Decoder(encoder.finish(), 2)
    with pytest.raises(TableError):
        decoder.pop_rows(starts, 8)
    with pytest.raises(DamagedStreamError):
        decoder.pop_bypass(16, 2)
