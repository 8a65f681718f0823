"""Bits-back coding: its distributions, what a chain costs, its order, its first bits, and damage."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import smooth_images
from numpy.typing import NDArray

from fsar_lab import entropy
from fsar_lab.codec import bits_back, tiling
from fsar_lab.codec.bits_back import initial_words
from fsar_lab.codec.codec import Codec
from fsar_lab.codec.integer_network import NetworkError
from fsar_lab.codec.mean_scale import MeanScaleTables
from fsar_lab.codec.model import CodecModel
from fsar_lab.codec.posterior import Posterior
from fsar_lab.codec.prior import PriorTables
from fsar_lab.codec.rows import Rows
from fsar_lab.config.compose import compose
from fsar_lab.config.schema import GaussianLatentsConfig
from fsar_lab.errors import CodingError, DamagedStreamError
from fsar_lab.export import export
from fsar_lab.exporting.estimates import estimated_bits, float_bits
from fsar_lab.exporting.quantise_posterior import normal_prior, posterior_bits, posterior_tables, prune
from fsar_lab.models.build import build_compressor
from fsar_lab.models.compressor import Compressor
from fsar_lab.models.quantizers.gaussian import GaussianLatents

OPTIONS = ["quantizer=gaussian", "prior=none", "coder=bits_back", "dataset=fake", "backbone=shallow"]
LATENTS = GaussianLatents(GaussianLatentsConfig(channels=2))


@pytest.fixture(scope="module")
def trained() -> Compressor:
    """Four latents a position, trained until they say something."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = build_compressor(compose([*OPTIONS, "backbone.width=8", "quantizer.channels=4"]))
        x = torch.from_numpy(smooth_images(512, seed=8)).permute(0, 3, 1, 2).contiguous()
        model.initialise(x)
        optimizer = torch.optim.Adam(model.parameters(), 1e-2)
        for step in range(120):
            optimizer.zero_grad()
            model(x[step * 16 % 512 :][:16]).loss.backward()
            optimizer.step()
    return model.eval()


@pytest.fixture(scope="module")
def model(trained: Compressor, calibration: torch.Tensor) -> CodecModel:
    return export(trained, calibration, {})


@pytest.fixture(scope="module")
def codec(model: CodecModel) -> Codec:
    return Codec(model, threads=1)


@pytest.fixture
def short_chains(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bits_back, "CHAIN", 3)


def row_of(cdf: NDArray[np.uint16], bits: int, floor: int, mean: int, scale: int) -> list[int]:
    """Where the symbols begin and the last one ends, by the formula."""
    inner = [int(cdf[scale, 1022 + 4 * j - 2 - mean]) + floor * j for j in range(1, 256)]
    return [0, *inner, 1 << bits]


def test_rows_are_those_of_the_formula(model: CodecModel) -> None:
    assert model.networks and isinstance(model.networks.search, Posterior)
    assert isinstance(model.pixels, MeanScaleTables)
    generator = np.random.default_rng(0)
    for cdf, bits, floor in ((model.networks.search.cdf, 15, 0), (model.pixels.cdf, 16, 1)):
        rows = Rows(cdf, bits, floor)
        mean = np.array([0, 1020, 510, *generator.integers(0, 1021, 20)], np.uint16)
        scale = np.array([0, 63, 0, *generator.integers(0, 64, 20)], np.uint16)
        starts = rows.starts(mean, scale)
        for got, m, s in zip(starts, mean.tolist(), scale.tolist(), strict=True):
            assert got.tolist() == row_of(cdf, bits, floor, m, s)[:256]


