"""tANS: the plain Python reading of its format, rates, refusals and damage."""

from __future__ import annotations

import entropy_reference as ref
import numpy as np
import pytest
import tans_reference

from fsar_lab import entropy
from fsar_lab.errors import DamagedStreamError, SymbolRangeError, TableError

ABOVE_LEFT = [(0, -1, 0), (0, 0, -1)]


@pytest.mark.parametrize("bits", [8, 9, 12])
@pytest.mark.parametrize("symbols", [1, 2, 7, 60])
def test_indexed_streams(bits, symbols):
    rng = np.random.default_rng(bits)
    counts = ref.random_counts(rng, 3, symbols, bits, power=6)
    counts[1] = 0
    counts[1, symbols // 2] = 1 << bits  # one symbol has everything
    index = rng.integers(0, 3, (19, 50)).astype(np.uint32)
    data = rng.integers(0, symbols, index.shape).astype(np.uint16)
    data[index == 1] = symbols // 2
    tables = [tans_reference.Table(row) for row in counts]
    mine = [
        tans_reference.encode([tables[i] for i in ids], values)
        for ids, values in zip(index, data.tolist(), strict=True)
    ]
    tans = entropy.TANS(counts, bits)
    assert tans.encode(data, index) == mine
    assert np.array_equal(tans.decode(mine, 50, index), data)
    assert np.array_equal(tans.decode(mine[5:6], 50, index[5:6]), data[5:6])
    ids = index[0].tolist()
    assert tans_reference.decode(mine[0], bits, 50, lambda p, _: tables[ids[p]]) == data[0].tolist()


@pytest.mark.parametrize("bits", [8, 10, 12])
def test_fsar_streams(bits):
    rng = np.random.default_rng(bits)
    images, groups, height, width, size = 5, 2, 4, 5, 4
    counts = ref.random_counts(rng, groups * (size + 1) ** 2, size, bits)
    model = entropy.FSARModel(entropy.Tables(counts, bits), ABOVE_LEFT, groups, size)
    tans = entropy.TANS(counts, bits)
    indices = rng.integers(0, size, (images, groups, height, width)).astype(np.uint16)
    places = ref.raster(groups, height, width)
    tables = [tans_reference.Table(row) for row in counts]
    ids = model.table_ids(indices).reshape(images, -1)
    mine = [
        tans_reference.encode([tables[i] for i in row], image.ravel().tolist())
        for row, image in zip(ids, indices, strict=True)
    ]
    assert tans.encode_fsar(model, indices) == mine
    assert np.array_equal(tans.decode_fsar(model, mine, indices.shape), indices)
    one = (1, *indices.shape[1:])
    assert np.array_equal(tans.decode_fsar(model, mine[3:4], one)[0], indices[3])

    image = np.full((groups, height, width), 999, np.uint16)  # what is not decoded yet must not matter

    def table_of(position: int, symbols: list[int]) -> tans_reference.Table:
        image.ravel()[:position] = symbols
        return tables[ref.fsar_table(image, ABOVE_LEFT, size, *places[position])]

    decoded = tans_reference.decode(mine[0], bits, len(places), table_of)
    assert decoded == indices[0].ravel().tolist()


def test_classes_and_map():
    rng = np.random.default_rng(3)
    classes = (np.arange(7) % 3).astype(np.uint16).reshape(1, 1, 7)
    context_map = np.array([[1, 0, 1]], np.uint32)
    counts = ref.random_counts(rng, 2, 6, 10)
    model = entropy.FSARModel(
        entropy.Tables(counts, 10),
        [(0, 0, -1)],
        1,
        6,
        classes=classes,
        class_counts=[3],
        context_map=context_map,
    )
    indices = rng.integers(0, 6, (20, 1, 3, 8)).astype(np.uint16)
    tans = entropy.TANS(counts, 10)
    streams = tans.encode_fsar(model, indices)
    ids = model.table_ids(indices)
    assert set(ids.ravel()) == {0, 1}
    assert streams == tans.encode(indices.reshape(20, -1), ids.reshape(20, -1))
    assert np.array_equal(tans.decode_fsar(model, streams, indices.shape), indices)


@pytest.mark.parametrize("bits", [10, 12])
def test_rate(bits):
    """Data from the tables take their entropy, the state and the mark, and little more."""
    rng = np.random.default_rng(bits)
    counts = ref.random_counts(rng, 40, 32, bits, power=4)
    index = rng.integers(0, 40, (16, 2000)).astype(np.uint32)
    cumulative = counts.cumsum(1)
    slots = rng.integers(0, 1 << bits, index.shape)
    data = (cumulative[index] <= slots[..., None]).sum(-1).astype(np.uint16)
    entropy_bits = -np.log2(counts[index, data] / 2.0**bits).sum()
    coded = 8 * sum(len(stream) for stream in entropy.TANS(counts, bits).encode(data, index))
    overhead = len(data) * (bits + 1 + 7)
    assert entropy_bits < coded < 1.002 * entropy_bits + overhead


def test_no_streams_and_no_symbols():
    tans = entropy.TANS(np.array([[200, 56]], np.uint32), 8)
    assert tans.encode(np.empty((0, 5), np.uint16)) == []
    assert tans.decode([], 5).shape == (0, 5)
    assert tans.encode(np.empty((2, 0), np.uint16)) == [b"\0\1"] * 2
    assert tans.decode([b"\0\1"] * 2, 0).shape == (2, 0)


def test_refused_tables():
    for row in ([100, 155], [100, 157], [2**32 - 1, 257]):
        with pytest.raises(TableError):
            entropy.TANS(np.array([row], np.uint32), 8)
    for bits in (7, 13):
        with pytest.raises(ValueError, match=r"8\.\.12"):
            entropy.TANS(np.array([[1 << bits]], np.uint32), bits)
    with pytest.raises(ValueError, match="1073741824 bytes"):
        entropy.TANS(np.zeros((60000, 2), np.uint32), 12)
    with pytest.raises(TypeError, match="uint32"):
        entropy.TANS(np.array([[128, 128]]), 8)


def test_refused_arguments():
    counts = np.array([[200, 56, 0], [0, 0, 256]], np.uint32)
    tans = entropy.TANS(counts, 8)
    index = np.zeros((1, 2), np.uint32)
    for bad in ([0, 3], [0, 2]):  # outside the alphabet, without a count
        with pytest.raises(SymbolRangeError):
            tans.encode(np.array([bad], np.uint16), index)
    with pytest.raises(SymbolRangeError):
        tans.encode(np.zeros((1, 2), np.uint16), index + 2)
    with pytest.raises(SymbolRangeError):
        tans.decode([b"\0\1"], 2, index + 2)
    with pytest.raises(ValueError, match="shape"):
        tans.encode(np.zeros((1, 2), np.uint16), index[:, :1])
    model = entropy.FSARModel(entropy.Tables(counts[:1], 8), [], 1, 3)
    for call in (
        lambda: tans.encode_fsar(model, np.zeros((1, 1, 1, 1), np.uint16)),
        lambda: tans.decode_fsar(model, [b"\0\1"], (1, 1, 1, 1)),
    ):
        with pytest.raises(ValueError, match="1 tables over 3 symbols"):
            call()
    tans = entropy.TANS(counts[:1], 8)
    with pytest.raises(ValueError, match="must be"):
        tans.decode_fsar(model, [b"\0\1"], (2, 1, 1, 1))


class Codec:
    """Latents of two waves of images and their streams."""

    def __init__(self) -> None:
        rng = np.random.default_rng(1)
        counts = ref.random_counts(rng, 17**2, 16, 10)
        self.model = entropy.FSARModel(entropy.Tables(counts, 10), ABOVE_LEFT, 1, 16)
        self.tans = entropy.TANS(counts, 10)
        self.data = rng.integers(0, 16, (20, 1, 6, 6)).astype(np.uint16)
        self.streams = self.tans.encode_fsar(self.model, self.data)

    def outcome(self, streams: list[bytes]) -> str:
        try:
            data = self.tans.decode_fsar(self.model, streams, self.data.shape)
        except DamagedStreamError:
            return "caught"
        assert data.max() < 16
        return "same" if np.array_equal(data, self.data) else "different"


@pytest.fixture(scope="module")
def codec() -> Codec:
    codec = Codec()
    assert codec.outcome(codec.streams) == "same"
    return codec


def test_mutations(codec):
    rng = np.random.default_rng(2)
    found = {"caught": 0, "different": 0, "same": 0}
    for number in range(3000):
        streams = list(codec.streams)
        which = rng.integers(0, len(streams))
        stream = np.frombuffer(streams[which], np.uint8).copy()
        places = rng.integers(0, len(stream), 1 if number % 3 else 10)
        stream[places] ^= np.uint8(1) << rng.integers(0, 8, len(places)).astype(np.uint8)
        if number % 5 == 0:
            stream = stream[: rng.integers(0, len(stream))]
        streams[which] = stream.tobytes()
        outcome = codec.outcome(streams)
        assert (outcome == "same") == (streams == codec.streams)
        found[outcome] += 1
    assert found["caught"] > 0.99 * (found["caught"] + found["different"])


def test_wrong_streams(codec):
    for bad in (b"", b"\0", b"\1", b"\xff", codec.streams[0] + b"\0", b"\1" + codec.streams[0]):
        assert codec.outcome([bad, *codec.streams[1:]]) == "caught"
    rng = np.random.default_rng(3)
    for length in range(200):
        noise = rng.integers(0, 256, length).astype(np.uint8).tobytes()
        assert codec.outcome([noise, *codec.streams[1:]]) in ("caught", "different")
