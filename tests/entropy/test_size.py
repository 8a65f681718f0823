"""Coded sizes: within 0.2 % of the cross-entropy under the tables, and an exact account of who spent what."""

from __future__ import annotations

import math

import entropy_reference as ref
import numpy as np
import pytest

from fsar_lab import entropy


def sizes(encoder: entropy.Encoder) -> tuple[int, float]:
    """Bits of the words and bits of information."""
    bits = 8 * sum(len(stream) for stream in encoder.finish()) - 32 * encoder.num_images
    return bits, encoder.information()


@pytest.mark.parametrize("bits", [12, 13, 14, 15])
@pytest.mark.parametrize("power", [1, 6])
def test_indexed(bits, power):
    rng = np.random.default_rng(bits)
    counts = ref.random_counts(rng, 16, 100, bits, power)
    tables = entropy.Tables(counts, bits)
    index = rng.integers(0, 16, (32, 4000)).astype(np.uint32)
    edges = np.cumsum(counts, 1)
    slots = rng.integers(0, 1 << bits, index.shape)
    symbols = np.stack([(edges[i] <= s[:, None]).sum(1) for i, s in zip(index, slots, strict=True)])
    encoder = entropy.Encoder(32)
    encoder.push_indexed(tables, symbols.astype(np.uint16), index)
    ideal = -np.log2(counts[index, symbols] / 2**bits).sum()
    words, information = sizes(encoder)
    assert words == pytest.approx(ideal, rel=0.002)
    assert information == pytest.approx(ideal, rel=0.0005)


def test_fsar_and_pixels_share_the_states():
    rng = np.random.default_rng(3)
    counts = ref.random_counts(rng, 17**2, 16, 14)
    fsar = entropy.FSARModel(entropy.Tables(counts, 14), [(0, -1, 0), (0, 0, -1)], 1, 16)
    arguments = ref.pixel_arguments()
    pixels = entropy.PixelModel(**arguments)
    logits = rng.integers(-800, 800, (32, 3, 24, 24)).astype(np.int16)
    scales = rng.integers(1, 6, logits.shape).astype(np.uint8)
    noise = entropy.Decoder([rng.integers(1, 256, 200_000).astype(np.uint8).tobytes()], 32)
    indices = noise.pop_fsar(fsar, (32, 1, 16, 16))  # samples of the models
    data = noise.pop_pixels(pixels, logits, scales)

    encoder = entropy.Encoder(32)
    encoder.push_pixels(pixels, data, logits, scales)
    pixel_bits = encoder.information()
    encoder.push_fsar(fsar, indices)
    latent_bits = encoder.information() - pixel_bits

    latent_ideal = -np.log2(counts[fsar.table_ids(indices), indices] / 2**14).sum()
    means = pixels.mean_index(data, logits).astype(np.int64)
    values = np.moveaxis(data, 3, 1).astype(np.int64)

    def cumulative(value: np.ndarray) -> np.ndarray:
        inner = (
            arguments["cdf"][scales, np.clip(4 * value - 2 - means + 1022, 0, 2044)].astype(np.int64) + value
        )
        return np.where(value == 0, 0, np.where(value == 256, 65536, inner))

    pixel_ideal = -np.log2((cumulative(values + 1) - cumulative(values)) / 65536).sum()
    assert latent_bits == pytest.approx(latent_ideal, rel=0.0002)
    assert pixel_bits == pytest.approx(pixel_ideal, rel=0.0002)
    words, information = sizes(encoder)
    assert words == pytest.approx(latent_ideal + pixel_ideal, rel=0.002)
    assert information == pytest.approx(latent_bits + pixel_bits)


def test_information_of_one_symbol():
    tables = entropy.Tables(np.array([[64, 192]], np.uint32), 8)
    encoder = entropy.Encoder(1)
    encoder.push_indexed(tables, np.array([[0]], np.uint16), np.zeros((1, 1), np.uint32))
    assert encoder.information() == pytest.approx(math.log2(256 / 64))
