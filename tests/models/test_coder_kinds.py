"""Coders beside the Gaussian: their distributions against independent computations, starts, gradients."""

from __future__ import annotations

import itertools
import math

import pytest
import torch
from torch import Tensor, nn

from fsar_lab.config.schema import (
    GaussianConfig,
    GaussianMeanOffsetConfig,
    LogisticConfig,
    LogisticLinearARConfig,
    LogisticMixtureConfig,
)
from fsar_lab.models.coders.gaussian import Gaussian, gaussian_nats
from fsar_lab.models.coders.gaussian_linear_ar import GaussianLinearAR
from fsar_lab.models.coders.gaussian_mean_offset import GaussianMeanOffset
from fsar_lab.models.coders.location_scale import EPSILON
from fsar_lab.models.coders.logistic import Logistic, logistic_mass
from fsar_lab.models.coders.logistic_linear_ar import LogisticLinearAR
from fsar_lab.models.coders.logistic_mixture import LogisticMixture

MEANS = [-0.2, 0.0, 0.5 / 255, 0.3, 0.5, 0.7123, 1.0, 1.7]
ALL_LEVELS = torch.arange(256, dtype=torch.uint8)


def logistic_table(mean: float, log_scale: float) -> Tensor:
    """Probabilities of the 256 grey levels from the cdf at the 255 inner edges, float64."""
    edges = torch.sigmoid(((torch.arange(1, 256).double() - 0.5) / 255 - mean) / math.exp(log_scale))
    return torch.diff(torch.cat([torch.zeros(1), edges, torch.ones(1)]).double())


def all_levels(coder: nn.Module, pixel: Tensor) -> Tensor:
    """Probabilities that a coder gives the 256 levels of the first colour: theta of one pixel, [channels]."""
    theta = pixel.view(1, -1, 1, 1).expand(256, -1, 1, 1)
    x = ALL_LEVELS.view(256, 1, 1, 1).expand(256, 3, 1, 1)
    return torch.exp(-coder.nats(theta, x)[:, 0, 0, 0]) - EPSILON  # type: ignore[operator]


@pytest.mark.parametrize("log_scale", [-9.0, -7.0, -5.0, -3.0, -1.0, 0.0])
@pytest.mark.parametrize("mean", MEANS)
def test_the_logistic_mass_is_the_difference_of_cdfs_with_folded_tails(mean: float, log_scale: float) -> None:
    full = torch.full((256,), mean, dtype=torch.float64)
    mass = logistic_mass(ALL_LEVELS, full, torch.full_like(full, log_scale))
    torch.testing.assert_close(mass, logistic_table(mean, log_scale), rtol=0, atol=1e-12)
    assert mass.sum().item() == pytest.approx(1, abs=1e-12)
    single = logistic_mass(ALL_LEVELS, full.float(), torch.full((256,), log_scale))
    torch.testing.assert_close(single.double(), mass, rtol=1e-3, atol=1e-6)


def test_far_tails_keep_their_digits() -> None:
    """The difference of two cdfs near one would be rounding noise in float32."""
    mean, log_scale, level = torch.tensor([0.1]), torch.tensor([-3.0]), torch.tensor([250], dtype=torch.uint8)
    wanted = float(logistic_table(float(mean), -3.0)[250])
    assert float(logistic_mass(level, mean, log_scale)) == pytest.approx(wanted, rel=1e-3)


def test_a_logistic_coder_uses_the_logistic_mass() -> None:
    coder = Logistic(LogisticConfig())
    theta = torch.tensor([0.4, -3.0] * 3)
    torch.testing.assert_close(
        all_levels(coder, theta).double(), logistic_table(0.4, -3.0), rtol=0, atol=1e-6
    )
    below = all_levels(coder, torch.tensor([0.4, -30.0] * 3)).double()  # clamped to the tables' range
    torch.testing.assert_close(below, logistic_table(0.4, -7.6), rtol=0, atol=1e-6)


