"""Integer networks stay close to the float networks they come from, for every shape of backbone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import nn

from fsar_lab.codec.codec import Codec
from fsar_lab.codec.model import CodecModel
from fsar_lab.config.schema import GaussianConfig, UniformConfig
from fsar_lab.errors import ExportError
from fsar_lab.export import export
from fsar_lab.exporting.estimates import estimated_bits, float_bits
from fsar_lab.exporting.fold import fold
from fsar_lab.exporting.pixels import pixel_part
from fsar_lab.exporting.quantise import Options, Quantiser, prove
from fsar_lab.exporting.quantise_model import quantise_search
from fsar_lab.exporting.round_weights import Activation, round_weights
from fsar_lab.models.coders.gaussian import Gaussian
from fsar_lab.models.compressor import Compressor
from fsar_lab.models.priors.uniform import Uniform

Images = Callable[..., NDArray[np.uint8]]
SHAPES = [
    {"residual_blocks": 0},
    {"residual_blocks": 2},
    {"downsamples": 0},
    {"downsamples": 2, "groups": 1},
    {"width": 16, "groups": 4},
    {"residual_blocks": 2, "long_skip": True},
    {"pixel_shuffle": True},
    {"downsamples": 2, "pixel_shuffle": True, "long_skip": True},
]


@pytest.mark.parametrize(
    "shape",
    [{}, {"downsamples": 0}, {"residual_blocks": 3, "long_skip": True}, {"pixel_shuffle": True}],
    ids=str,
)
def test_folded_chain_is_the_network(
    shape: dict[str, int], made_compressor: Callable[..., Compressor]
) -> None:
    backbone = made_compressor(**shape).backbone
    for name, channels, side in (("analysis", 3, 16), ("synthesis", 8, 8)):
        network = getattr(backbone, name)
        x = torch.randn(2, channels, side, side)
        activations = [x]
        chain = fold(network)
        for layer in chain:
            out = layer(activations[-1], None if layer.skip is None else activations[layer.skip])
            activations.append(layer.shuffled(out.relu() if layer.relu else out))
        assert torch.allclose(activations[-1], network(x), atol=1e-5)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_integer_model_is_close(
    shape: dict[str, int], made_compressor: Callable[..., Compressor], made_images: Images
) -> None:
    compressor = made_compressor(**shape)
    images = made_images(32, seed=5)
    calibration = torch.from_numpy(made_images(48, seed=3)).permute(0, 3, 1, 2)
    codec = Codec(export(compressor, calibration, {}), threads=1)
    integer, exact = sum(estimated_bits(compressor, codec, images)), sum(float_bits(compressor, images))
    assert abs(integer / exact - 1) < 0.01
    assert np.array_equal(codec.decode(codec.encode(images)), images)


def test_shuffled_weights_share_a_unit_and_nothing_else(made_compressor: Callable[..., Compressor]) -> None:
    """Four outputs become one channel, which has one scale."""
    (layer,) = [
        layer
        for layer in fold(made_compressor(pixel_shuffle=True).backbone.synthesis)
        if layer.kind == "shuffle"
    ]
    inputs = layer.weight.shape[1]
    scale, power = np.linspace(0.01, 0.02, inputs), np.ones(inputs)
    weights = round_weights(layer, scale, power, None, 10)
    assert np.array_equal(weights.unit.reshape(-1, 4), np.repeat(weights.unit[::4, None], 4, 1))
    real = layer.weight.numpy() * scale[None, :, None, None]
    error = weights.values * weights.unit[:, None, None, None] - real
    kept = np.abs(real) <= 511 * weights.unit[:, None, None, None]  # the others are clipped
    assert (np.abs(error) <= 0.5001 * weights.unit[:, None, None, None])[kept].all() and kept.mean() > 0.99


def test_outputs_are_close(compressor: Compressor, codec: Codec, made_images: Images) -> None:
    """Logits within a few 1/256, scale indices within one, on the same indices."""
    indices = codec.analyse(made_images(16, seed=6))
    logits, scales = codec.synthesise(indices)
    with torch.no_grad():
        vectors = compressor.quantizer.lookup(torch.from_numpy(indices.astype(np.int64)))
        theta = compressor.backbone.synthesis(vectors).numpy()
    step = 7.0 / 63
    wanted = np.clip(theta[:, 0::2] * 256, -2048, 2047)
    assert np.sqrt(np.mean((logits - wanted) ** 2)) < 0.05 * max(20.0, wanted.std())
    assert np.abs(scales - np.clip((theta[:, 1::2] + 7) / step, 0, 63)).max() < 2


def test_exact_search_agrees_with_distances() -> None:
    generator = np.random.default_rng(0)
    codebooks = torch.from_numpy(generator.normal(size=(2, 16, 4)))
    y = generator.integers(-511, 512, (200, 8))
    scale, limit = np.full(8, 0.01), np.full(8, 511)
    search = quantise_search(codebooks, scale, limit)
    for group in range(2):
        part = y[:, 4 * group : 4 * group + 4]
        scores = part @ search.weight[group].T.astype(np.int64) + search.bias[group]
        real = ((part[:, None] * 0.01 - codebooks[group].numpy()) ** 2).sum(2)
        chosen = real[np.arange(200), scores.argmax(1)]
        assert (chosen - real.min(1)).max() < 0.02  # at most a near tie is decided otherwise


def test_linear_mean_and_uniform_prior(
    made_compressor: Callable[..., Compressor], made_images: Images
) -> None:
    compressor = made_compressor()
    compressor.coder = Gaussian(GaussianConfig())
    compressor.prior = Uniform(UniformConfig(), 2, 16, 4)
    compressor.initialise(torch.from_numpy(made_images(64)).permute(0, 3, 1, 2))
    calibration = torch.from_numpy(made_images(32, seed=3)).permute(0, 3, 1, 2)
    codec = Codec(export(compressor, calibration, {}), threads=1)
    images = made_images(40, seed=4)
    parts = codec.encode_parts(images)
    assert np.array_equal(codec.decode(parts.data), images)
    assert abs(parts.latents / (40 * 2 * 64 * 4) - 1) < 1e-3  # log2 16 bits each
    integer, exact = sum(estimated_bits(compressor, codec, images)), sum(float_bits(compressor, images))
    assert abs(integer / exact - 1) < 0.01
    assert abs((parts.latents + parts.pixels) / integer - 1) < 0.01
    assert pixel_part(compressor.coder).weights.size == 0


def test_proof_refuses_an_overflowing_layer(compressor: Compressor, model: CodecModel) -> None:
    layer = model.networks.analysis.layers[1]
    channels = layer.weight.shape[1]
    source = Activation(torch.empty(0), torch.empty(0), np.ones(channels), np.full(channels, 4095), False)
    wide = replace(layer, weight=np.full_like(layer.weight, 32767))
    with pytest.raises(ExportError, match=rf"analysis: layer {layer.name}: partial sums may reach"):
        prove(wide, source, None, "analysis")


def test_export_names_what_it_cannot_express(
    made_compressor: Callable[..., Compressor], calibration: torch.Tensor
) -> None:
    compressor = made_compressor()
    compressor.backbone.analysis[0].bias = nn.Parameter(torch.full((8,), 1e9))
    with pytest.raises(ExportError, match="analysis: layer 0: a bias lies beyond"):
        export(compressor, calibration, {})
    compressor = made_compressor()
    compressor.backbone.synthesis[1] = nn.Tanh()
    with pytest.raises(ExportError, match="layer 1: Tanh"):
        export(compressor, calibration, {})


def test_levels_are_reduced_until_the_proof_succeeds(
    compressor: Compressor, calibration: torch.Tensor
) -> None:
    """A layer with many inputs gets fewer activation levels, never an overflow."""
    wide = nn.Sequential(nn.Conv2d(3, 64, 1), nn.ReLU(), nn.Conv2d(64, 4, 3, padding=1))
    quantiser = Quantiser(fold(wide), Options(), "wide")
    integer = calibration.float() * 2 - 255
    limit = np.full(3, 255)
    quantiser.start(Activation(integer / 510, integer, np.full(3, 1 / 510), limit, True))
    quantiser.step()
    quantiser.step()
    first = quantiser.network().layers[0]
    assert 100 < first.high.max() < 2047


def test_export_leaves_the_compressor_alone(
    made_compressor: Callable[..., Compressor], calibration: torch.Tensor
) -> None:
    compressor = made_compressor().train()
    before = {name: value.clone() for name, value in compressor.state_dict().items()}
    export(compressor, calibration, {})
    assert compressor.training
    assert all(torch.equal(before[name], value) for name, value in compressor.state_dict().items())


@pytest.mark.slow
def test_the_standard_backbone_becomes_integers(
    made_compressor: Callable[..., Compressor], made_images: Images
) -> None:
    """5.9 million parameters: 2,304 products a sum leave few activation levels, still enough."""
    compressor = made_compressor(width=256, groups=8, k=16, downsamples=2, residual_blocks=2)
    compressor.prior = Uniform(UniformConfig(), 8, 16, 32)
    images = made_images(8, 32, seed=5)
    calibration = torch.from_numpy(made_images(16, 32, seed=3)).permute(0, 3, 1, 2)
    codec = Codec(export(compressor, calibration, {}), threads=1)
    assert np.array_equal(codec.decode(codec.encode(images)), images)
    integer, exact = sum(estimated_bits(compressor, codec, images)), sum(float_bits(compressor, images))
    assert abs(integer / exact - 1) < 0.02
