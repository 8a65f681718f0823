"""Saved models come back whole, are as the document says, and damaged ones are refused."""

from __future__ import annotations

import zlib

import numpy as np
import pytest
import tables_reference

from fsar_lab import entropy
from fsar_lab.errors import DamagedStreamError, UnsupportedVersionError

NEIGHBOURS = [(0, -1, 0), (0, 0, -1)]


def random_tables(seed: int, tables: int, symbols: int, bits: int, escape: bool = False) -> entropy.Tables:
    weights = np.random.default_rng(seed).random((tables, symbols)) ** 8 * 2**20
    rule = "escape" if escape else "nonzero" if seed % 2 else "every"
    counts = entropy.counts_from_weights(weights.astype(np.uint64), bits, rule)
    counts[:, 0] += counts[:, 0] == 0  # a rule of 16 bits
    counts[np.arange(tables), counts.argmax(1)] -= (counts.sum(1) - (1 << bits)).astype(np.uint32)
    return entropy.Tables(counts, bits, escape=escape)


def merged_model(seed: int, groups: int = 2, symbols: int = 9, tables: int = 7) -> entropy.FSARModel:
    """Classes and a map with runs along both neighbours."""
    rng = np.random.default_rng(seed)
    class_counts = (5, 4)
    classes = np.stack([rng.integers(0, n, (groups, symbols + 1)) for n in class_counts], 1).astype(np.uint16)
    context_map = np.repeat(rng.integers(0, tables, (groups, 5, 1)), 4, 2)
    context_map[:, :, 1] = rng.integers(0, tables, (groups, 1))
    context_map[:, 2, 3] = rng.integers(0, tables, groups)
    return entropy.FSARModel(
        random_tables(seed, tables, symbols, 12),
        NEIGHBOURS,
        groups,
        symbols,
        classes=classes,
        class_counts=class_counts,
        context_map=context_map.reshape(groups, 20).astype(np.uint32),
    )


def all_counts(tables: entropy.Tables) -> list[list[int]]:
    return [tables.counts(i).tolist() for i in range(tables.count)]


def assert_same(one: entropy.FSARModel, other: entropy.FSARModel) -> None:
    for name in ("offsets", "groups", "symbols", "order", "contexts", "class_counts"):
        assert getattr(one, name) == getattr(other, name), name
        assert type(getattr(one, name)) is type(getattr(other, name)), name
    for name in ("classes", "context_map"):
        mine, its = getattr(one, name), getattr(other, name)
        assert (mine is None) == (its is None), name
        assert mine is None or (mine.dtype == its.dtype and np.array_equal(mine, its)), name
    assert all_counts(one.tables) == all_counts(other.tables)


@pytest.mark.parametrize("bits", [8, 12, 14, 16])
@pytest.mark.parametrize(("symbols", "escape"), [(2, False), (17, True), (200, False), (200, True)])
def test_tables(bits, symbols, escape):
    tables = random_tables(bits + symbols, 5, symbols, bits, escape)
    data = entropy.save_tables(tables)
    again = entropy.load_tables(data)
    names = ("count", "symbols", "bits", "escape", "layout", "isa", "nbytes", "expanded_nbytes")
    for name in names:
        assert getattr(tables, name) == getattr(again, name), name
    assert all_counts(tables) == all_counts(again)
    assert tables.nbytes == len(data) and entropy.save_tables(again) == data
    read = tables_reference.read(data)
    assert (read.bits, read.symbols, read.escape) == (bits, symbols, escape)
    assert read.counts == all_counts(tables)


def models() -> list[entropy.FSARModel]:
    tables = random_tables(1, 9, 2, 10)
    whole = entropy.FSARModel(tables, NEIGHBOURS, 1, 2)
    static = entropy.FSARModel(random_tables(2, 3, 5, 12), [], 3, 5)
    back = np.array([[0, 8, 3]], np.uint32)
    mapped = entropy.FSARModel(tables, [(0, -1, 7)], 1, 2, context_map=back)
    classes = np.array([[[0, 1, 0], [2, 0, 1]]], np.uint16)
    reduced = entropy.FSARModel(
        random_tables(3, 6, 2, 9), NEIGHBOURS, 1, 2, classes=classes, class_counts=[2, 3]
    )
    return [whole, static, mapped, reduced, merged_model(0), merged_model(1, groups=1, tables=1)]


