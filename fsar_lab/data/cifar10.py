"""CIFAR-10 as torchvision fetches it."""

from __future__ import annotations

from urllib.error import URLError

import torch
from torch import Tensor

from fsar_lab.config.schema import CIFAR10Config
from fsar_lab.data.dataset import Dataset
from fsar_lab.data.npz import training_images
from fsar_lab.data.places import cifar10_folder
from fsar_lab.data.source import TensorSource, spread
from fsar_lab.errors import DataError


class CIFAR10(Dataset):
    """50,000 training images, the last of them for validation, and 10,000 test images of 32x32 pixels."""

    def __init__(self, config: CIFAR10Config) -> None:
        """Download what is missing and read everything into memory.

        Raises:
            DataError: No data and no way to get them.
        """
        train = _read(config, train=True)
        kept = training_images(len(train), config.validation_images)
        test = _read(config, train=False)
        about = "CIFAR-10 (Krizhevsky 2009, cs.toronto.edu/~kriz/cifar.html; free for research)"
        super().__init__(
            TensorSource(train[:kept], config.flip),
            TensorSource(train[kept:]),
            TensorSource(spread(test, config.test_images)),
            32,
            about,
        )


def _read(config: CIFAR10Config, train: bool) -> Tensor:
    """All images of one part: uint8 [N, 3, 32, 32]."""
    import fsar_lab._torchvision_guard  # noqa: F401, I001  (before torchvision, see there)
    from torchvision.datasets import CIFAR10 as Torchvision

    root = cifar10_folder(config)
    try:
        images = Torchvision(str(root), train=train, download=config.download).data
    except (URLError, OSError, RuntimeError) as error:
        raise DataError(
            f"CIFAR-10 could not be had in {root}: {error} -> with a network dataset.download=true fetches "
            "it; without one unpack cifar-10-python.tar.gz from https://www.cs.toronto.edu/~kriz/cifar.html "
            "there, or use .npz files with dataset=cifar10_npz"
        ) from error
    return torch.from_numpy(images).permute(0, 3, 1, 2).contiguous()
