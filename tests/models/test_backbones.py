from __future__ import annotations

import pytest
import torch
from torch import nn

from fsar_lab.config import options
from fsar_lab.config.compose import compose
from fsar_lab.config.schema import ShallowConfig
from fsar_lab.models.backbones.shallow import LongSkip, ResidualBlock, Shallow

# METHOD 1.2: latent's channels and side for 32x32 pixels, encoder parameters, decoder parameters.
FAMILY = {
    "shallow": (64, 16, 48_576, 111_494),
    "shallow_c32": (32, 16, 13_024, 28_102),
    "shallow_c32_r4": (32, 16, 44_128, 59_206),
    "shallow_r4": (64, 16, 172_224, 235_142),
    "shallow_skip": (64, 16, 172_224, 235_142),
    "shallow_r8": (64, 16, 337_088, 400_006),
    "shallow_ps": (64, 16, 48_576, 193_670),
    "shallow_c32_eighth": (32, 4, 45_920, 60_998),  # of its own: not of the method
    "nods": (64, 32, 86_912, 87_046),
    "standard": (256, 8, 2_440_448, 3_478_534),
}


def count(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


def test_the_family_is_complete() -> None:
    assert set(options.groups()["backbone"]) - {"none"} == set(FAMILY)


@pytest.mark.parametrize("name", FAMILY)
def test_parameter_counts_and_latents_are_those_of_the_method(name: str) -> None:
    channels, side, encoder, decoder = FAMILY[name]
    # Bits per latent do not matter here: one codebook is as wide as the network.
    config = compose([f"backbone={name}", f"quantizer.dim={channels}"])
    with torch.device("meta"):  # counting needs no numbers
        backbone = Shallow(config.backbone)
        y = backbone.analysis(torch.empty(1, 3, 32, 32))
        theta = backbone.synthesis(y)
    assert (count(backbone.analysis), count(backbone.synthesis)) == (encoder, decoder)
    assert count(backbone) == encoder + decoder
    assert y.shape == (1, channels, side, side) and theta.shape == (1, 6, 32, 32)


@pytest.mark.parametrize("downsamples", [0, 1, 2, 3])
def test_shapes(downsamples: int) -> None:
    backbone = Shallow(ShallowConfig(width=6, downsamples=downsamples, residual_blocks=0), out_channels=9)
    x = torch.rand(2, 3, 16, 24)
    y = backbone.analysis(x)
    assert backbone.factor == 2**downsamples
    assert y.shape == (2, 6, 16 // backbone.factor, 24 // backbone.factor)
    assert backbone.synthesis(y).shape == (2, 9, 16, 24)


def test_the_shallow_latent_has_half_the_side() -> None:
    for width in (64, 32):
        backbone = Shallow(ShallowConfig(width=width))
        assert backbone.analysis(torch.rand(1, 3, 32, 32)).shape == (1, width, 16, 16)


def test_the_skip_of_a_residual_block_carries_the_rectified_input() -> None:
    torch.manual_seed(0)
    block = ResidualBlock(4)
    last = block.body[-1]
    assert isinstance(last, nn.BatchNorm2d)
    nn.init.zeros_(last.weight)  # the body gives zero: only the skip is left
    x = torch.randn(2, 4, 5, 5)
    given = x.clone()
    assert torch.equal(block(x), given.clamp_min(0))
    assert torch.equal(x, given)  # unlike the reference's, the caller's tensor is left alone
    nn.init.ones_(last.weight)
    rectified = given.clamp_min(0)
    torch.testing.assert_close(block(x), rectified + block.body(rectified))
    assert not torch.allclose(block(x), given + block.body(rectified))


def test_no_rectifier_before_the_last_analysis_convolution() -> None:
    """The layers are those of METHOD 1.2, in order: y must be able to take both signs."""
    backbone = Shallow(ShallowConfig(width=4, downsamples=2, residual_blocks=0))
    kinds = [type(layer).__name__ for layer in backbone.analysis]
    assert kinds == ["Conv2d", "BatchNorm2d", "ReLU", "Conv2d", "BatchNorm2d", "Conv2d"]
    kinds = [type(layer).__name__ for layer in backbone.synthesis]
    assert kinds == ["Conv2d", "BatchNorm2d", *2 * ["ConvTranspose2d", "BatchNorm2d", "ReLU"], "Conv2d"]
    assert backbone.head is backbone.synthesis[-1]


def test_the_long_skip_goes_around_all_blocks() -> None:
    torch.manual_seed(1)
    skip = LongSkip(4, 3)
    x = torch.randn(2, 4, 5, 5)
    rectified = inner = x.clamp_min(0)
    for block in skip.blocks:
        inner = block(inner)
    torch.testing.assert_close(skip(x), rectified + inner)
    backbone = Shallow(ShallowConfig(width=4, residual_blocks=3, long_skip=True))
    for network in (backbone.analysis, backbone.synthesis):
        assert [type(layer).__name__ for layer in network].count("LongSkip") == 1
        assert not any(isinstance(layer, ResidualBlock) for layer in network)


def test_pixel_shuffle_enlarges_by_four_channels_for_each() -> None:
    """METHOD 1.2: Conv 3x3 ch -> 4 ch with bias, PixelShuffle 2, BN, ReLU."""
    backbone = Shallow(ShallowConfig(width=4, downsamples=2, residual_blocks=0, pixel_shuffle=True))
    up = ["Conv2d", "PixelShuffle", "BatchNorm2d", "ReLU"]
    assert [type(layer).__name__ for layer in backbone.synthesis] == [
        "Conv2d", "BatchNorm2d", *up, *up, "Conv2d"
    ]  # fmt: skip
    convolution = backbone.synthesis[2]
    assert isinstance(convolution, nn.Conv2d) and convolution.bias is not None
    assert convolution.weight.shape == (16, 4, 3, 3)
    assert backbone.synthesis(torch.rand(1, 4, 3, 5)).shape == (1, 6, 12, 20)
