"""The "bbv2" backbone family: strided convolutions, residual blocks, transposed or shuffled convolutions.

METHOD 1.2 gives the layers and the parameter counts that the tests assert. Every member is a chain of
convolutions with batch normalisations, rectifiers and sums, which `exporting.fold` turns into integers.
"""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn

from fsar_lab.config.schema import ShallowConfig


class ResidualBlock(nn.Module):
    """relu(x) + f(relu(x)) with f = Conv 3x3, BN, ReLU, Conv 1x1, BN.

    The skip carries relu(x), not x: the reference's first ReLU works in place (METHOD 1.2).
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(width, width, 3, padding=1, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(),
            nn.Conv2d(width, width, 1, bias=False),
            nn.BatchNorm2d(width),
        )

    def forward(self, x: Tensor) -> Tensor:
        """[N, width, h, w] -> [N, width, h, w]."""
        x = torch.relu(x)
        return cast(Tensor, x + self.body(x))


class LongSkip(nn.Module):
    """relu(x) + g(relu(x)), where g are residual blocks in a row: a skip around the whole stack.

    It carries relu(x) for the same reason as a block's own skip (METHOD 1.2, `use_skip_connection`).
    """

    def __init__(self, width: int, residual_blocks: int) -> None:
        super().__init__()
        self.blocks = nn.Sequential(*(ResidualBlock(width) for _ in range(residual_blocks)))

    def forward(self, x: Tensor) -> Tensor:
        """[N, width, h, w] -> [N, width, h, w]."""
        x = torch.relu(x)
        return cast(Tensor, x + self.blocks(x))


def _residual(config: ShallowConfig) -> list[nn.Module]:
    if config.long_skip:
        return [LongSkip(config.width, config.residual_blocks)]
    return [ResidualBlock(config.width) for _ in range(config.residual_blocks)]


def _enlarging(config: ShallowConfig) -> list[nn.Module]:
    """Twice as high and wide: a transposed convolution, or a convolution whose channels become pixels."""
    width = config.width
    if config.pixel_shuffle:
        up: list[nn.Module] = [nn.Conv2d(width, 4 * width, 3, padding=1), nn.PixelShuffle(2)]
    else:
        up = [nn.ConvTranspose2d(width, width, 4, stride=2, padding=1, bias=False)]
    return [*up, nn.BatchNorm2d(width), nn.ReLU()]


def _analysis(config: ShallowConfig, colours: int) -> nn.Sequential:
    width, layers = config.width, list[nn.Module]()
    if config.downsamples == 0:
        layers += [nn.Conv2d(colours, width, 1, bias=False), nn.BatchNorm2d(width)]
    for i in range(config.downsamples):
        if i:
            layers.append(nn.ReLU())
        channels = width if i else colours
        layers += [nn.Conv2d(channels, width, 4, stride=2, padding=1, bias=False), nn.BatchNorm2d(width)]
    return nn.Sequential(*layers, *_residual(config), nn.Conv2d(width, width, 1))


def _synthesis(config: ShallowConfig, in_channels: int, out_channels: int) -> nn.Sequential:
    width = config.width
    layers: list[nn.Module] = [nn.Conv2d(in_channels, width, 1, bias=False), nn.BatchNorm2d(width)]
    layers += _residual(config)
    for _ in range(config.downsamples):
        layers += _enlarging(config)
    return nn.Sequential(*layers, nn.Conv2d(width, out_channels, 1))


class Shallow(nn.Module):
    """Analysis y = a(x) and synthesis theta = s(z).

    Args:
        config: width, number of down-samplings and of residual blocks, how the synthesis enlarges.
        out_channels: parameters per pixel that the coder wants (6 for a Gaussian in RGB).
        colours: colour planes of the image.
        latent_channels: of z, if fewer than the `width` channels of y.
    """

    def __init__(
        self,
        config: ShallowConfig,
        out_channels: int = 6,
        colours: int = 3,
        latent_channels: int | None = None,
    ) -> None:
        super().__init__()
        self.width = config.width
        self.factor = 2**config.downsamples  # image side / latent side
        self.analysis = _analysis(config, colours)
        self.synthesis = _synthesis(config, latent_channels or config.width, out_channels)

    @property
    def head(self) -> nn.Conv2d:
        """The last 1x1 convolution of the synthesis network, whose bias is the starting distribution."""
        return cast(nn.Conv2d, self.synthesis[-1])