@pytest.mark.parametrize("floor", [0, 1])
def test_pushing_an_interval_is_pushing_its_symbol(model: CodecModel, floor: int) -> None:
    """The short rows of `push` write the same as whole rows, the first and last symbol included."""
    assert model.networks and isinstance(model.networks.search, Posterior)
    assert isinstance(model.pixels, MeanScaleTables)
    cdf, bits = (model.pixels.cdf, 16) if floor else (model.networks.search.cdf, 15)
    rows, generator = Rows(cdf, bits, floor), np.random.default_rng(1)
    mean = np.array([0, 1020, 0, 1020, *generator.integers(0, 1021, 5000)], np.uint16)
    scale = np.array([0, 0, 63, 63, *generator.integers(0, 64, 5000)], np.uint16)
    words = generator.integers(0, 1 << 16, 8000).astype(np.uint16)
    stack = entropy.Stack(words)
    before = stack.to_bytes()
    symbols = rows.pop(stack, mean, scale)
    assert {0, 255} <= set(symbols.tolist())
    popped = entropy.Stack.from_bytes(stack.to_bytes())
    rows.push(stack, mean, scale, symbols)
    assert stack.to_bytes() == before
    popped.push_rows(rows.starts(mean, scale), bits, symbols)
    assert popped.to_bytes() == before


def test_tables_are_normal_distributions() -> None:
    """The divergence of the integer tables is the closed form, while a posterior is wider than a bin."""
    prior = normal_prior(LATENTS).counts[0] / 2.0**16
    edges = (np.arange(1, 256) * 2 - 1) * 4 / 255 - 4
    cdf = np.array([0, *(0.5 * math.erfc(-e / math.sqrt(2)) for e in edges), 1])
    assert prior.sum() == pytest.approx(1)
    np.testing.assert_allclose(prior, np.diff(cdf), rtol=3e-3, atol=2.0**-16)  # logits have 8 bits
    rows = Rows(posterior_tables(LATENTS).cdf, 15, 0)
    for mean in (510, 700, 330):
        for scale in (10, 30, 49):
            starts = rows.starts(np.array([mean], np.uint16), np.array([scale], np.uint16))[0]
            q = np.diff([*starts.astype(np.int64), 1 << 15]) / 2.0**15
            seen = q[q > 0]
            got = float((seen * np.log2(seen / prior[q > 0])).sum())
            pairs = np.array([mean, scale], np.uint16).reshape(1, 2, 1, 1)
            assert got == pytest.approx(posterior_bits(LATENTS, pairs), rel=0.02, abs=0.02)


def test_samples_lie_where_the_posterior_says(codec: Codec) -> None:
    pairs = np.zeros((1, 4, 100, 100), np.uint16)
    pairs[:, 0], pairs[:, 1], pairs[:, 2], pairs[:, 3] = 600, 20, 300, 40
    assert codec.model.networks and isinstance(codec.model.networks.search, Posterior)
    bins = bits_back.sample(codec.model.networks.search, pairs).astype(np.float64)
    sigma = np.exp(np.linspace(-3.5, 1, 64)) * 255 / 8
    assert bins[0, 0].mean() == pytest.approx(600 / 4, abs=0.2)
    assert bins[0, 0].std() == pytest.approx(sigma[20], rel=0.05)
    assert bins[0, 1].mean() == pytest.approx(300 / 4, abs=0.5)
    assert bins[0, 1].std() == pytest.approx(sigma[40], rel=0.05)


def test_a_chain_costs_the_negative_evidence_lower_bound(trained: Compressor, codec: Codec) -> None:
    images = smooth_images(300, seed=5)
    encoded = codec.encode_parts(images)
    spent = encoded.latents + encoded.pixels
    assert spent == pytest.approx(sum(estimated_bits(trained, codec, images)), rel=0.01)
    assert spent == pytest.approx(sum(float_bits(trained, images)), rel=0.01)
    assert encoded.latents > 0.02 * encoded.pixels  # the latents do say something
    assert 8 * len(encoded.data) == pytest.approx(spent + encoded.initial, rel=0.002)
    assert np.array_equal(codec.decode(encoded.data), images)


def streams_of(codec: Codec, images: NDArray[np.uint8]) -> list[bytes]:
    """Of the chains of images of one size."""
    (part,) = tiling.in_groups(tiling.size_runs(images), codec.model.cut)
    return codec._encode_groups(part, images).streams


