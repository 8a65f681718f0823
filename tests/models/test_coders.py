from __future__ import annotations

import itertools

import pytest
import torch
from torch import Tensor

from fsar_lab.config.schema import GaussianConfig, GaussianLinearARConfig
from fsar_lab.models.coders.gaussian import EPSILON, Gaussian, gaussian_nats
from fsar_lab.models.coders.gaussian_linear_ar import GaussianLinearAR

MEANS = [-3.0, -0.2, 0.0, 1e-6, 0.5 / 255, 0.3, 0.5, 0.7123, 1 - 1e-6, 1.0, 1.7]
LOG_SCALES = [-9.0, -7.0, -6.3, -5.0, -3.0, -1.0, 0.0, 4.0]
AR = [[0.3, 0.25, 0.2], [0.5, -0.3, 0.6], [0.8, -0.5, 0.4]]  # what the least-squares fit must find
BIAS = [0.12, 0.09, 0.14]


def table(mean: float, log_scale: float, dtype: torch.dtype) -> Tensor:
    """Probabilities of the 256 grey levels."""
    x = torch.arange(256, dtype=torch.uint8)
    full = torch.full((256,), mean, dtype=dtype)
    nats = gaussian_nats(x, full, torch.full_like(full, log_scale))
    assert torch.isfinite(nats).all()
    return torch.exp(-nats.double()) - EPSILON


@pytest.mark.parametrize("log_scale", LOG_SCALES)
@pytest.mark.parametrize("mean", MEANS)
def test_the_256_probabilities_sum_to_one(mean: float, log_scale: float) -> None:
    assert table(mean, log_scale, torch.float64).sum().item() == pytest.approx(1, abs=1e-9)
    assert table(mean, log_scale, torch.float32).sum().item() == pytest.approx(1, abs=1e-4)


def test_probabilities_are_differences_of_the_normal_cdf_with_folded_tails() -> None:
    mean, log_scale = 0.3, -2.0
    normal = torch.distributions.Normal(
        torch.tensor(mean, dtype=torch.float64), torch.tensor(log_scale).exp()
    )
    edges = normal.cdf((torch.arange(1, 256, dtype=torch.float64) - 0.5) / 255)
    expected = torch.diff(torch.cat([torch.zeros(1), edges, torch.ones(1)]).double())
    torch.testing.assert_close(table(mean, log_scale, torch.float64), expected, rtol=0, atol=1e-8)


@pytest.mark.parametrize("sigmoid_mean", [True, False])
@pytest.mark.parametrize("kind", [Gaussian, GaussianLinearAR])
def test_costs_and_gradients_stay_finite(kind: type[Gaussian], sigmoid_mean: bool) -> None:
    config = (GaussianLinearARConfig if kind is GaussianLinearAR else GaussianConfig)(
        sigmoid_mean=sigmoid_mean
    )
    coder = kind(config)
    values = [-1e30, -1e4, -50.0, -7.0, 0.0, 0.5, 50.0, 1e4, 1e30]
    pairs = torch.tensor(list(itertools.product(values, values, (0.0, 255.0, 77.0))))
    theta = torch.stack([pairs[:, 0], pairs[:, 1]] * 3, 1)[:, :, None, None].requires_grad_()
    x = pairs[:, 2].to(torch.uint8).view(-1, 1, 1, 1).expand(-1, 3, 1, 1)
    nats = coder.nats(theta, x)
    assert torch.isfinite(nats).all()
    assert (nats >= -1e-6).all()
    (gradient,) = torch.autograd.grad(nats.sum(), theta)
    assert torch.isfinite(gradient).all()


def test_means_and_scales_are_read_channel_major_per_colour() -> None:
    theta = torch.arange(6.0).view(1, 6, 1, 1).expand(1, 6, 2, 2) * 0.1
    mean, log_scale = Gaussian(GaussianConfig(log_scale_min=-7, log_scale_max=1)).split(theta)
    assert mean[0, :, 0, 0].tolist() == pytest.approx([0.0, 0.2, 0.4])
    assert log_scale[0, :, 0, 0].tolist() == pytest.approx([0.1, 0.3, 0.5])
    mean, log_scale = GaussianLinearAR(GaussianLinearARConfig()).split(theta * 100)
    torch.testing.assert_close(mean[0, :, 0, 0], torch.sigmoid(torch.tensor([0.0, 20.0, 40.0])))
    assert log_scale.max() == 0.0  # clamped to the tables' range


def test_taps_are_those_of_the_method() -> None:
    first = {(0, -1, -1), (0, -1, 0), (0, 0, -1)}  # METHOD 2.3: up-left, up, left
    later = {(-1, 0, 0), (-1, 0, -1), (0, 0, -1)}  # previous colour here and left, own colour left
    assert [set(taps) for taps in GaussianLinearAR.taps] == [first, later, later]
    assert Gaussian.taps == ((), (), ())


def make_ar(seed: int = 0) -> GaussianLinearAR:
    torch.manual_seed(seed)
    coder = GaussianLinearAR(GaussianLinearARConfig()).double()
    coder.weight.data = torch.randn(3, 3, dtype=torch.float64) * 0.3
    coder.bias.data = torch.randn(3, dtype=torch.float64) * 0.1
    return coder


