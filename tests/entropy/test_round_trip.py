"""What goes in comes out, for every path, shape, layout and number of threads."""

from __future__ import annotations

import entropy_reference as ref
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fsar_lab import entropy

SETTINGS = settings(max_examples=150, deadline=None)
KINDS = ("random", "constant", "least", "most", "hardest")
OFFSETS = {
    0: [],
    1: [(0, -1, 0)],
    2: [(0, -1, 0), (0, 0, -1)],
    3: [(-1, 0, 0), (0, -1, 1), (0, 0, -2)],
    4: [(-1, 0, 0), (-2, 1, 0), (0, -1, -1), (0, -2, 3)],
}


def symbols_of(kind: str, rng: np.random.Generator, shape: tuple[int, ...], size: int) -> np.ndarray:
    if kind == "random":
        return rng.integers(0, size, shape)
    return np.full(shape, {"constant": size // 2, "least": 0}.get(kind, size - 1))


@SETTINGS
@given(
    seed=st.integers(0, 2**32),
    images=st.sampled_from([1, 2, 31, 32, 33, 70]),
    positions=st.sampled_from([0, 1, 5, 192, 193, 400]),
    size=st.sampled_from([1, 2, 40, 256, 257, 2000]),
    bits=st.integers(8, 16),
    kind=st.sampled_from(KINDS),
    layout=st.sampled_from(["auto", "tree", "buckets", "splits"]),
)
def test_indexed(seed, images, positions, size, bits, kind, layout):
    rng = np.random.default_rng(seed)
    size = min(size, 1 << bits)
    if bits == 16:
        size = max(size, 2)
    if size > 257 and layout in ("buckets", "splits"):
        layout = "tree"  # there are none for so many symbols
    counts = ref.random_counts(rng, 3, size, bits)
    tables = entropy.Tables(counts, bits, layout)
    index = rng.integers(0, 3, (images, positions)).astype(np.uint32)
    symbols = symbols_of(kind, rng, index.shape, size).astype(np.uint16)
    if kind == "hardest":
        symbols = counts.argmin(1)[index].astype(np.uint16)
    encoder = entropy.Encoder(images)
    encoder.push_indexed(tables, symbols, index)
    decoder = entropy.Decoder(encoder.finish(), images)
    assert np.array_equal(decoder.pop_indexed(tables, index), symbols)
    decoder.finish()
    if size <= 256:  # one byte a symbol: the same stream
        narrow = entropy.Encoder(images)
        narrow.push_indexed(tables, symbols.astype(np.uint8), index)
        streams = narrow.finish()
        assert streams == encoder.finish()
        decoder = entropy.Decoder(streams, images)
        decoded = decoder.pop_indexed(tables, index, np.uint8)
        assert decoded.dtype == np.uint8
        assert np.array_equal(decoded, symbols)
        decoder.finish()


@SETTINGS
@given(
    seed=st.integers(0, 2**32),
    images=st.sampled_from([1, 5, 32, 40]),
    order=st.integers(0, 4),
    groups=st.integers(1, 4),
    sides=st.sampled_from([(1, 1), (1, 6), (6, 1), (5, 4), (2, 200)]),
    size=st.integers(1, 6),
    bits=st.integers(8, 15),
    kind=st.sampled_from(KINDS),
    layout=st.sampled_from(["auto", "tree", "buckets", "splits"]),
)
def test_fsar(seed, images, order, groups, sides, size, bits, kind, layout):
    rng = np.random.default_rng(seed)
    counts = ref.random_counts(rng, groups * (size + 1) ** order, size, bits)
    model = entropy.FSARModel(entropy.Tables(counts, bits, layout), OFFSETS[order], groups, size)
    indices = symbols_of(kind, rng, (images, groups, *sides), size).astype(np.uint16)
    encoder = entropy.Encoder(images)
    encoder.push_fsar(model, indices)
    decoder = entropy.Decoder(encoder.finish(), images)
    assert np.array_equal(decoder.pop_fsar(model, indices.shape), indices)
    decoder.finish()


@SETTINGS
@given(
    seed=st.integers(0, 2**32),
    images=st.sampled_from([1, 3, 32, 45]),
    sides=st.sampled_from([(1, 1), (1, 9), (9, 1), (7, 5), (2, 100)]),
    colours=st.sampled_from([1, 2, 3, 4]),
    kind=st.sampled_from(KINDS),
    taps=st.booleans(),
)
def test_pixels(seed, images, sides, colours, kind, taps):
    rng = np.random.default_rng(seed)
    model = entropy.PixelModel(**ref.pixel_arguments(taps, colours))
    data = symbols_of(kind, rng, (images, *sides, colours), 256).astype(np.uint8)
    logits = rng.integers(-3000, 3000, (images, colours, *sides)).astype(np.int16)
    scales = rng.integers(0, model.scales, logits.shape).astype(np.uint8)
    if kind == "hardest":  # the mean at the other end, the narrowest scale
        logits[:], scales[:] = -32768, 0
    encoder = entropy.Encoder(images)
    encoder.push_pixels(model, data, logits, scales)
    decoder = entropy.Decoder(encoder.finish(), images)
    assert np.array_equal(decoder.pop_pixels(model, logits, scales), data)
    decoder.finish()


def everything(images: int, threads: int) -> tuple[list[bytes], list[float]]:
    """Pixels, latents and indexed symbols of a batch on the same states; checks the way back."""
    rng = np.random.default_rng(images)
    pixels = entropy.PixelModel(**ref.pixel_arguments())
    fsar = entropy.FSARModel(entropy.Tables(ref.random_counts(rng, 50, 4, 12), 12), OFFSETS[2], 2, 4)
    tables = entropy.Tables(ref.random_counts(rng, 7, 100, 14), 14)
    data = rng.integers(0, 256, (images, 6, 5, 3)).astype(np.uint8)
    logits = rng.integers(-2048, 2048, (images, 3, 6, 5)).astype(np.int16)
    scales = rng.integers(0, 6, logits.shape).astype(np.uint8)
    indices = rng.integers(0, 4, (images, 2, 3, 3)).astype(np.uint16)
    index = rng.integers(0, 7, (images, 11)).astype(np.uint32)
    symbols = rng.integers(0, 100, index.shape).astype(np.uint16)

    encoder = entropy.Encoder(images, threads)
    bits = [encoder.information()]
    encoder.push_pixels(pixels, data, logits, scales)
    bits.append(encoder.information())
    encoder.push_fsar(fsar, indices)
    bits.append(encoder.information())
    encoder.push_indexed(tables, symbols, index)
    bits.append(encoder.information())
    groups = encoder.finish()

    decoder = entropy.Decoder(groups, images, threads)
    assert np.array_equal(decoder.pop_indexed(tables, index), symbols)
    assert np.array_equal(decoder.pop_fsar(fsar, indices.shape), indices)
    assert np.array_equal(decoder.pop_pixels(pixels, logits, scales), data)
    decoder.finish()
    if images > 32:  # the second group alone
        part = slice(32, min(64, images))
        decoder = entropy.Decoder(groups[1:2], part.stop - part.start)
        assert np.array_equal(decoder.pop_indexed(tables, index[part]), symbols[part])
        assert np.array_equal(decoder.pop_fsar(fsar, indices[part].shape), indices[part])
        assert np.array_equal(decoder.pop_pixels(pixels, logits[part], scales[part]), data[part])
        decoder.finish()
    return groups, bits


@pytest.mark.parametrize("images", [1, 32, 100, 333])
def test_one_state_carries_all_and_threads_change_nothing(images):
    groups, bits = everything(images, 1)
    assert everything(images, 4) == (groups, bits)
    assert len(groups) == -(-images // 32)
    assert bits[0] == 0
    assert bits == sorted(bits)
    # Bytes are the information plus what the final states leave unused: 16 to 32 bits an image.
    spent = 8 * sum(map(len, groups))
    assert 16 * images <= spent - bits[-1] <= 32 * images


def test_bytes_of_a_group_do_not_depend_on_the_batch():
    rng = np.random.default_rng(5)
    tables = entropy.Tables(ref.random_counts(rng, 1, 9, 10), 10)
    symbols = rng.integers(0, 9, (96, 30)).astype(np.uint16)
    index = np.zeros(symbols.shape, np.uint32)

    def code(part: slice) -> list[bytes]:
        encoder = entropy.Encoder(len(symbols[part]))
        encoder.push_indexed(tables, symbols[part], index[part])
        return encoder.finish()

    assert code(slice(0, 96)) == code(slice(0, 32)) + code(slice(32, 96))


def test_order_2_with_256_symbols_and_two_groups():
    rng = np.random.default_rng(6)
    some = ref.random_counts(rng, 997, 256, 14)
    tables = entropy.Tables(some[np.arange(2 * 257**2) % 997], 14)
    model = entropy.FSARModel(tables, OFFSETS[2], 2, 256)
    assert tables.count == 132_098
    assert model.expanded_nbytes < 128e6
    indices = rng.integers(0, 256, (40, 2, 8, 8)).astype(np.uint16)
    encoder = entropy.Encoder(40)
    encoder.push_fsar(model, indices)
    decoder = entropy.Decoder(encoder.finish(), 40)
    assert np.array_equal(decoder.pop_fsar(model, indices.shape), indices)
    decoder.finish()
    counts = some[model.table_ids(indices) % 997, indices]
    assert encoder.information() == pytest.approx(-np.log2(counts / 2**14).sum(), rel=0.002)
