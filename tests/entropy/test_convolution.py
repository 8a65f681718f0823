"""Convolutions through the Python API: many groups of lanes, threads, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest

from fsar_lab import entropy
from fsar_lab.errors import DamagedStreamError, SymbolRangeError, TableError

GROUPS, K = 2, 7
LEFT_UP = [(0, -1, 0), (0, 0, -1)]


def make_model(checkerboard: bool = False, **changes: object) -> entropy.ConvolutionModel:
    rng = np.random.default_rng(0)
    arguments = {
        "offsets": LEFT_UP,
        "rows": rng.integers(-600, 600, (2, GROUPS, K, GROUPS * K)).astype(np.int16),
        "bias": rng.integers(-300, 300, (GROUPS, K)).astype(np.int32),
        "bits": 14,
        "checkerboard": checkerboard,
    }
    return entropy.ConvolutionModel(**{**arguments, **changes})


def symbols(number: int, planes: int = 1) -> np.ndarray:
    return np.random.default_rng(1).integers(0, K, (number, planes * GROUPS, 4, 3)).astype(np.uint16)


@pytest.mark.parametrize("checkerboard", [False, True])
@pytest.mark.parametrize("number", [1, 31, 70])
def test_round_trip_on_any_threads(checkerboard, number):
    model, indices, streams = make_model(checkerboard), symbols(number), []
    for threads in (1, 2):
        encoder = entropy.Encoder(number, threads)
        encoder.push_convolution(model, indices)
        streams.append(encoder.finish())
        decoder = entropy.Decoder(streams[0], number, threads)
        given = np.where(np.add.outer(np.arange(4), np.arange(3)) % 2, indices, 9).astype(np.uint16)
        decoder.pop_convolution(model, given)
        assert np.array_equal(given, indices)
        decoder.finish()
    assert streams[0] == streams[1]
    assert model.positions(4, 3) == (6 if checkerboard else 12)
    assert model.expanded_nbytes == 2 * 2 * GROUPS * K * GROUPS * K + 4 * GROUPS * K


def test_planes_that_do_not_look_back_are_coded_like_images_of_their_own():
    indices, bits = symbols(5, planes=3), []
    for parts, planes in ((indices.reshape(15, GROUPS, 4, 3), 1), (indices, 3)):
        encoder = entropy.Encoder(len(parts))
        start = encoder.information()
        encoder.push_convolution(make_model(planes=planes), parts)
        bits.append(encoder.information() - start)
    assert bits[0] == pytest.approx(bits[1], rel=1e-3)


@pytest.mark.parametrize("number", [1, 33])
def test_planes_see_those_before(number):
    model = make_model(offsets=[(-1, 1, 1), (0, 0, -1)], planes=3)
    indices = symbols(number, planes=3)
    encoder = entropy.Encoder(number, 2)
    encoder.push_convolution(model, indices)
    stream = encoder.finish()
    decoder, found = entropy.Decoder(stream, number, 2), np.full_like(indices, 9)
    decoder.pop_convolution(model, found)
    decoder.finish()
    assert np.array_equal(found, indices) and model.channels == 3 * GROUPS


def test_neighbours_matter():
    """One changed row changes the cost of what has that neighbour, and of nothing else."""
    costs = []
    for change in (0, 2000):
        model = make_model()
        model.rows[0, 1, 3, 0] += change  # above, in group 1, symbol 3: for symbol 0 of group 0
        indices = np.zeros((1, GROUPS, 2, 2), np.uint16)
        indices[0, 1, 0, 0] = 3
        each = []
        for rows in (1, 2):
            encoder = entropy.Encoder(1)
            encoder.push_convolution(model, indices[:, :, :rows].copy())
            each.append(encoder.information())
        costs.append(each)
    assert costs[0][0] == costs[1][0]
    assert costs[1][1] < costs[0][1] - 0.5


def test_what_is_refused():
    encoder, indices = entropy.Encoder(3), symbols(3)
    before = encoder.information()
    for changes in ({"offsets": [(0, 0, 0), (0, 0, -1)]}, {"bias": np.full((GROUPS, K), 1 << 25, np.int32)}):
        with pytest.raises(TableError):
            encoder.push_convolution(make_model(**changes), indices)
    with pytest.raises(TableError):
        encoder.push_convolution(make_model(True, offsets=[(0, -1, -1), (0, 0, -1)]), indices)
    with pytest.raises(ValueError):
        encoder.push_convolution(make_model(bits=17), indices)
    with pytest.raises(ValueError):
        encoder.push_convolution(make_model(planes=0), indices[:, :0].copy())
    wrong = indices.copy()
    wrong[2, 1, 3, 2] = K
    with pytest.raises(SymbolRangeError):
        encoder.push_convolution(make_model(), wrong)
    with pytest.raises(TypeError, match="uint16"):
        encoder.push_convolution(make_model(), indices.astype(np.int64))
    with pytest.raises(ValueError, match="shape"):
        encoder.push_convolution(make_model(), indices[:, :1].copy())
    with pytest.raises(ValueError, match="shape"):
        make_model(offsets=[(0, 0, -1)])
    with pytest.raises(TypeError, match="int16"):
        make_model(rows=np.zeros((2, GROUPS, K, GROUPS * K)))
    assert encoder.information() == before


def test_damage_is_found():
    model, indices = make_model(), symbols(40)
    encoder = entropy.Encoder(40)
    encoder.push_convolution(model, indices)
    first, second = encoder.finish()
    for damaged in (first[:-2], first + b"\0\0", first[:150] + bytes([first[150] ^ 1]) + first[151:]):
        decoder = entropy.Decoder([damaged, second], 40)
        with pytest.raises(DamagedStreamError):
            decoder.pop_convolution(model, np.zeros_like(indices))
            decoder.finish()