def test_a_chain_is_decoded_from_its_end(codec: Codec) -> None:
    """A decoder written after the format, symbol by symbol."""
    images = smooth_images(3, side=4)
    stream = streams_of(codec, images)[0]
    model = codec.model
    assert model.networks and codec.networks and isinstance(model.networks.search, Posterior)
    assert isinstance(model.prior, PriorTables) and isinstance(model.pixels, MeanScaleTables)
    posterior, groups = model.networks.search.cdf, model.networks.groups
    initial, stack = int.from_bytes(stream[:4], "little"), entropy.Stack.from_bytes(stream[4:])
    prior = entropy.Tables(model.prior.counts, 16)

    def pop(cdf: NDArray[np.uint16], mean: int, scale: int) -> int:
        return int(stack.pop_rows(np.array([row_of(cdf, 16, 1, mean, scale)[:256]], np.uint16), 16)[0])

    z = stack.pop(prior, groups * 4)
    for left in (2, 1, 0):
        logits, scales = codec.networks[1](z.reshape(1, groups, 2, 2))
        image = np.zeros((4, 4, 3), np.uint8)
        for colour, row, column in np.ndindex(3, 4, 4):
            base = int(model.pixels.mean_lut[2048 + int(logits[0, colour, row, column])])
            mean = min(max((base * 4096 + (1 << 15)) >> 16, 0), 1020)
            image[row, column, colour] = pop(model.pixels.cdf, mean, int(scales[0, colour, row, column]))
        assert np.array_equal(image, images[left])
        following = stack.pop(prior, groups * 4) if left else z
        pairs = codec.networks[0](image[None])[0]
        for g, row, column in reversed(list(np.ndindex(groups, 2, 2))):
            m, s = (int(v) for v in pairs[2 * g : 2 * g + 2, row, column])
            symbol = z.reshape(groups, 2, 2)[g, row, column]
            starts = np.array([row_of(posterior, 15, 0, m, s)[:256]], np.uint16)
            stack.push_rows(starts, 15, np.array([symbol], np.uint16))
        z = following
    assert stack.to_bytes() == entropy.Stack(initial_words(initial)).to_bytes()


def test_initial_words_are_a_fixed_sequence_and_counted(codec: Codec) -> None:
    assert initial_words(3).tolist() == initial_words(7)[-3:].tolist()
    assert initial_words(2).tolist() == [30026, 48941]
    image = smooth_images(1)
    encoded = codec.encode_parts(image)
    stream = streams_of(codec, image)[0]
    assert encoded.initial == 16 * int.from_bytes(stream[:4], "little") > 0
    assert encoded.initial < encoded.overhead < encoded.initial + 8 * 200  # header, directory, state
    assert codec.encode(image) == encoded.data
    many = codec.encode_parts(smooth_images(100))
    assert many.initial < 1.5 * encoded.initial and many.bpd < encoded.bpd


@pytest.mark.usefixtures("short_chains")
@pytest.mark.parametrize("engine", ["c", "torch"])
def test_sizes_chains_threads_and_engines(codec: Codec, model: CodecModel, engine: str) -> None:
    images = [
        *smooth_images(7, side=16),
        *(smooth_images(2, side=side)[:, : side - 3] for side in (70, 33)),
        np.full((64, 64, 3), 255, np.uint8),
        np.random.default_rng(0).integers(0, 256, (1, 5, 3), np.uint8),
    ]
    images = [image for part in images for image in (part if part.ndim == 4 else part[None])]
    data = codec.encode(images)
    other = Codec(model, threads=2, engine=engine)
    assert other.encode(images) == data
    assert all(map(np.array_equal, other.decode(data), images))
    for chosen in (0, 5, 8, len(images) - 1):
        assert np.array_equal(codec.decode(data, only=chosen), images[chosen])


def test_flat_images_are_not_taken_for_damage(codec: Codec) -> None:
    images = np.full((40, 64, 64, 3), 255, np.uint8)
    assert np.array_equal(codec.decode(codec.encode(images)), images)


