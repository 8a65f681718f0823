"""Sources of images, from which batches of uint8 tensors are gathered by index."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor


class ImageSource(Protocol):
    """What training, validation and coding draw their images from."""

    randoms: int
    """Random numbers that `pick` wants for each image: 0 if it always gives the same image."""
    slow: bool
    """Whether picking takes so long that the next batch should be picked while the current one is used."""

    def __len__(self) -> int:
        """Number of images: the indices are 0 … len - 1."""
        ...

    def pick(self, indices: Tensor, uniform: Tensor) -> Tensor:
        """Gather images.

        Args:
            indices: int64 [B].
            uniform: float64 [B, randoms] in [0, 1), what decides flips and crops.

        Returns:
            uint8 [B, 3, H, W].
        """
        ...

    def batch(self, indices: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Gather images, uint8 [B, 3, H, W], with flips and crops drawn from `generator`."""
        ...


class Source:
    """Base of the sources: `batch` is `pick` with fresh random numbers."""

    randoms = 0
    slow = False

    def pick(self, indices: Tensor, uniform: Tensor) -> Tensor:
        """See ImageSource.pick."""
        raise NotImplementedError

    def batch(self, indices: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """See ImageSource.batch."""
        return self.pick(indices, draw(len(indices), self.randoms, generator))


class TensorSource(Source):
    """Images of one size, optionally mirrored left to right with probability one half."""

    def __init__(self, images: Tensor, flip: bool = False) -> None:
        """Keep `images`, uint8 [N, 3, H, W], without copying them."""
        self.images = images
        self.flip = flip
        self.randoms = 1 if flip else 0

    def __len__(self) -> int:
        return len(self.images)

    def pick(self, indices: Tensor, uniform: Tensor) -> Tensor:
        """See ImageSource.pick."""
        images = self.images.index_select(0, indices)
        if self.flip:
            mirror(images, uniform[:, 0] < 0.5)
        return images


class Photographs:
    """Whole images of any sizes, which are coded and not trained on: uint8 [3, H, W] each."""

    def __init__(self, images: Sequence[Tensor]) -> None:
        self.images = list(images)

    def __len__(self) -> int:
        return len(self.images)

    def describe(self) -> str:
        """Number and size in words."""
        pixels = sum(image[0].numel() for image in self.images)
        sizes = {tuple(image.shape[1:]) for image in self.images}
        size = "any size" if len(sizes) > 1 else "{1}x{0}".format(*sizes.pop())
        return f"{len(self):,} whole images of {size} ({pixels / 1e6:,.1f} megapixels)"


def mirror(images: Tensor, which: Tensor, axis: int = -1) -> None:
    """Flip the images [B, …] that `which` (bool [B]) names, in place; axis -1 is left to right."""
    images[which] = images[which].flip(axis)


def draw(count: int, randoms: int, generator: torch.Generator | None) -> Tensor:
    """Uniform random numbers in [0, 1): float64 [count, randoms]."""
    return torch.rand(count, randoms, dtype=torch.float64, generator=generator)


def spread(images: Tensor, count: int | None) -> Tensor:
    """At most `count` of the images [N, …], spread evenly over them; all if `count` is None."""
    if count is None or count >= len(images):
        return images
    return images[torch.arange(count) * len(images) // count]
