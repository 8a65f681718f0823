"""The entropy bottleneck, a quantizer that owns the density of its latents."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn

from fsar_lab.config.compose import compose
from fsar_lab.config.schema import EntropyBottleneckConfig
from fsar_lab.errors import ConfigError
from fsar_lab.models.quantizers.entropy_bottleneck import EntropyBottleneck, LogisticMixture

CHANNELS, K = 3, 8


def make_density() -> LogisticMixture:
    torch.manual_seed(1)
    density = LogisticMixture(CHANNELS, 3).double()
    for parameter in density.parameters():
        nn.init.normal_(parameter, std=0.7)
    return density


def make() -> EntropyBottleneck:
    quantizer = EntropyBottleneck(EntropyBottleneckConfig(groups=CHANNELS, codebook_size=K)).double()
    quantizer.density = make_density()
    return quantizer


def make_y(scale: float = 2.0) -> Tensor:
    torch.manual_seed(5)
    return (scale * torch.randn(2, CHANNELS, 4, 4, dtype=torch.float64)).requires_grad_()


def mixture_cdf(density: LogisticMixture, channel: int, x: float) -> float:
    """The mixture's distribution function, number by number."""
    weights = [math.exp(v) for v in density.logits[channel, :, 0].tolist()]
    total = 0.0
    for m, weight in enumerate(weights):
        z = (x - density.mean[channel, m, 0].item()) / math.exp(density.log_scale[channel, m, 0].item())
        total += weight / sum(weights) / (1 + math.exp(-z))
    return total


def test_the_mass_is_the_difference_of_the_distribution_function() -> None:
    density = make_density()
    points = torch.linspace(-6, 6, 25, dtype=torch.float64)
    low, high = points.expand(CHANNELS, -1), (points + 0.8).expand(CHANNELS, -1)
    mass = density.mass(low, high)
    for channel in range(CHANNELS):
        for i, x in enumerate(points.tolist()):
            expected = mixture_cdf(density, channel, x + 0.8) - mixture_cdf(density, channel, x)
            assert mass[channel, i].item() == pytest.approx(expected, rel=1e-8)
            assert expected > 0
            assert density.cdf(low)[channel, i].item() == pytest.approx(mixture_cdf(density, channel, x))


def test_tails_are_exact_in_single_precision() -> None:
    density = make_density()
    single = make_density().float()
    for place in (-60.0, -25.0, 25.0, 60.0):
        low = torch.full((CHANNELS, 1), place, dtype=torch.float64)
        exact = density.mass(low, low + 1)
        torch.testing.assert_close(
            single.mass(low.float(), low.float() + 1).double(), exact, rtol=1e-4, atol=0
        )
        assert (exact > 0).all()


def test_probabilities_sum_to_one_and_are_what_evaluation_costs() -> None:
    quantizer, y = make().eval(), make_y(4.0)
    p = quantizer.probabilities()
    assert p.shape == (CHANNELS, K)
    torch.testing.assert_close(p.sum(1), torch.ones(CHANNELS).double(), rtol=1e-12, atol=0)
    for channel in range(CHANNELS):  # the outer symbols have the tails
        assert p[channel, 0].item() == pytest.approx(mixture_cdf(quantizer.density, channel, -3.5))
        assert p[channel, -1].item() == pytest.approx(1 - mixture_cdf(quantizer.density, channel, 2.5))
    found = quantizer(y)
    rounded = y.detach().round().clamp(-4, 3)
    assert (rounded == -4).any() and (rounded == 3).any()
    assert torch.equal(found.vectors, rounded)
    assert torch.equal(found.indices, (rounded + 4).long())
    assert torch.equal(quantizer.lookup(found.indices), found.vectors)
    cost = -torch.stack([p[c][found.indices[:, c]] for c in range(CHANNELS)], 1).log()
    assert found.nats is not None
    torch.testing.assert_close(found.nats, cost, rtol=1e-12, atol=0)
    nearest = quantizer.affinity(quantizer.rows(y.detach())).argmax(-1)  # the codec's search
    assert torch.equal(quantizer.index_images(nearest, y), found.indices)


def test_training_adds_uniform_noise_and_has_the_gradients_of_the_formula() -> None:
    quantizer, y = make(), make_y()
    found = quantizer(y)
    noise = (found.vectors - y).detach()
    assert noise.abs().max() <= 0.5 and 0.2 < noise.std() < 0.4
    values = (y + noise).transpose(0, 1).reshape(CHANNELS, -1)
    mass = quantizer.density.cdf(values + 0.5) - quantizer.density.cdf(values - 0.5)
    cost = -mass.log().view(CHANNELS, 2, 4, 4).transpose(0, 1)
    assert found.nats is not None
    torch.testing.assert_close(found.nats, cost, rtol=1e-8, atol=0)
    leaves = [y, *quantizer.density.parameters()]
    incoming = torch.randn_like(y)
    computed = torch.autograd.grad(found.nats.sum() + (found.vectors * incoming).sum(), leaves)
    expected = torch.autograd.grad(cost.sum() + ((y + noise) * incoming).sum(), leaves)
    for one, other in zip(computed, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-7, atol=1e-9)


def test_the_grid_is_never_restarted() -> None:
    quantizer, y = make(), make_y()
    before = quantizer.codebooks.detach().clone()
    quantizer.count_usage(quantizer(y).indices)
    quantizer.restart_dead(y.detach())
    assert torch.equal(quantizer.codebooks, before) and not quantizer.usage.any()
    assert not quantizer.codebooks.requires_grad


def test_the_density_learns_where_the_latents_are() -> None:
    torch.manual_seed(0)
    quantizer = EntropyBottleneck(EntropyBottleneckConfig(groups=1, codebook_size=32))
    optimizer = torch.optim.Adam(quantizer.density.parameters(), lr=0.05)
    for _ in range(300):
        y = 4.0 + 1.5 * torch.randn(1, 1, 32, 32)
        loss = quantizer(y).nats.mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    entropy = 0.5 * math.log(2 * math.pi * math.e * (1.5**2 + 1 / 12))  # nearly, of N(4, 1.5) in unit steps
    assert quantizer.eval()(4.0 + 1.5 * torch.randn(1, 1, 64, 64)).nats.mean().item() == pytest.approx(
        entropy, abs=0.03
    )


@pytest.mark.parametrize(
    ("overrides", "remedy"),
    [
        (["quantizer=entropy_bottleneck"], "prior: .* -> prior=none"),
        (["quantizer=entropy_bottleneck", "prior=none", "quantizer.groups=8"], r"-> quantizer\.groups=32"),
        (["quantizer=entropy_bottleneck", "prior=none", "quantizer.dim=2"], r"quantizer\.dim: 2 must be 1"),
        (["quantizer=softvq", "prior=none"], "-> prior=uniform"),
    ],
)
def test_the_missing_override_is_named(overrides: list[str], remedy: str) -> None:
    with pytest.raises(ConfigError, match=remedy):
        compose(overrides)
