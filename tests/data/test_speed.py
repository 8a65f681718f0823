"""How fast batches come; `pytest -s tests/data/test_speed.py` prints it. Nothing depends on the figure."""

from __future__ import annotations

import time

import pytest
import torch

from fsar_lab.config.schema import FakeConfig, PhotosConfig
from fsar_lab.data.dataset import Dataset
from fsar_lab.data.fake import Fake
from fsar_lab.data.photos import Photos
from fsar_lab.data.stream import TrainStream


@pytest.mark.parametrize("kind", ["photos", "tensor"])
def test_images_per_second(kind: str) -> None:
    data: Dataset = Photos(PhotosConfig()) if kind == "photos" else Fake(FakeConfig())
    stream, images = TrainStream(data.train, 64, 100), 0
    started = time.perf_counter()
    for batch in stream:
        images += len(batch)
    seconds = time.perf_counter() - started
    print(f"\n{kind}: {images / seconds:,.0f} images/s with {torch.get_num_threads()} threads")
    assert images == 6400
