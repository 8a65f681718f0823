"""Pixel parts beside the Gaussian's: coded losslessly, in the bits that the float model promises."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import nn

from fsar_lab import entropy
from fsar_lab.codec.codec import Codec
from fsar_lab.codec.integer_network import NetworkError
from fsar_lab.codec.mean_offset import MeanOffsetCoder
from fsar_lab.codec.mixture import MixtureCoder, MixtureTables, weight_table
from fsar_lab.codec.model import CodecModel
from fsar_lab.config.schema import (
    GaussianMeanOffsetConfig,
    LogisticConfig,
    LogisticLinearARConfig,
    LogisticMixtureConfig,
    ShallowConfig,
)
from fsar_lab.errors import DamagedStreamError, ExportError, SymbolRangeError, TableError
from fsar_lab.export import export
from fsar_lab.exporting.estimates import estimated_bits, float_bits
from fsar_lab.exporting.pixels import outputs, pixel_part
from fsar_lab.models.backbones.shallow import Shallow
from fsar_lab.models.coders.gaussian_mean_offset import GaussianMeanOffset
from fsar_lab.models.coders.logistic import Logistic
from fsar_lab.models.coders.logistic_linear_ar import LogisticLinearAR
from fsar_lab.models.coders.logistic_mixture import LogisticMixture
from fsar_lab.models.compressor import Compressor
from fsar_lab.tables.pixels import scale_grid, weight_exponentials

Images = Callable[..., NDArray[np.uint8]]
CODERS: dict[str, Callable[[], Any]] = {
    "mean_offset": lambda: GaussianMeanOffset(GaussianMeanOffsetConfig(sigmoid_mean=True)),
    "mean_offset_linear": lambda: GaussianMeanOffset(GaussianMeanOffsetConfig(num_scales=15)),
    "logistic": lambda: Logistic(LogisticConfig()),
    "logistic_linear_ar": lambda: LogisticLinearAR(LogisticLinearARConfig()),
    "mixture": lambda: LogisticMixture(LogisticMixtureConfig()),
}
KINDS = {"mean_offset": "mean_offset", "mean_offset_linear": "mean_offset", "mixture": "mixture"}


def compressor_with(coder: Any, base: Compressor, images: NDArray[np.uint8]) -> Compressor:
    """`base` with another coder and a synthesis network that gives what it wants."""
    torch.manual_seed(4)
    base.coder = coder
    channels = base.quantizer.groups * base.quantizer.dim
    head = Shallow(ShallowConfig(width=channels), coder.out_channels).head
    base.backbone.synthesis[-1] = head
    base.initialise(torch.from_numpy(images).permute(0, 3, 1, 2))
    with torch.no_grad():  # far enough from the start that means, scales and weights vary
        head.weight.mul_(3)
    return base.eval()


@pytest.fixture(scope="module")
def codecs(
    made_compressor: Callable[..., Compressor], made_images: Images
) -> dict[str, tuple[Compressor, Codec]]:
    """For each coder a compressor and its codec, one thread."""
    made = {}
    calibration = torch.from_numpy(made_images(48, seed=3)).permute(0, 3, 1, 2)
    for name, make in CODERS.items():
        compressor = compressor_with(make(), made_compressor(), made_images(48))
        made[name] = compressor, Codec(export(compressor, calibration, {}), threads=1)
    return made


@pytest.mark.parametrize("name", CODERS)
def test_lossless_and_as_small_as_promised(
    name: str, codecs: dict[str, tuple[Compressor, Codec]], made_images: Images
) -> None:
    compressor, codec = codecs[name]
    images = made_images(40, seed=5)
    parts = codec.encode_parts(images)
    assert np.array_equal(codec.decode(parts.data), images)
    estimated, exact = estimated_bits(compressor, codec, images), float_bits(compressor, images)
    assert parts.pixels == pytest.approx(estimated[1], rel=0.005)
    assert estimated[1] == pytest.approx(exact[1], rel=0.01)
    assert codec.model.pixels.kind == KINDS.get(name, "mean_scale")


@pytest.mark.parametrize("name", CODERS)
def test_images_of_any_size_and_threads(
    name: str, codecs: dict[str, tuple[Compressor, Codec]], made_images: Images
) -> None:
    codec = codecs[name][1]
    images = [made_images(1, side)[0][: side - cut] for side, cut in ((16, 3), (24, 0), (17, 16), (70, 1))]
    data = codec.encode(images)
    assert all(np.array_equal(a, b) for a, b in zip(codec.decode(data), images, strict=True))
    assert Codec(codec.model, threads=3).encode(images) == data
    assert Codec(codec.model, threads=2, engine="torch").encode(images) == data


@pytest.mark.parametrize("name", ["mean_offset", "logistic", "mixture"])
def test_files_hold_the_part(
    name: str, codecs: dict[str, tuple[Compressor, Codec]], made_images: Images, tmp_path: Path
) -> None:
    model, images = codecs[name][1].model, made_images(3, seed=8)
    model.save(tmp_path / "codec.fsarm")
    again = CodecModel.load(tmp_path / "codec.fsarm")
    assert again.id == model.id and type(again.pixels) is type(model.pixels)
    data = codecs[name][1].encode(images)
    assert np.array_equal(Codec(again, threads=1).decode(data), images)


def test_parts_do_not_go_with_another_network(codecs: dict[str, tuple[Compressor, Codec]]) -> None:
    models = {name: codec.model for name, (_, codec) in codecs.items()}
    for name, other in (("mixture", "logistic"), ("logistic", "mixture"), ("mean_offset", "mixture")):
        with pytest.raises(NetworkError, match="outputs do not fit"):
            replace(models[name], pixels=models[other].pixels).check()
    with pytest.raises(NetworkError, match="need a synthesis network"):
        models["mean_offset"].pixels.check(None)
    # 64 scales of the network, 15 of the tables
    with pytest.raises(NetworkError, match="outputs do not fit"):
        replace(models["mean_offset"], pixels=models["mean_offset_linear"].pixels).check()


def test_the_offset_is_the_rounded_mean(codecs: dict[str, tuple[Compressor, Codec]]) -> None:
    coder = codecs["mean_offset"][1].pixel_coder
    assert isinstance(coder, MeanOffsetCoder)
    logits = np.arange(-2048, 2048, dtype=np.int16).reshape(1, 1, 64, 64).repeat(3, 1)
    images = np.full((1, 64, 64, 3), 200, np.uint8)
    level = np.floor(255 / (1 + np.exp(-logits / 256)) + 0.5)
    sure = np.abs(255 / (1 + np.exp(-logits / 256)) % 1 - 0.5) > 0.02  # the look-up rounds, too
    assert (coder.residuals(images, logits) == (200 - level + 128) % 256)[sure].all()


# --- the mixture's integers -------------------------------------------------------------------


def mixture_coder(scales: int = 16) -> tuple[MixtureTables, MixtureCoder]:
    config = LogisticMixtureConfig(num_scales=scales)
    tables = pixel_part(LogisticMixture(config))
    assert isinstance(tables, MixtureTables)
    return tables, tables.make_coder()


def parameters(number: int, side: int, scales: int, seed: int) -> tuple[NDArray[np.int16], NDArray[np.uint8]]:
    generator = np.random.default_rng(seed)
    logits = generator.integers(-2048, 2048, (number, 12, side, side)).astype(np.int16)
    small = generator.integers(0, scales, logits.shape).astype(np.uint8)
    logits[:, 3::4] = generator.integers(-128, 128, logits[:, 3::4].shape)
    small[:, 3::4] = generator.integers(0, 256, small[:, 3::4].shape)
    return logits, small


def rows_of(
    tables: MixtureTables, logits: NDArray[np.int16], scales: NDArray[np.uint8]
) -> NDArray[np.uint16]:
    """The definition, in 64-bit integers: starts of the 256 levels, [N, 3, H, W, 256]."""
    e, components = tables.exponentials.astype(np.int64), tables.components
    a, b = logits[:, 3::4].astype(int), scales[:, 3::4].astype(int)
    total = e[a + 128] + e[b] + e[128]
    first, second = (e[a + 128] << 16) // total, (e[b] << 16) // total
    inner = np.arange(1, 256)
    acc = np.full((*a.shape, 255), 32768, np.int64)
    for k, weight in enumerate((first, second, 65536 - first - second)):
        base = components.mean_lut[logits[:, k::4].astype(int) + 2048].astype(np.int64)
        mean = np.clip((base * 4096 + 32768) >> 16, 0, 1020)
        t = 4 * inner - 2 - mean[..., None] + 1022
        acc += weight[..., None] * components.cdf[scales[:, k::4][..., None], t].astype(np.int64)
    starts = np.zeros((*a.shape, 256), np.int64)
    starts[..., 1:] = (acc >> 16) + inner
    assert (np.diff(starts) >= 1).all() and starts.max() < 65536
    return starts.astype(np.uint16)


@pytest.mark.parametrize("number", [1, 37])
def test_mixtures_are_coded_like_explicit_rows(number: int) -> None:
    """The same bytes as the definition's rows of counts give, one position after the other."""
    tables, coder = mixture_coder()
    logits, scales = parameters(number, 3, 16, seed=number)
    images = np.random.default_rng(5).integers(0, 256, (number, 3, 3, 3)).astype(np.uint8)
    encoder = entropy.Encoder(number)
    coder.push(encoder, images, (logits, scales))
    streams = encoder.finish()

    rows = rows_of(tables, logits, scales)
    reference = entropy.Encoder(number)
    for y, x, c in reversed(list(np.ndindex(3, 3, 3))):
        reference.push_rows(np.ascontiguousarray(rows[:, c, y, x]), 16, images[:, y, x, c].astype(np.uint16))
    assert streams == reference.finish()

    decoder = entropy.Decoder(streams, number)
    assert np.array_equal(coder.pop(decoder, (logits, scales), images.shape[:3]), images)
    decoder.finish()


