"""Bad tables, models and arguments are refused with an error that says what to do."""

from __future__ import annotations

import subprocess
import sys

import entropy_reference as ref
import numpy as np
import pytest

from fsar_lab import entropy
from fsar_lab.errors import SymbolRangeError, TableError


def good_tables(tables: int = 1, symbols: int = 4, bits: int = 10) -> entropy.Tables:
    return entropy.Tables(ref.random_counts(np.random.default_rng(0), tables, symbols, bits), bits)


@pytest.mark.parametrize(
    ("row", "bits", "error"),
    [
        ([100, 155], 8, TableError),  # sums to 255
        ([100, 157], 8, TableError),
        ([0, 0], 8, TableError),
        ([2**32 - 1, 257], 8, TableError),  # 256 modulo 2^32
        ([65536, 0], 16, TableError),
        ([128, 128], 7, ValueError),
        ([128, 128], 17, ValueError),
        ([], 8, ValueError),
    ],
)
def test_tables(row, bits, error):
    with pytest.raises(error):
        entropy.Tables(np.array([row], np.uint32), bits)


def test_tables_arrays():
    counts = np.full((2, 2), 128, np.uint32)
    with pytest.raises(TypeError, match="uint32"):
        entropy.Tables(counts.astype(np.int64), 8)
    with pytest.raises(TypeError, match="list"):
        entropy.Tables([[128, 128]], 8)
    with pytest.raises(ValueError, match="shape"):
        entropy.Tables(counts[0], 8)
    with pytest.raises(ValueError, match="contiguous"):
        entropy.Tables(np.full((2, 4), 128, np.uint32)[:, ::2], 8)
    with pytest.raises(ValueError, match="300 symbols at 16 bits"):
        entropy.Tables(ref.random_counts(np.random.default_rng(0), 1, 300, 16), 16, "fused")


def test_tables_give_their_counts_back():
    counts = ref.random_counts(np.random.default_rng(0), 3, 300, 16)
    tables = entropy.Tables(counts, 16)
    assert [tables.counts(i).tolist() for i in range(3)] == counts.tolist()
    assert (tables.count, tables.symbols, tables.bits) == (3, 300, 16)
    assert tables.nbytes == len(entropy.save_tables(tables))
    assert tables.expanded_nbytes >= tables.nbytes
    with pytest.raises(IndexError):
        tables.counts(3)


@pytest.mark.parametrize("offset", [(0, 0, 0), (0, 0, 1), (0, 1, -1), (1, -1, -1)])
def test_fsar_offsets_must_be_causal(offset):
    with pytest.raises(TableError, match="decoded earlier"):
        entropy.FSARModel(good_tables(5), [offset], 1, 4)


def test_fsar_models():
    with pytest.raises(TableError, match=r"25 contexts over 4 symbols \(24 tables given\)"):
        entropy.FSARModel(good_tables(24), [(0, -1, 0), (0, 0, -1)], 1, 4)
    with pytest.raises(ValueError, match="symbols"):
        entropy.FSARModel(good_tables(25), [(0, -1, 0), (0, 0, -1)], 1, 3)
    with pytest.raises(ValueError, match="at most 4"):
        entropy.FSARModel(good_tables(25), [(0, -1, 0)] * 5, 1, 4)
    with pytest.raises(ValueError, match="triples"):
        entropy.FSARModel(good_tables(25), [(0, -1)], 1, 4)


@pytest.mark.parametrize("tap", [(0, 0, 0), (1, 0, 0), (0, 0, 1), (0, 1, -1), (-1, 0, -1), (3, -1, 0)])
def test_pixel_taps_must_be_causal(tap):
    arguments = ref.pixel_arguments()
    arguments["taps"] = [[tap, (0, -1, 0), (0, 0, -1)], *arguments["taps"][1:]]
    with pytest.raises(TableError, match="decoded earlier"):
        entropy.PixelModel(**arguments)


@pytest.mark.parametrize(
    ("change", "error"),
    [
        (lambda a: a["cdf"].__setitem__((2, 1000), 65280), TableError),  # decreases after it
        (lambda a: a["cdf"].__setitem__((0, -1), 65281), TableError),  # too little left for 256 symbols
        (lambda a: a["weights"].__setitem__(0, [1 << 30, 0, 0]), TableError),
        (lambda a: a["weights"].__setitem__(0, [1 << 31, 0, 0]), ValueError),
        (lambda a: a["weights"].__setitem__(0, [1, 2]), ValueError),
        (lambda a: a["bias"].__setitem__(1, -(1 << 31)), TableError),
        (lambda a: a["bias"].append(0), ValueError),
        (lambda a: a["taps"].__setitem__(0, [(0, 0, -1)] * 13), ValueError),
        (lambda a: a["taps"].__setitem__(0, [(0, -1)] * 3), ValueError),
        (lambda a: a.__setitem__("cdf", a["cdf"].astype(np.int32)), TypeError),
        (lambda a: a.__setitem__("cdf", a["cdf"][:, :-1]), ValueError),
        (lambda a: a.__setitem__("mean_lut", a["mean_lut"][:-1]), ValueError),
    ],
)
def test_pixel_models(change, error):
    arguments = ref.pixel_arguments()
    change(arguments)
    with pytest.raises(error):
        entropy.PixelModel(**arguments)


