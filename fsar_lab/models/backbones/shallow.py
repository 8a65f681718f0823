"""The "bbv2" backbone family: strided convolutions, residual blocks, transposed convolutions.

METHOD 1.2 gives the layers and the parameter counts that the tests assert.
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


def _analysis(
    width: int, downsamples: int, residual_blocks: int, colours: int, y_channels: int
) -> nn.Sequential:
    layers: list[nn.Module] = []
    if downsamples == 0:
        layers += [nn.Conv2d(colours, width, 1, bias=False), nn.BatchNorm2d(width)]
    for i in range(downsamples):
        if i:
            layers.append(nn.ReLU())
        channels = width if i else colours
        layers += [nn.Conv2d(channels, width, 4, stride=2, padding=1, bias=False), nn.BatchNorm2d(width)]
    layers += [ResidualBlock(width) for _ in range(residual_blocks)]
    layers.append(nn.Conv2d(width, y_channels, 1))
    return nn.Sequential(*layers)


def _synthesis(
    width: int, downsamples: int, residual_blocks: int, out_channels: int, z_channels: int
) -> nn.Sequential:
    layers: list[nn.Module] = [nn.Conv2d(z_channels, width, 1, bias=False), nn.BatchNorm2d(width)]
    layers += [ResidualBlock(width) for _ in range(residual_blocks)]
    for _ in range(downsamples):
        layers += [
            nn.ConvTranspose2d(width, width, 4, stride=2, padding=1, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(),
        ]
    layers.append(nn.Conv2d(width, out_channels, 1))
    return nn.Sequential(*layers)


class Shallow(nn.Module):
    """Analysis y = a(x) and synthesis theta = s(z).

    Args:
        config: width, number of down-samplings and of residual blocks.
        out_channels: parameters per pixel that the coder wants (6 for a Gaussian in RGB).
        colours: colour planes of the image.
        y_channels, z_channels: of the latent before and behind the quantizer; None: the width.
    """

    def __init__(
        self,
        config: ShallowConfig,
        out_channels: int = 6,
        colours: int = 3,
        y_channels: int | None = None,
        z_channels: int | None = None,
    ) -> None:
        super().__init__()
        self.width = config.width
        self.factor = 2**config.downsamples  # image side / latent side
        shape = config.width, config.downsamples, config.residual_blocks
        self.analysis = _analysis(*shape, colours, y_channels or config.width)
        self.synthesis = _synthesis(*shape, out_channels, z_channels or config.width)

    @property
    def head(self) -> nn.Conv2d:
        """The last 1x1 convolution of the synthesis network, whose bias is the starting distribution."""
        return cast(nn.Conv2d, self.synthesis[-1])