@pytest.mark.usefixtures("short_chains")
def test_damage_loses_the_chain_that_it_is_in(codec: Codec) -> None:
    images = smooth_images(8)
    data = codec.encode(images)
    lengths = [len(stream) for stream in streams_of(codec, images)]
    start = len(data) - 4 - sum(lengths)
    generator = np.random.default_rng(0)
    for place in (0, 2, 4, 9, *generator.integers(10, lengths[1], 20)):
        broken = bytearray(data)
        broken[start + lengths[0] + int(place)] ^= 1 << int(generator.integers(8))
        with pytest.raises(DamagedStreamError) as caught:
            codec.decode(bytes(broken))
        assert caught.value.images == (3, 4, 5)
        found = codec.decode(bytes(broken), salvage=True)
        assert [i for i, image in enumerate(found) if image is None] == [3, 4, 5]
        assert all(np.array_equal(found[i], images[i]) for i in (0, 1, 2, 6, 7))
    found = codec.decode(data[:-10], salvage=True)
    assert [i for i, image in enumerate(found) if image is None] == [6, 7]
    stream = streams_of(codec, images[:3])[0]
    assert codec.chain_coder and codec.networks
    for wrong in (b"", stream[:7], b"\xff\xff\xff\xff" + stream[4:], stream + b"\0\0", stream[:-2]):
        with pytest.raises(CodingError):
            codec.chain_coder.decode(memoryview(wrong), 3, (16, 16), codec.networks)


def test_the_bundle_is_read_back(model: CodecModel, codec: Codec, tmp_path: Path) -> None:
    model.save(tmp_path / "codec.fsarm")
    loaded = CodecModel.load(tmp_path / "codec.fsarm")
    assert loaded.id == model.id and loaded.chained and loaded.cut.lanes == bits_back.CHAIN
    images = smooth_images(3)
    assert np.array_equal(Codec(loaded).decode(codec.encode(images)), images)


def test_parts_that_do_not_fit_are_refused(model: CodecModel) -> None:
    networks = model.networks
    assert networks and isinstance(networks.search, Posterior) and isinstance(model.prior, PriorTables)
    assert isinstance(model.pixels, MeanScaleTables)
    cdf = networks.search.cdf
    falling, large = cdf.copy(), cdf.copy()
    falling[3, 1030] = 0
    large[0, -1] = (1 << 15) + 1
    taps = replace(model.pixels, taps=(((0, 0, -1),), (), ()), weights=np.zeros(1, np.int32))
    for broken in (
        replace(model, networks=replace(networks, search=Posterior(falling))),
        replace(model, networks=replace(networks, search=Posterior(large))),
        replace(model, networks=replace(networks, search=Posterior(cdf[:10]))),
        replace(model, networks=replace(networks, search=Posterior(cdf[:, :-1]))),
        replace(model, pixels=taps),
    ):
        with pytest.raises(NetworkError):
            broken.check()
    contexts = np.zeros((model.prior.groups, 257), np.uint16)
    with pytest.raises(NetworkError, match="without contexts"):
        replace(model, prior=replace(model.prior, offsets=((0, 0, -1),), context_map=contexts)).check()


def test_channels_that_say_nothing_are_left_out(trained: Compressor, calibration: torch.Tensor) -> None:
    model = build_compressor(compose([*OPTIONS, "backbone.width=8", "quantizer.channels=4"])).eval()
    model.load_state_dict(trained.state_dict())
    head, first = model.backbone.analysis[-1], model.backbone.synthesis[0]
    with torch.no_grad():
        said = model(calibration).latent_nats.mean((0, 2, 3))
        silent = said.argsort()[:2].tolist()
        for channel in silent:
            for row in (channel, channel + 4):  # N(0, 1), whatever the image
                head.weight[row], head.bias[row] = 0, 0
            first.weight[:, channel] = 0
        kept = [c for c in range(4) if c not in silent and said[c] >= 0.02]
        before = model(calibration)
        prune(model, calibration)
        after = model(calibration)
    assert 1 <= model.quantizer.groups == len(kept) <= 2
    torch.testing.assert_close(after.latent_nats, before.latent_nats[:, kept])
    torch.testing.assert_close(after.pixel_nats.mean(), before.pixel_nats.mean(), rtol=0.01, atol=0)
    integer = export(model, calibration, {})
    assert integer.networks and integer.networks.groups == len(kept)