def test_pixel_weights_in_one_row_are_the_same_model():
    arguments = ref.pixel_arguments()
    one = entropy.PixelModel(**arguments)
    arguments["weights"] = np.concatenate(arguments["weights"]).astype(np.int32)
    arguments["bias"] = np.array(arguments["bias"], np.int32)
    other = entropy.PixelModel(**arguments)
    assert (one.weights, one.bias, one.nbytes) == (other.weights, other.bias, other.nbytes)
    empty = ref.pixel_arguments(taps=False)
    empty["weights"] = np.zeros(0, np.int32)
    assert entropy.PixelModel(**empty).weights == ((), (), ())


def test_symbols_out_of_range():
    tables = entropy.Tables(np.array([[200, 0, 56, 0]], np.uint32), 8)
    encoder = entropy.Encoder(2)
    index = np.zeros((2, 3), np.uint32)
    good = np.zeros((2, 3), np.uint16)
    for symbol in (1, 3, 4, 65535):
        symbols = good.copy()
        symbols[1, 2] = symbol
        with pytest.raises(SymbolRangeError):
            encoder.push_indexed(tables, symbols, index)
    for direction in ("push", "pop"):
        with pytest.raises(SymbolRangeError, match="index"):
            if direction == "push":
                encoder.push_indexed(tables, good, index + 1)
            else:
                entropy.Decoder(encoder.finish(), 2).pop_indexed(tables, index + 1)
    encoder.push_indexed(tables, good, index)  # refused calls left no trace
    decoder = entropy.Decoder(encoder.finish(), 2)
    assert np.array_equal(decoder.pop_indexed(tables, index), good)
    decoder.finish()


def test_latents_and_scales_out_of_range():
    model = entropy.FSARModel(good_tables(5), [(0, 0, -1)], 1, 4)
    indices = np.zeros((40, 1, 3, 3), np.uint16)
    indices[39, 0, 2, 2] = 4
    encoder = entropy.Encoder(40)
    with pytest.raises(SymbolRangeError, match=r"images 0\.\.39"):
        encoder.push_fsar(model, indices)
    with pytest.raises(SymbolRangeError):
        model.table_ids(indices)
    pixels = entropy.PixelModel(**ref.pixel_arguments())
    data = np.zeros((40, 2, 2, 3), np.uint8)
    logits = np.zeros((40, 3, 2, 2), np.int16)
    scales = np.zeros(logits.shape, np.uint8)
    scales[0, 2, 0, 1] = pixels.scales
    with pytest.raises(SymbolRangeError):
        encoder.push_pixels(pixels, data, logits, scales)
    with pytest.raises(SymbolRangeError):
        entropy.Decoder(encoder.finish(), 40).pop_pixels(pixels, logits, scales)
    assert encoder.information() == 0


def test_arguments_of_the_coders():
    tables, index = good_tables(), np.zeros((3, 2), np.uint32)
    symbols = np.zeros((3, 2), np.uint16)
    encoder = entropy.Encoder(3)
    for bad in (0, -1):
        with pytest.raises(ValueError, match="num_images"):
            entropy.Encoder(bad)
        with pytest.raises(ValueError, match="num_images"):
            entropy.Decoder([], bad)
    with pytest.raises(TypeError, match="uint16"):
        encoder.push_indexed(tables, symbols.astype(np.int16), index)
    many = entropy.Tables(np.ones((1, 512), np.uint32), 9)
    with pytest.raises(TypeError, match="uint16"):  # 512 symbols do not fit a byte
        encoder.push_indexed(many, symbols.astype(np.uint8))
    with pytest.raises(TypeError, match="uint16"):
        entropy.Decoder(encoder.finish(), 3).pop_indexed(many, 2, np.uint8)
    with pytest.raises(ValueError, match="shape"):
        encoder.push_indexed(tables, symbols[:2], index[:2])
    with pytest.raises(ValueError, match="shape"):
        encoder.push_indexed(tables, symbols, index[:, :1])
    with pytest.raises(ValueError, match="ascontiguousarray"):
        encoder.push_indexed(tables, np.zeros((2, 3), np.uint16).T, index)
    model = entropy.FSARModel(good_tables(5), [(0, 0, -1)], 1, 4)
    decoder = entropy.Decoder(encoder.finish(), 3)
    for shape in ((2, 1, 4, 4), (3, 2, 4, 4), (3, 1, -1, 4)):
        with pytest.raises(ValueError, match="shape"):
            decoder.pop_fsar(model, shape)


def test_importing_needs_numpy_only():
    code = "import sys, fsar_lab.entropy; print(*sorted(sys.modules))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    modules = {name.split(".")[0] for name in run.stdout.split()}
    assert not modules & {"torch", "lightning", "hydra", "omegaconf", "wandb", "PIL", "safetensors", "rich"}
