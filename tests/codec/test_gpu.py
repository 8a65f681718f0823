"""A GPU computes the bytes that a CPU computes, whatever the batch and the threads."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from fsar_lab.codec.codec import Codec
from fsar_lab.export import export
from fsar_lab.models.compressor import Compressor

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU here")


@pytest.mark.parametrize(("width", "groups", "k"), [(8, 2, 16), (32, 1, 256), (64, 2, 256)])
@pytest.mark.parametrize("side", [16, 32, 64])
def test_same_bytes_as_on_the_cpu(
    made_compressor: Callable[..., Compressor],
    made_images: Callable[..., NDArray[np.uint8]],
    calibration: torch.Tensor,
    width: int,
    groups: int,
    k: int,
    side: int,
) -> None:
    model = export(made_compressor(width, groups, k), calibration, {"dataset": "made"})
    images = made_images(200, side=side, seed=5)
    images[100:] = np.random.default_rng(0).integers(0, 256, images[100:].shape, np.uint8)
    blob = Codec(model, threads=1).encode(images)
    for threads in (1, 2):
        on_gpu = Codec(model, threads=threads, engine="torch", device="cuda")
        assert on_gpu.encode(images) == blob
        assert np.array_equal(on_gpu.decode(blob), images)