def test_mixture_rows_are_the_mixture(made_images: Images) -> None:
    """Counts of 2^16 against the float mixture of the same parameters."""
    tables, _ = mixture_coder()
    logits, scales = parameters(2, 4, 16, seed=9)
    config = LogisticMixtureConfig(num_scales=16)
    grid = scale_grid(config.log_scale_min, config.log_scale_max, 16)
    theta = np.empty((2, 3, 4, 2, 4, 4))
    theta[:, :, :, 0] = (logits / 2048 + 0.5).reshape(2, 3, 4, 4, 4)
    theta[:, :, :, 1] = grid[np.minimum(scales, 15)].reshape(2, 3, 4, 4, 4)
    theta[:, :, 3, 0], theta[:, :, 3, 1] = logits[:, 3::4] / 16, (scales[:, 3::4].astype(int) - 128) / 16
    coder = LogisticMixture(config).double()
    full = torch.from_numpy(theta).view(2, 24, 4, 4)
    counts = np.diff(rows_of(tables, logits, scales).astype(int), append=65536)
    for level in (0, 1, 100, 200, 255):
        nats = coder.nats(full, torch.full((2, 3, 4, 4), level, dtype=torch.uint8))
        mass = np.exp(-nats.numpy())
        # 256 counts are kept back; means are a quarter of a level apart, which narrow scales feel.
        wide = scales.reshape(2, 3, 4, 4, 4)[:, :, :3].min(2) >= 8
        assert np.abs(counts[..., level] / 65536 - mass)[wide].max() < 0.004


