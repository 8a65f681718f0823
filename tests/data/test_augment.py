"""Flips, gamma and colour temperature: what the random numbers say, and nothing else."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from fsar_lab.config.schema import AugmentConfig
from fsar_lab.data.augment import KELVIN, WHITE, Augmented, augmented, colour_gains, curves
from fsar_lab.data.source import TensorSource, draw
from fsar_lab.data.stream import TrainStream

IMAGES = torch.randint(0, 256, (40, 3, 6, 6), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
ALL = AugmentConfig(vertical_flip=True, gamma=1.5, temperature=True)


def pick(config: AugmentConfig, uniform: Tensor) -> Tensor:
    return Augmented(TensorSource(IMAGES), config).pick(torch.arange(len(uniform)), uniform)


def test_what_is_off_costs_nothing() -> None:
    source = TensorSource(IMAGES, flip=True)
    assert augmented(source, AugmentConfig()) is source
    assert augmented(source, ALL) is not source


def test_flips_upside_down() -> None:
    uniform = torch.tensor([[0.49, 0, 0], [0.5, 0, 0]], dtype=torch.float64)
    flipped, straight = pick(AugmentConfig(vertical_flip=True), uniform)
    assert torch.equal(flipped, IMAGES[0].flip(-2))
    assert torch.equal(straight, IMAGES[1])


def test_gamma() -> None:
    uniform = torch.tensor([[0, 0.0, 0], [0, 0.5, 0], [0, 1 - 2**-53, 0]], dtype=torch.float64)
    bright, same, dark = pick(AugmentConfig(gamma=2.0), uniform)
    assert torch.equal(same, IMAGES[1])
    level = IMAGES.double() / 255
    assert torch.equal(bright, (255 * level[0] ** 0.5).round().to(torch.uint8))
    assert torch.equal(dark, (255 * level[2] ** 2).round().to(torch.uint8))


def test_temperature() -> None:
    gains = colour_gains()
    assert gains.shape == (len(KELVIN), 3)
    assert torch.equal(gains.amax(1), torch.ones(len(KELVIN), dtype=torch.float64))
    assert torch.equal(gains[KELVIN.index(WHITE)], torch.ones(3, dtype=torch.float64))
    assert (gains[0].diff() < 0).all()  # 3,000 K is warm: red > green > blue
    assert (gains[-1].diff() > 0).all()
    blue_to_red = gains[:, 2] / gains[:, 0]
    assert (blue_to_red.diff() > 0).all()
    # A black body of 3,000 K is 255, 180, 107 in sRGB, one of 6,500 K about white (known tables of colours).
    assert gains[0].tolist() == pytest.approx([1.0, 180 / 249, 107 / 251], abs=0.03)
    warm, cold = pick(AugmentConfig(temperature=True), torch.tensor([[0, 0, 0.0], [0, 0, 0.999]]).double())
    assert torch.equal(warm[0], IMAGES[0, 0])
    assert torch.equal(cold[2], IMAGES[1, 2])
    assert warm[2].float().mean() < 0.5 * IMAGES[0, 2].float().mean()


def test_curves_rise_from_black_and_clip_nothing() -> None:
    levels = curves(
        torch.tensor([0.5, 1.0, 2.0]).double(), torch.tensor([[1.0, 0.7, 0.4]]).double().expand(3, 3)
    )
    assert (levels[..., 0] == 0).all()
    assert (levels.int().diff(dim=-1) >= 0).all()
    assert levels[1].amax(1).tolist() == [255, 178, 102]


def test_the_stream_depends_on_seed_and_step_alone() -> None:
    source = augmented(TensorSource(IMAGES, flip=True), ALL)
    assert source.randoms == 4
    whole = list(TrainStream(source, 12, 8, seed=3))
    rest = list(TrainStream(source, 12, 8, seed=3, start_step=5))
    assert torch.equal(torch.stack(whole[5:]), torch.stack(rest))
    ranks = [TrainStream(source, 12, 8, seed=3, rank=rank, world_size=3) for rank in range(3)]
    for batch, *shares in zip(whole, *ranks, strict=True):
        assert torch.equal(batch, torch.cat(shares))
    uniform = draw(12, 4, torch.Generator().manual_seed(1))
    assert torch.equal(source.pick(torch.arange(12), uniform), source.pick(torch.arange(12), uniform))
    assert not torch.equal(whole[0], torch.stack(list(TrainStream(source, 12, 1, seed=4)))[0])
