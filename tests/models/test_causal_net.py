"""The causal network sees nothing but the past, and its mixtures are distributions."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open

import fsar_lab
from fsar_lab.config.schema import CausalNetConfig
from fsar_lab.errors import ConfigError
from fsar_lab.models.coders.causal_net import CausalNet, mixture_bits

CONFIGS = [
    CausalNetConfig(radius=2, width=8, blocks=1, inner=8, spatial=False, hidden=4, mixtures=2),
    CausalNetConfig(radius=3, width=8, blocks=2, inner=4, spatial=True, hidden=4, mixtures=3),
    CausalNetConfig(radius=3, width=8, blocks=1, inner=4, spatial=True, hidden=4, mixtures=3, pair=True),
]
ZOO = Path(fsar_lab.__file__).parent / "zoo" / "causal_net"
SIZES = {
    "cifar10_s": CausalNetConfig(
        radius=2, width=24, blocks=1, inner=24, spatial=False, hidden=8, mixtures=2, weights="cifar10_s"
    ),
    "cifar10_m": CausalNetConfig(weights="cifar10_m"),
    "cifar10_m_1x1": CausalNetConfig(width=48, inner=48, spatial=False, weights="cifar10_m_1x1"),
    "cifar10_l": CausalNetConfig(width=96, blocks=6, inner=48, hidden=24, mixtures=5, weights="cifar10_l"),
    "cifar10_9k": CausalNetConfig(radius=2, width=24, inner=24, hidden=8, mixtures=2, weights="cifar10_9k"),
    "cifar10_58k": CausalNetConfig(width=64, blocks=4, weights="cifar10_58k"),
    "cifar10_pairs_8k": CausalNetConfig(
        radius=2, hidden=8, mixtures=2, pair=True, weights="cifar10_pairs_8k"
    ),
    "photos_58k": CausalNetConfig(width=64, blocks=4, weights="photos_58k"),
}


@pytest.mark.parametrize("rounded", [False, True])
@pytest.mark.parametrize("config", CONFIGS)
@pytest.mark.parametrize("place", [(0, 0, 0), (1, 4, 5), (2, 8, 8), (2, 3, 0), (0, 5, 8)])
def test_a_sample_changes_nothing_before_it(
    config: CausalNetConfig, place: tuple[int, int, int], rounded: bool
) -> None:
    torch.manual_seed(0)
    net = CausalNet(config)
    image = torch.randint(0, 256, (1, 3, 9, 9), dtype=torch.uint8)
    if rounded:
        net.start_rounding()
        net.nats(None, image)
    other = image.clone()
    other[(0, *place)] ^= 255
    changed = (net.nats(None, image) != net.nats(None, other))[0].nonzero().tolist()
    colour, row, column = place
    assert [colour, row, column] in changed
    assert all((y, x, c) >= (row, column, colour) for c, y, x in changed)
    if column < 8:
        assert any((y, x) > (row, column) for _, y, x in changed)  # and it is seen by what follows


def test_mixtures_sum_to_one() -> None:
    torch.manual_seed(1)
    value = torch.arange(256.0).view(256, 1, 1, 1)
    mean = torch.full((256, 1, 1, 1), 97.3)
    out = (torch.randn(1, 3, 4, 1, 1, dtype=torch.float64) * 2).expand(256, 3, 4, 1, 1)
    total = torch.exp2(-mixture_bits(value.double(), mean.double(), out)).sum()
    assert abs(float(total) - 1) < 1e-9


def test_rounding_begins_when_it_is_time() -> None:
    torch.manual_seed(0)
    net = CausalNet(CONFIGS[1])
    image = torch.randint(0, 256, (2, 3, 8, 8), dtype=torch.uint8)
    net.on_step(59, 100)
    before = net.nats(None, image)
    assert not net.rounding.active and torch.equal(before, net.nats(None, image))
    net.on_step(60, 100)
    assert torch.equal(before, net.nats(None, image))  # this pass measures
    assert net.rounding.active and not torch.equal(before, net.nats(None, image))
    exponents = net.rounding.exponents("stream_0").clone()
    net.on_step(61, 100)
    net.nats(None, 255 - image)
    assert torch.equal(exponents, net.rounding.exponents("stream_0"))  # once and for all
    other = CausalNet(CONFIGS[1])
    other.load_state_dict(net.state_dict())
    assert torch.equal(net.nats(None, image), other.nats(None, image))


@pytest.mark.parametrize(("config", "conditioned"), [(1, False), (1, True), (2, False)])
def test_every_weight_learns_while_rounded(config: int, conditioned: bool) -> None:
    torch.manual_seed(0)
    net = CausalNet(CONFIGS[config], conditioned)
    image = torch.randint(0, 256, (2, 3, 8, 8), dtype=torch.uint8)
    theta = (torch.randn(2, 8, 8, 8) + 1).requires_grad_() if conditioned else None
    net.start_rounding()
    net.nats(theta, image)
    net.nats(theta, image).sum().backward()
    if theta is not None:
        assert theta.grad is not None and (theta.grad != 0).float().mean() > 0.3
    for name, weight in net.named_parameters():
        assert weight.grad is not None and weight.grad.abs().sum() > 0, name


def test_conditions_are_seen_where_they_are_and_start_from_the_zoo() -> None:
    torch.manual_seed(0)
    net = CausalNet(CONFIGS[0], conditioned=True)
    assert net.out_channels == len(net.fit(torch.zeros(1, 3, 2, 2, dtype=torch.uint8))) == 8
    image = torch.randint(0, 256, (1, 3, 9, 9), dtype=torch.uint8)
    theta = torch.rand(1, 8, 9, 9)
    other = theta.clone()
    other[0, :, 4, 5] += 1
    for _ in range(2):  # floats, then rounded
        changed = (net.nats(theta, image) != net.nats(other, image))[0].any(0).nonzero().tolist()
        assert changed == [[4, 5]]  # blocks of 1x1
        net.start_rounding()
        net.nats(theta, image)
    config = SIZES["cifar10_s"]
    same = CausalNet(config, conditioned=True).nats(theta, image)
    assert torch.equal(same, CausalNet(config).nats(None, image))


@pytest.mark.parametrize("path", sorted(ZOO.glob("*.safetensors")), ids=lambda path: path.stem)
def test_the_zoo_predicts_smooth_images(path: Path) -> None:
    net = CausalNet(SIZES[path.stem])
    with safe_open(path, "pt") as file:
        assert f'"macs_per_pixel": {net.macs}' in file.metadata()["facts"]
    ramp = (torch.arange(32).view(1, 32) * 3 + torch.arange(32).view(32, 1) * 4).to(torch.uint8)
    image = ramp.expand(1, 3, 32, 32).contiguous()
    with torch.no_grad():
        assert float(net.nats(None, image).mean()) < 2.5 * 0.693  # noise costs 8 bits


def test_pairs_have_no_conditions() -> None:
    with pytest.raises(ConfigError, match="no conditions"):
        CausalNet(CONFIGS[2], conditioned=True)


def test_weights_of_the_zoo_must_fit() -> None:
    with pytest.raises(ConfigError, match="other sizes"):
        CausalNet(CausalNetConfig(weights="cifar10_s"))
    with pytest.raises(ConfigError, match="cifar10_m, cifar10_m_1x1, cifar10_pairs_8k"):
        CausalNet(CausalNetConfig(weights="nothing"))


@pytest.mark.parametrize(
    ("weights", "sizes"),
    [
        ("cifar10_m", {"blocks": 4}),
        ("cifar10_s", {"radius": 2, "width": 24, "blocks": 2, "inner": 24, "hidden": 8, "mixtures": 2}),
    ],
)
def test_weights_of_a_smaller_network(weights: str, sizes: dict[str, Any]) -> None:
    """More blocks, and blocks that see more, begin as the same function, and learn."""
    x = torch.arange(2 * 3 * 16 * 16).mul(7).remainder(251).view(2, 3, 16, 16).to(torch.uint8)
    grown = CausalNet(CausalNetConfig(weights=weights, **sizes))
    assert torch.allclose(grown.nats(None, x), CausalNet(SIZES[weights]).nats(None, x), atol=1e-5)
    grown.nats(None, x).sum().backward()
    assert all(block.b.weight.grad.abs().sum() > 0 for block in grown.body)  # type: ignore[union-attr]