def test_the_mean_is_shifted_by_the_taps() -> None:
    coder = make_ar()
    x = torch.randint(0, 256, (2, 3, 4, 5), dtype=torch.uint8)
    shift = coder.shift(x)
    for n, c, i, j in itertools.product(range(2), range(3), range(4), range(5)):
        expected = float(coder.bias[c].detach())
        for k, (dc, dy, dx) in enumerate(coder.taps[c]):
            if i + dy >= 0 and j + dx >= 0:  # outside counts as 0
                expected += float(coder.weight[c, k].detach()) * int(x[n, c + dc, i + dy, j + dx]) / 255
        assert float(shift[n, c, i, j].detach()) == pytest.approx(expected, abs=1e-12)
    theta = torch.randn(2, 6, 4, 5, dtype=torch.float64)
    mean, log_scale = coder.split(theta)
    expected_nats = gaussian_nats(x, (mean + shift).clamp(1e-6, 1 - 1e-6), log_scale)
    torch.testing.assert_close(coder.nats(theta, x), expected_nats)


def test_changing_a_pixel_leaves_every_earlier_distribution() -> None:
    """Order: rows, columns, and within a pixel the colours, which vary fastest."""
    coder = make_ar()
    side = 4
    x = torch.randint(0, 256, (1, 3, side, side), dtype=torch.uint8)

    def in_order(image: Tensor) -> Tensor:
        return coder.shift(image)[0].permute(1, 2, 0).flatten()

    before, touched = in_order(x), 0
    for flat in range(3 * side * side):
        i, j, c = flat // (3 * side), flat // 3 % side, flat % 3
        changed = x.clone()
        changed[0, c, i, j] += 100  # uint8: wraps
        after = in_order(changed)
        assert torch.equal(after[: flat + 1], before[: flat + 1])
        touched += int((after != before).sum())
    assert touched > 3 * side * side


def autoregressive_images(count: int = 48, side: int = 16) -> Tensor:
    """Images drawn from the linear AR with weights AR and BIAS, uint8 [count, 3, side, side]."""
    generator = torch.Generator().manual_seed(3)
    images = torch.zeros(count, 3, side, side, dtype=torch.uint8)
    for i, j, c in itertools.product(range(side), range(side), range(3)):
        value = torch.full((count,), BIAS[c], dtype=torch.float64)
        for weight, (dc, dy, dx) in zip(AR[c], GaussianLinearAR.taps[c], strict=True):
            if i + dy >= 0 and j + dx >= 0:
                value += weight * images[:, c + dc, i + dy, j + dx] / 255
        value += 0.05 * torch.randn(count, generator=generator, dtype=torch.float64)
        images[:, c, i, j] = (255 * value).round().clamp(0, 255).to(torch.uint8)
    return images


def test_least_squares_finds_the_weights_and_beats_a_zero_start() -> None:
    images = autoregressive_images()
    coder = GaussianLinearAR(GaussianLinearARConfig())
    start = coder.fit(images)
    torch.testing.assert_close(coder.weight.detach(), torch.tensor(AR), rtol=0, atol=0.03)
    # A zero logit means 0.5 after the sigmoid, so the bias makes up for it.
    torch.testing.assert_close(coder.bias.detach() + 0.5, torch.tensor(BIAS), rtol=0, atol=0.02)
    assert start[0::2].tolist() == [0, 0, 0]
    torch.testing.assert_close(start[1::2].exp(), torch.full((3,), 0.05), rtol=0.05, atol=0)

    def cost(one: Gaussian, bias: Tensor) -> float:
        theta = bias.view(1, 6, 1, 1).expand(len(images), 6, *images.shape[2:])
        return float(one.nats(theta, images).detach().mean())

    zero = GaussianLinearAR(GaussianLinearARConfig())
    plain = Gaussian(GaussianConfig())
    fitted = cost(coder, start)
    assert fitted < cost(plain, plain.fit(images)) - 0.1  # the best that one Gaussian without neighbours does
    assert fitted < cost(zero, torch.zeros(6)) - 1.0


@pytest.mark.parametrize("sigmoid_mean", [True, False])
def test_a_plain_gaussian_starts_at_the_moments_of_the_pixels(sigmoid_mean: bool) -> None:
    images = autoregressive_images(8)
    coder = Gaussian(GaussianConfig(sigmoid_mean=sigmoid_mean))
    mean, log_scale = coder.split(coder.fit(images).view(1, 6, 1, 1))
    values = images.double().transpose(0, 1).flatten(1) / 255
    torch.testing.assert_close(mean.flatten().double(), values.mean(1), rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(
        log_scale.flatten().double().exp(), values.std(1, correction=0), rtol=1e-4, atol=0
    )


def test_constant_images_can_be_fitted() -> None:
    images = torch.full((4, 3, 8, 8), 200, dtype=torch.uint8)
    for coder in (Gaussian(GaussianConfig()), GaussianLinearAR(GaussianLinearARConfig())):
        start = coder.fit(images)
        assert torch.isfinite(start).all()
        theta = start.view(1, 6, 1, 1).expand(4, 6, 8, 8)
        assert torch.isfinite(coder.nats(theta, images)).all()
