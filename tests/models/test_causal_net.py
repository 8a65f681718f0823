"""The causal network sees nothing but the past, and its mixtures are distributions."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

import fsar_lab
from fsar_lab.models.coders.causal_net import CausalNet, CausalNetShape, load, mixture_bits, save

SHAPES = [
    CausalNetShape(r=2, width=8, blocks=1, inner=8, hidden=4, mixtures=2),
    CausalNetShape(r=3, width=8, blocks=2, inner=4, spatial=True, hidden=4, mixtures=3),
]
ZOO = Path(fsar_lab.__file__).parent / "zoo" / "causal_net"


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("place", [(0, 0, 0), (1, 4, 5), (2, 8, 8), (2, 3, 0), (0, 5, 8)])
def test_a_sample_changes_nothing_before_it(shape: CausalNetShape, place: tuple[int, int, int]) -> None:
    torch.manual_seed(0)
    net = CausalNet(shape)
    image = torch.randint(0, 256, (1, 3, 9, 9), dtype=torch.uint8)
    other = image.clone()
    other[(0, *place)] ^= 255
    changed = (net(image) != net(other))[0].nonzero().tolist()
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


def test_saved_networks_come_back(tmp_path: Path) -> None:
    net = CausalNet(SHAPES[1]).eval()
    save(net, tmp_path / "net.safetensors", {"images": 3})
    again, facts = load(tmp_path / "net.safetensors")
    image = torch.randint(0, 256, (2, 3, 6, 7), dtype=torch.uint8)
    assert facts == {"images": 3} and again.shape == net.shape
    assert torch.equal(again(image), net(image))


@pytest.mark.parametrize("path", sorted(ZOO.glob("*.safetensors")), ids=lambda path: path.stem)
def test_the_zoo_predicts_smooth_images(path: Path) -> None:
    net, facts = load(path)
    assert facts["macs_per_pixel"] == net.shape.macs
    ramp = (torch.arange(32).view(1, 32) * 3 + torch.arange(32).view(32, 1) * 4).to(torch.uint8)
    image = ramp.expand(1, 3, 32, 32).contiguous()
    with torch.no_grad():
        assert float(net(image).mean()) < 2.5  # noise costs 8