def test_logistic_linear_ar_shifts_a_logistic_mean() -> None:
    torch.manual_seed(0)
    coder = LogisticLinearAR(LogisticLinearARConfig()).double()
    coder.weight.data = torch.randn(3, 3, dtype=torch.float64) * 0.3
    coder.bias.data = torch.randn(3, dtype=torch.float64) * 0.1
    x = torch.randint(0, 256, (2, 3, 4, 5), dtype=torch.uint8)
    theta = torch.randn(2, 6, 4, 5, dtype=torch.float64)
    mean = (torch.sigmoid(theta[:, 0::2]) + coder.shift(x)).clamp(1e-6, 1 - 1e-6)
    mass = logistic_mass(x, mean, theta[:, 1::2].clamp(-7.6, -0.6))
    torch.testing.assert_close(coder.nats(theta, x), -torch.log(mass + EPSILON))
    assert LogisticLinearAR.taps == GaussianLinearAR.taps


def test_starting_scales_have_the_deviation_of_the_pixels() -> None:
    """A logistic of scale s has the standard deviation pi s / sqrt(3)."""
    torch.manual_seed(0)
    images = torch.randint(0, 256, (16, 3, 8, 8), dtype=torch.uint8)
    deviation = (images.double() / 255).transpose(0, 1).flatten(1).std(1, correction=0)
    gaussian, logistic = Gaussian(GaussianConfig()), Logistic(LogisticConfig())
    torch.testing.assert_close(gaussian.fit(images)[1::2].double().exp(), deviation, rtol=1e-5, atol=0)
    scale = logistic.fit(images)[1::2].double().exp()
    torch.testing.assert_close(scale * math.pi / math.sqrt(3), deviation, rtol=1e-5, atol=0)


@pytest.mark.parametrize("mean", [0.0, 0.1234, 0.5, 0.5 + 0.49 / 255, 0.99, 1.0])
def test_mean_offset_costs_the_wrapped_residual(mean: float) -> None:
    """Evaluation: r = (x - round(255 mean) + 128) mod 256 under a Gaussian around 128, with both tails."""
    coder = GaussianMeanOffset(GaussianMeanOffsetConfig()).eval()
    got = all_levels(coder, torch.tensor([mean, -2.0] * 3)).double()
    normal = torch.distributions.Normal(torch.tensor(0.0, dtype=torch.float64), 255 * math.exp(-2.0))
    edges = normal.cdf(torch.arange(1, 256, dtype=torch.float64) - 0.5 - 128)
    residuals = torch.diff(torch.cat([torch.zeros(1), edges, torch.ones(1)]).double())
    level = math.floor(255 * mean + 0.5)
    expected = torch.stack([residuals[(x - level + 128) % 256] for x in range(256)])
    torch.testing.assert_close(got, expected, rtol=0, atol=1e-6)
    assert got.sum().item() == pytest.approx(1, abs=1e-4)


def test_mean_offset_trains_on_the_mean_as_it_is() -> None:
    """Rounding has no gradient: training sees the exact mean, and no tails."""
    coder = GaussianMeanOffset(GaussianMeanOffsetConfig()).train()
    theta = torch.tensor([0.3011, -4.0] * 3).view(1, 6, 1, 1).requires_grad_()
    x = torch.tensor([80, 76, 0], dtype=torch.uint8).view(1, 3, 1, 1)
    nats = coder.nats(theta, x)
    normal = torch.distributions.Normal(torch.tensor(0.3011).double(), math.exp(-4.0))
    value = x.flatten().double() / 255
    mass = normal.cdf(value + 0.5 / 255) - normal.cdf(value - 0.5 / 255)
    torch.testing.assert_close(
        nats.detach().flatten().double(), -torch.log(mass + EPSILON), rtol=1e-4, atol=1e-5
    )
    (gradient,) = torch.autograd.grad(nats[0, 0].sum(), theta)
    step = 1e-3
    moved = [
        coder.nats(theta.detach() + torch.tensor([s, 0] * 3).view(1, 6, 1, 1), x)[0, 0] for s in (-step, step)
    ]
    assert float(gradient[0, 0]) == pytest.approx(float(moved[1] - moved[0]) / (2 * step), rel=1e-2)
    assert float(gradient[0, 0]) < 0  # towards the larger pixel


def test_a_mixture_is_the_weighted_sum_of_its_components() -> None:
    coder = LogisticMixture(LogisticMixtureConfig())
    components = [(0.1, -4.0), (0.5, -3.0), (0.52, -5.0)]
    logits = [0.7, -1.1]
    theta = torch.tensor([v for pair in components for v in pair] + logits).repeat(3)
    weights = torch.softmax(torch.tensor([*logits, 0.0]).double(), 0)
    expected = sum(w * logistic_table(*pair) for w, pair in zip(weights, components, strict=True))
    got = all_levels(coder, theta)
    torch.testing.assert_close(got.double(), expected, rtol=0, atol=1e-6)
    assert got.sum().item() == pytest.approx(1, abs=1e-4)
    assert coder.out_channels == 24