def test_weights_are_shares_of_exponentials() -> None:
    table = weight_table(weight_exponentials(8.0)).astype(np.float64) / 65536
    a = (np.arange(256) - 128) / 16
    e = np.exp(a)
    total = e[:, None] + e[None, :] + 1
    np.testing.assert_allclose(table[..., 0], e[:, None] / total, atol=2e-5)
    np.testing.assert_allclose(table[..., 1], e[None, :] / total, atol=2e-5)


def test_mixtures_refuse_what_they_cannot_code() -> None:
    _, coder = mixture_coder()
    images = np.zeros((1, 2, 2, 3), np.uint8)
    logits, scales = parameters(1, 2, 16, seed=1)
    bad_scale, bad_weight = scales.copy(), logits.copy()
    bad_scale[0, 1, 0, 0] = 16
    bad_weight[0, 3, 0, 0] = 128
    encoder = entropy.Encoder(1)
    for arguments in ((logits, bad_scale), (bad_weight, scales)):
        with pytest.raises(SymbolRangeError):
            coder.push(encoder, images, arguments)
    weights = coder.weights.copy()
    weights[:] = 40000
    with pytest.raises(TableError):
        encoder.push_mixture(coder.model, weights, images, logits, scales)
    with pytest.raises(ValueError):
        encoder.push_mixture(coder.model, coder.weights, images, logits[:, :9], scales)
    coder.push(encoder, images, (logits, scales))
    (stream,) = encoder.finish()
    with pytest.raises(DamagedStreamError):
        coder.pop(entropy.Decoder([stream[:-6]], 1), (logits, scales), (1, 2, 2))


@pytest.mark.parametrize("name", ["mean_offset", "mixture"])
def test_damaged_parts_are_refused(name: str, codecs: dict[str, tuple[Compressor, Codec]]) -> None:
    part = codecs[name][1].model.pixels
    tensors: dict[str, NDArray[Any]] = {}
    description = part.put(tensors, lambda values: values)
    if name == "mixture":
        for wrong in (-tensors["pixels.exponentials"], tensors["pixels.exponentials"][:255]):
            with pytest.raises(DamagedStreamError):
                type(part).get(description, {**tensors, "pixels.exponentials": wrong})
    else:
        with pytest.raises(DamagedStreamError):
            type(part).get({**description, "scales": 0}, tensors)


def test_coders_without_integers_are_named(
    made_compressor: Callable[..., Compressor], made_images: Images
) -> None:
    class Other(nn.Module):
        config = LogisticConfig()

    for function in (outputs, pixel_part):
        with pytest.raises(ExportError, match="Other has no integer counterpart"):
            function(Other())
