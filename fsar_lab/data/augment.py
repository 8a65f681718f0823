"""Other exposures and other light for training crops: gamma and colour temperature, METHOD 7.

The method names the augmentations and not their ranges; ours are those of AugmentConfig.
"""

from __future__ import annotations

import functools

import torch
from torch import Tensor

from fsar_lab.config.schema import AugmentConfig
from fsar_lab.data.source import ImageSource, Source, mirror

KELVIN = range(3000, 15_001, 500)  # of the black body, as in "Planckian jitter" (arXiv:2202.07993)
WHITE = 6500  # what photographs are balanced for, about
ENCODING = 2.2  # levels are about the 2.2th root of the light's intensity


class Augmented(Source):
    """Images of another source, flipped upside down half of the time, in another light and exposure."""

    def __init__(self, source: ImageSource, config: AugmentConfig) -> None:
        """Take the images from `source`; it flips them left to right itself."""
        self.source = source
        self.config = config
        self.randoms = source.randoms + 3
        self.slow = source.slow

    def __len__(self) -> int:
        return len(self.source)

    def pick(self, indices: Tensor, uniform: Tensor) -> Tensor:
        """See ImageSource.pick; the random numbers are the source's, then flip, gamma, temperature."""
        images = self.source.pick(indices, uniform[:, :-3])
        upside_down, exponent, light = uniform[:, -3:].unbind(1)
        if self.config.vertical_flip:
            mirror(images, upside_down < 0.5, axis=-2)
        if self.config.gamma == 1.0 and not self.config.temperature:
            return images
        gamma = self.config.gamma ** (2 * exponent - 1)
        gains = torch.ones(len(images), 3, dtype=torch.float64)
        if self.config.temperature:
            gains = colour_gains()[(light * len(KELVIN)).long()]
        levels = curves(gamma, gains)
        return levels.gather(2, images.flatten(2).long()).view_as(images)


def augmented(source: ImageSource, config: AugmentConfig) -> ImageSource:
    """The source with what `config` asks for; the source itself if that is nothing."""
    off = not config.vertical_flip and config.gamma == 1.0 and not config.temperature
    return source if off else Augmented(source, config)


def curves(gamma: Tensor, gains: Tensor) -> Tensor:
    """What becomes of each grey level: uint8 [B, 3, 256], for exponents [B] and gains [B, 3] ≤ 1."""
    level = torch.arange(256, dtype=torch.float64) / 255
    return (255 * gains[:, :, None] * level ** gamma[:, None, None]).round().to(torch.uint8)


@functools.cache
def colour_gains() -> Tensor:
    """Factors of red, green and blue levels under each light of KELVIN: float64 [25, 3], the largest is 1.

    The light of a black body relative to that at WHITE, each colour for itself; scaled so that nothing is
    clipped.
    """
    white = _black_body(WHITE)
    gains = torch.stack([(_black_body(kelvin) / white) ** (1 / ENCODING) for kelvin in KELVIN])
    return gains / gains.amax(1, keepdim=True)


def _black_body(kelvin: float) -> Tensor:
    """Linear sRGB of a black body's light: Planck's law seen through the CIE 1931 observer, [3]."""
    nanometres = torch.arange(380, 781, 5, dtype=torch.float64)
    metres = nanometres * 1e-9
    second_radiation_constant = 1.438777e-2  # metre kelvin
    power = 1 / (metres**5 * torch.expm1(second_radiation_constant / (metres * kelvin)))
    xyz = (_observer(nanometres) * power).sum(1)
    return _XYZ_TO_SRGB @ (xyz / xyz[1])


def _observer(nanometres: Tensor) -> Tensor:
    """CIE 1931 colour matching functions [3, n]: Gaussians fitted by Wyman, Sloan, Shirley (JCGT 2013)."""

    def lobe(height: float, centre: float, below: float, above: float) -> Tensor:
        width = torch.where(nanometres < centre, below, above)
        return height * torch.exp(-0.5 * ((nanometres - centre) / width) ** 2)

    x = lobe(1.056, 599.8, 37.9, 31.0) + lobe(0.362, 442.0, 16.0, 26.7) + lobe(-0.065, 501.1, 20.4, 26.2)
    y = lobe(0.821, 568.8, 46.9, 40.5) + lobe(0.286, 530.9, 16.3, 31.1)
    z = lobe(1.217, 437.0, 11.8, 36.0) + lobe(0.681, 459.0, 26.0, 13.8)
    return torch.stack([x, y, z])


_XYZ_TO_SRGB = torch.tensor(  # IEC 61966-2-1
    [[3.2406, -1.5372, -0.4986], [-0.9689, 1.8758, 0.0415], [0.0557, -0.2040, 1.0570]], dtype=torch.float64
)