def test_a_mixture_reads_four_pairs_for_each_colour() -> None:
    coder = LogisticMixture(LogisticMixtureConfig())
    theta = (torch.arange(24.0) / 24).view(1, 24, 1, 1)
    mean, log_scale, log_weight = coder.split(theta * torch.tensor([1.0, -1.0] * 12).view(1, 24, 1, 1))
    assert mean[0, 1, :, 0, 0].tolist() == pytest.approx([8 / 24, 10 / 24, 12 / 24])
    assert log_scale[0, 1, :, 0, 0].tolist() == pytest.approx([-0.6, -0.6, -0.6])
    wanted = torch.log_softmax(torch.tensor([14 / 24, -15 / 24, 0.0]), 0)
    torch.testing.assert_close(log_weight[0, 1, :, 0, 0], wanted)
    far = coder.split(torch.full((1, 24, 1, 1), 1e9))[2].exp()[0, 0, :, 0, 0]
    assert far[2] == pytest.approx(1 / (2 * math.exp(8.0) + 1))  # the range of the tables


@pytest.mark.parametrize(
    "coder",
    [
        GaussianMeanOffset(GaussianMeanOffsetConfig()),
        Logistic(LogisticConfig()),
        LogisticLinearAR(LogisticLinearARConfig()),
        LogisticMixture(LogisticMixtureConfig()),
    ],
    ids=lambda coder: type(coder).__name__,
)
@pytest.mark.parametrize("training", [True, False])
def test_costs_and_gradients_stay_finite(coder: nn.Module, training: bool) -> None:
    coder.train(training)
    values = [-1e30, -1e4, -50.0, -7.0, 0.0, 0.5, 50.0, 1e4, 1e30]
    pairs = torch.tensor(list(itertools.product(values, values, (0.0, 255.0, 77.0))))
    channels = coder.out_channels
    assert isinstance(channels, int)
    theta = torch.stack([pairs[:, 0], pairs[:, 1]] * (channels // 2), 1)[:, :, None, None].requires_grad_()
    x = pairs[:, 2].to(torch.uint8).view(-1, 1, 1, 1).expand(-1, 3, 1, 1)
    nats = coder.nats(theta, x)  # type: ignore[operator]
    assert torch.isfinite(nats).all() and (nats >= -1e-6).all()
    (gradient,) = torch.autograd.grad(nats.sum(), theta)
    assert torch.isfinite(gradient).all()


def test_every_component_of_a_mixture_learns_from_the_start() -> None:
    """The start is no symmetric point: each component has a gradient of its own."""
    torch.manual_seed(0)
    images = torch.randint(0, 256, (8, 3, 8, 8), dtype=torch.uint8)
    coder = LogisticMixture(LogisticMixtureConfig())
    start = coder.fit(images)
    theta = start.view(1, 24, 1, 1).expand(8, 24, 8, 8).clone().requires_grad_()
    nats = coder.nats(theta, images)
    assert nats.requires_grad
    plain = Gaussian(GaussianConfig())
    single = plain.nats(plain.fit(images).view(1, 6, 1, 1).expand(8, 6, 8, 8), images)
    assert nats.mean().item() < single.mean().item() + 0.05  # as good a start as one distribution's
    (gradient,) = torch.autograd.grad(nats.mean(), theta)
    per_mean = gradient.abs().mean((0, 2, 3)).view(3, 4, 2)[:, :3, 0]
    assert (per_mean > 1e-6).all()
    means = coder.split(start.view(1, 24, 1, 1))[0][0, :, :, 0, 0]
    assert (means.diff(dim=1) > 0.05).all()


def test_gaussian_nats_is_what_the_gaussian_coders_share() -> None:
    theta, x = torch.randn(2, 6, 3, 3), torch.randint(0, 256, (2, 3, 3, 3), dtype=torch.uint8)
    mean, log_scale = theta[:, 0::2].clamp(1e-6, 1 - 1e-6), theta[:, 1::2].clamp(-7, 0)
    torch.testing.assert_close(Gaussian(GaussianConfig()).nats(theta, x), gaussian_nats(x, mean, log_scale))
