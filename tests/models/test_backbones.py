from __future__ import annotations

import pytest
import torch
from torch import nn

from fsar_lab.config.schema import ShallowConfig
from fsar_lab.models.backbones.shallow import ResidualBlock, Shallow

# METHOD 1.2: width, downsamples, residual blocks, encoder parameters, decoder parameters.
FAMILY = {
    "shallow": (64, 1, 1, 48_576, 111_494),
    "shallow_c32": (32, 1, 1, 13_024, 28_102),
    "shallow_c32_r4": (32, 1, 4, 44_128, 59_206),
    "shallow_r8": (64, 1, 8, 337_088, 400_006),
    "nods": (64, 0, 2, 86_912, 87_046),
    "normal": (256, 2, 2, 2_440_448, 3_478_534),
}


def count(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


@pytest.mark.parametrize("name", FAMILY)
def test_parameter_counts_are_those_of_the_method(name: str) -> None:
    width, downsamples, residual_blocks, encoder, decoder = FAMILY[name]
    with torch.device("meta"):  # counting needs no numbers
        backbone = Shallow(
            ShallowConfig(width=width, downsamples=downsamples, residual_blocks=residual_blocks)
        )
    assert (count(backbone.analysis), count(backbone.synthesis)) == (encoder, decoder)
    assert count(backbone) == encoder + decoder


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
