"""Gaussian posteriors and their bins: the divergence, the sampling and every gradient."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor
from torch.distributions import Normal, kl_divergence

from fsar_lab.config.compose import compose
from fsar_lab.config.schema import GaussianLatentsConfig
from fsar_lab.data.fake import smooth_images
from fsar_lab.errors import ConfigError
from fsar_lab.models.build import build_compressor
from fsar_lab.models.compressor import Compressor
from fsar_lab.models.quantizers.gaussian import BINS, GaussianLatents

OPTIONS = ["quantizer=gaussian", "prior=none", "coder=bits_back", "dataset=fake", "backbone=shallow"]


def make_y(seed: int = 0) -> Tensor:
    """Means and log variances of 2 images of 3 channels, 4x5, within the clamps."""
    generator = torch.Generator().manual_seed(seed)
    mean = torch.randn(2, 3, 4, 5, generator=generator, dtype=torch.float64)
    log_variance = torch.rand(2, 3, 4, 5, generator=generator, dtype=torch.float64) * 6 - 5
    return torch.cat([mean, log_variance], 1)


def test_the_rate_is_the_divergence_from_the_standard_normal() -> None:
    y = make_y()
    quantized = GaussianLatents(GaussianLatentsConfig(channels=3))(y)
    posterior = Normal(y[:, :3], y[:, 3:].exp().sqrt())
    expected = kl_divergence(posterior, Normal(torch.zeros(()).double(), torch.ones(()).double()))
    torch.testing.assert_close(quantized.nats, expected)
    assert quantized.loss == 0 and quantized.loss_per_element == 0
    assert quantized.indices.shape == quantized.vectors.shape == (2, 3, 4, 5)


def test_samples_follow_the_posterior() -> None:
    mean, sigma = 0.7, 0.2
    y = torch.tensor([mean, 2 * math.log(sigma)]).view(1, 2, 1, 1).expand(1, 2, 300, 300)
    z = GaussianLatents(GaussianLatentsConfig(channels=1))(y).vectors
    assert float(z.mean()) == pytest.approx(mean, abs=0.005)
    assert float(z.std()) == pytest.approx(sigma, abs=0.005)


def test_gradients_are_those_of_the_reparametrised_sample() -> None:
    latents = GaussianLatents(GaussianLatentsConfig(channels=3))
    y = make_y().requires_grad_()
    quantized = latents(y)
    mean, log_variance = y.detach()[:, :3], y.detach()[:, 3:]
    noise = (quantized.vectors.detach() - mean) / (0.5 * log_variance).exp()
    weight = torch.randn_like(noise)
    (gradient,) = torch.autograd.grad((weight * quantized.vectors).sum(), y, retain_graph=True)
    torch.testing.assert_close(gradient[:, :3], weight)  # dz / dmean = 1
    torch.testing.assert_close(gradient[:, 3:], weight * noise * (0.5 * log_variance).exp() / 2)
    (gradient,) = torch.autograd.grad(quantized.nats.sum(), y)
    torch.testing.assert_close(gradient[:, :3], mean)
    torch.testing.assert_close(gradient[:, 3:], (log_variance.exp() - 1) / 2)


def test_scales_beyond_the_tables_are_those_at_their_ends() -> None:
    config = GaussianLatentsConfig(channels=1)
    _, log_scale = GaussianLatents(config).split(
        torch.tensor([0.0, -50.0, 50.0]).view(3, 1, 1, 1).repeat(1, 2, 1, 1)
    )
    assert log_scale.flatten().tolist() == [0.0, config.log_scale_min, config.log_scale_max]


def test_bins_are_even_and_their_ends_reach_to_infinity() -> None:
    latents = GaussianLatents(GaussianLatentsConfig(limit=4.0))
    centres = latents.lookup(torch.arange(BINS))
    assert (float(centres[0]), float(centres[-1])) == pytest.approx((-4, 4), abs=1e-5)
    assert torch.equal(latents.bin(centres), torch.arange(BINS))
    half = 0.499 * 8 / 255
    assert torch.equal(latents.bin(centres + half), torch.arange(BINS))
    assert torch.equal(latents.bin(centres - half), torch.arange(BINS))
    assert latents.bin(torch.tensor([-1e9, 1e9])).tolist() == [0, 255]


def test_evaluation_repeats_and_sees_bins_only() -> None:
    latents, y = GaussianLatents(GaussianLatentsConfig(channels=3)), make_y()
    assert not torch.equal(latents(y).vectors, latents(y).vectors)
    latents.eval()
    state = torch.get_rng_state()
    first, second = latents(y), latents(y)
    assert torch.equal(first.vectors, second.vectors)
    assert torch.equal(torch.get_rng_state(), state)
    torch.testing.assert_close(first.vectors, latents.lookup(first.indices).double())
    posterior = Normal(y[:, :3], y[:, 3:].exp().sqrt())
    assert 0.8 < float(((first.vectors - posterior.mean) / posterior.stddev).std()) < 1.2


def make() -> Compressor:
    torch.manual_seed(0)
    return build_compressor(compose([*OPTIONS, "backbone.width=8", "quantizer.channels=4"]))


def test_gradients_reach_what_they_must() -> None:
    model, x = make(), smooth_images(4, 16, seed=1)
    model.initialise(x)
    output = model(x)
    parts = {"analysis": model.backbone.analysis, "synthesis": model.backbone.synthesis}

    def reached(loss: Tensor) -> set[str]:
        model.zero_grad(set_to_none=True)
        loss.backward(retain_graph=True)
        return {
            name
            for name, part in parts.items()
            if any(p.grad is not None and bool((p.grad != 0).any()) for p in part.parameters())
        }

    assert reached(output.latent_nats.sum()) == {"analysis"}
    assert reached(output.pixel_nats.sum()) == reached(output.loss) == {"analysis", "synthesis"}
    # Both halves of y get gradients from the pixels: the means and, through the noise, the variances.
    assert output.y is not None
    (gradient,) = torch.autograd.grad(output.pixel_nats.sum(), output.y)
    assert bool((gradient[:, :4] != 0).any()) and bool((gradient[:, 4:] != 0).any())


def test_the_loss_is_the_negative_evidence_lower_bound() -> None:
    model, x = make().eval(), smooth_images(4, 16, seed=1)
    output = model(x)
    assert output.y is not None
    y, theta = output.y, model.backbone.synthesis(model.quantizer.lookup(output.indices))
    posterior = Normal(y[:, :4], (0.5 * y[:, 4:]).exp())
    divergence = kl_divergence(posterior, Normal(0.0, 1.0)).sum()
    pixels = model.coder.nats(theta, x).sum()
    torch.testing.assert_close(output.loss, (divergence + pixels) / x.numel(), rtol=1e-5, atol=0)


def test_parameters_are_as_many_as_the_method_says() -> None:
    backbone = build_compressor(compose(["experiment=bits_back"])).backbone
    counts = [sum(p.numel() for p in part.parameters()) for part in (backbone.analysis, backbone.synthesis)]
    assert counts == [48_576, 109_446]  # METHOD 1.2


@pytest.mark.parametrize(
    ("overrides", "remedy"),
    [
        (["coder=bits_back"], "coder: bits_back needs .* -> quantizer=gaussian prior=none"),
        (["quantizer=gaussian"], "quantizer: gaussian needs .* -> prior=none coder=bits_back"),
        (["quantizer=gaussian", "prior=none"], "-> coder=bits_back"),
        (["quantizer=gaussian", "coder=bits_back"], "-> prior=none"),
        (["coder=bits_back", "prior=none"], "-> quantizer=gaussian"),
        ([*OPTIONS, "quantizer.log_scale_min=2"], r"is not below quantizer\.log_scale_max"),
        ([*OPTIONS, "backbone.width=32"], r"quantizer\.channels: .* -> quantizer\.channels=16"),
        ([*OPTIONS, "backbone.width=7"], r"-> backbone\.width=64"),
        ([*OPTIONS, "quantizer.limit=0"], r"quantizer\.limit: 0.* must be above 0"),
    ],
)
def test_what_is_missing_is_named(overrides: list[str], remedy: str) -> None:
    with pytest.raises(ConfigError, match=remedy):
        compose(overrides)
