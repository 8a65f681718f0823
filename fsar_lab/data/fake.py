"""Made images, smooth like photographs: the amplitude of detail falls with its frequency."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from fsar_lab.config.schema import FakeConfig
from fsar_lab.data.dataset import Dataset
from fsar_lab.data.source import TensorSource


class Fake(Dataset):
    """As many made images as asked for, the same ones for the same seed."""

    def __init__(self, config: FakeConfig) -> None:
        """Make all images; training, validation and test images differ."""
        test_count = config.test_images if config.test_images is not None else config.validation_images
        counts = [config.train_images, config.validation_images, test_count]
        train, validation, test = torch.split(smooth_images(sum(counts), config.side, config.seed), counts)
        super().__init__(
            TensorSource(train, config.flip),
            TensorSource(validation),
            TensorSource(test),
            config.side,
            f"made by fsar_lab (seed {config.seed}), no photographs",
        )


def smooth_images(count: int, side: int, seed: int) -> Tensor:
    """Noise summed over octaves, halved with each, colours correlated: uint8 [count, 3, side, side]."""
    generator = torch.Generator().manual_seed(seed)
    images = torch.zeros(count, 3, side, side)
    cells, amplitude = 2, 1.0
    while cells <= side:
        grey = torch.randn(count, 1, cells, cells, generator=generator)
        colour = torch.randn(count, 3, cells, cells, generator=generator)
        images += amplitude * functional.interpolate(
            grey + 0.3 * colour, size=(side, side), mode="bilinear", align_corners=True
        )
        cells, amplitude = 2 * cells, amplitude / 2
    images += 0.02 * torch.randn(images.shape, generator=generator)
    return (127.5 + 45.0 * images).round().clamp(0, 255).to(torch.uint8)