@pytest.mark.parametrize("model", models())
def test_models(model):
    data = entropy.save_fsar(model)
    again = entropy.load_fsar(data)
    assert_same(model, again)
    assert model.nbytes == again.nbytes == len(data) > model.tables.nbytes
    assert entropy.save_fsar(again) == data
    read = tables_reference.read(data)
    assert (read.symbols, read.groups, tuple(read.offsets)) == (model.symbols, model.groups, model.offsets)
    assert tuple(read.class_counts) == model.class_counts and read.counts == all_counts(model.tables)
    for mine, its in ((model.classes, read.classes), (model.context_map, read.context_map)):
        assert its == (None if mine is None else mine.ravel().tolist())


def test_a_loaded_model_codes_what_the_saved_one_did():
    model = merged_model(2)
    indices = np.random.default_rng(0).integers(0, 9, (3, 2, 6, 5)).astype(np.uint16)
    encoder = entropy.Encoder(3)
    encoder.push_fsar(model, indices)
    decoder = entropy.Decoder(encoder.finish(), 3)
    again = entropy.load_fsar(entropy.save_fsar(model), layout="tree")
    assert again.tables.layout == "tree"
    assert np.array_equal(again.table_ids(indices), model.table_ids(indices))
    assert np.array_equal(decoder.pop_fsar(again, indices.shape), indices)
    decoder.finish()


def test_damage_is_refused():
    tables, model = entropy.save_tables(random_tables(0, 3, 8, 10)), entropy.save_fsar(merged_model(0))
    for data, load in ((tables, entropy.load_tables), (model, entropy.load_fsar)):
        for cut in range(len(data)):
            with pytest.raises(DamagedStreamError, match="truncated"):
                load(data[:cut])
        for at in range(len(data)):
            altered = bytearray(data)
            altered[at] ^= 0x10
            with pytest.raises((DamagedStreamError, UnsupportedVersionError)):
                load(bytes(altered))
        with pytest.raises(DamagedStreamError, match="extra bytes"):
            load(data + b"\0")
        newer = data[:4] + b"\2\0" + data[6:]
        with pytest.raises(UnsupportedVersionError, match="newer version"):
            load(newer)
    with pytest.raises(DamagedStreamError, match="kind"):
        entropy.load_tables(model)
    with pytest.raises(DamagedStreamError, match="kind"):
        entropy.load_fsar(tables)


@pytest.mark.parametrize(
    ("at", "field"),
    [
        (16, b"\xff\xff\xff\x7f"),  # tables that the file has no room for
        (24, b"\x07"),  # bits
        (36, b"\1\0\0\0"),  # an offset to what comes later
        (48, b"\6\0\0\0"),  # more contexts than the map has
    ],
)
def test_fields_are_checked_behind_the_checksum(at, field):
    data = bytearray(entropy.save_fsar(merged_model(0)))
    data[at : at + len(field)] = field
    data[-4:] = zlib.crc32(data[:-4]).to_bytes(4, "little")
    with pytest.raises(DamagedStreamError):
        entropy.load_fsar(bytes(data))


def test_a_layout_that_does_not_fit_is_the_callers_mistake():
    data = entropy.save_tables(random_tables(0, 2, 40, 16))
    with pytest.raises(ValueError, match="loading tables"):
        entropy.load_tables(data, layout="fused")


def test_a_merged_model_of_256_symbols_is_small():
    """Order 2, K = 256, 1,000 tables at 14 bits: below a byte a count, and a map of unordered runs."""
    rng = np.random.default_rng(0)
    logits = 2 * rng.normal(size=(1000, 256))
    weights = (np.exp(logits) / np.exp(logits).sum(1, keepdims=True) * 2**40).astype(np.uint64)
    tables = entropy.Tables(entropy.counts_from_weights(weights, 14), 14)
    assert tables.nbytes < tables.count * 256
    fallback = rng.integers(0, 1000, 257)  # of the first neighbour, for contexts hardly ever seen
    seen = rng.random((257, 257)) < 0.3
    context_map = np.where(seen, rng.integers(0, 1000, seen.shape), fallback[:, None]).astype(np.uint32)
    model = entropy.FSARModel(tables, NEIGHBOURS, 1, 256, context_map=context_map.reshape(1, -1))
    assert model.nbytes < 300_000
    assert model.expanded_nbytes < 8_000_000
    assert_same(model, entropy.load_fsar(entropy.save_fsar(model)))
