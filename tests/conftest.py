"""What most tests share."""

from __future__ import annotations

import os
from pathlib import Path

import hypothesis
import numpy as np
import pytest
from numpy.typing import NDArray

# A change is judged by the same cases every time; elsewhere every run tries new ones.
hypothesis.settings.register_profile("ci", derandomize=True)
if os.environ.get("CI"):
    hypothesis.settings.load_profile("ci")

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def root() -> Path:
    """The repository."""
    return ROOT


@pytest.fixture
def rng() -> np.random.Generator:
    """The same random numbers for every test."""
    return np.random.default_rng(20_240_607)


@pytest.fixture
def smooth_images() -> NDArray[np.uint8]:
    """uint8 [7, 16, 24, 3]: gradients with a little noise, the same every time."""
    random = np.random.default_rng(7)
    y, x = np.mgrid[0:16, 0:24]
    slopes = random.uniform(-4, 4, (7, 1, 1, 3, 2))
    values = 128 + slopes[..., 0] * (y - 8)[..., None] + slopes[..., 1] * (x - 12)[..., None]
    return np.clip(values + random.normal(0, 2, values.shape), 0, 255).astype(np.uint8)
