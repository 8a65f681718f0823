"""A small compressor with made weights, its export, and images."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import nn

from fsar_lab.codec import blob
from fsar_lab.codec.codec import Codec
from fsar_lab.codec.model import CodecModel
from fsar_lab.config.schema import FSARConfig, GaussianLinearARConfig, ShallowConfig, STHQConfig
from fsar_lab.export import export
from fsar_lab.models.backbones.shallow import Shallow
from fsar_lab.models.coders.gaussian_linear_ar import GaussianLinearAR
from fsar_lab.models.compressor import Compressor
from fsar_lab.models.priors.fsar import FSAR
from fsar_lab.models.quantizers.sthq import STHQ

sys.path.insert(0, str(Path(__file__).parent))  # network_reference

WIDTH, GROUPS, K = 8, 2, 16


def smooth_images(number: int, side: int = 16, seed: int = 0) -> NDArray[np.uint8]:
    """Images with photographic smoothness, uint8 [N, side, side, 3]."""
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.randn(number, 3, 4, 4, generator=generator)
    images = nn.functional.interpolate(coarse, size=side, mode="bicubic") * 50 + 128
    images = images + 6 * torch.randn(number, 3, side, side, generator=generator)
    return np.ascontiguousarray(images.clamp(0, 255).to(torch.uint8).permute(0, 2, 3, 1).numpy())


@pytest.fixture(autouse=True)
def _nothing_is_stored(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Models with made weights would store most groups: here they have to code them."""
    if request.node.get_closest_marker("stores") is None:
        monkeypatch.setattr(Codec, "_encode_part", Codec._encode_groups)
        monkeypatch.setattr(blob, "stored", lambda *_: None)


def made_normalisation(network: nn.Module, generator: torch.Generator) -> None:
    """Batch statistics as after training, so that folding has something to fold."""
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            n = module.num_features
            module.running_mean = torch.randn(n, generator=generator) * 0.1
            module.running_var = torch.rand(n, generator=generator) * 0.15 + 0.05
            module.weight.data = torch.rand(n, generator=generator) + 0.5
            module.bias.data = torch.randn(n, generator=generator) * 0.3


def make_compressor(width: int = WIDTH, groups: int = GROUPS, k: int = K, **backbone: Any) -> Compressor:
    """A compressor whose parts have made weights."""
    with torch.random.fork_rng():
        torch.manual_seed(1)
        coder = GaussianLinearAR(GaussianLinearARConfig())
        shallow = Shallow(ShallowConfig(width=width, **backbone), coder.out_channels)
        dim = width // groups
        quantizer = STHQ(STHQConfig(groups=groups, codebook_size=k, dim=dim))
        prior = FSAR(FSARConfig(), groups, k, dim)
        for parameter in prior.parameters():
            parameter.data.mul_(2)  # far from uniform: contexts differ
        model = Compressor(shallow, quantizer, prior, coder)
        made_normalisation(shallow, torch.Generator().manual_seed(2))
    model.initialise(torch.from_numpy(smooth_images(64)).permute(0, 3, 1, 2))
    return model.eval()


@pytest.fixture(scope="session")
def made_images() -> Callable[..., NDArray[np.uint8]]:
    """The function smooth_images."""
    return smooth_images


@pytest.fixture(scope="session")
def made_compressor() -> Callable[..., Compressor]:
    """The function make_compressor."""
    return make_compressor


@pytest.fixture(scope="session")
def compressor() -> Compressor:
    """Width 8, two groups of 16 codes, order-2 FSAR, linear AR."""
    return make_compressor()


@pytest.fixture(scope="session")
def calibration() -> torch.Tensor:
    """uint8 [64, 3, 16, 16]."""
    return torch.from_numpy(smooth_images(64, seed=3)).permute(0, 3, 1, 2).contiguous()


@pytest.fixture(scope="session")
def model(compressor: Compressor, calibration: torch.Tensor) -> CodecModel:
    """The exported model."""
    return export(compressor, calibration, {"dataset": "made"})


@pytest.fixture(scope="session")
def codec(model: CodecModel) -> Codec:
    """A codec of the exported model, one thread."""
    return Codec(model, threads=1)


@pytest.fixture(scope="session")
def model_path(model: CodecModel, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The exported model's file."""
    path = tmp_path_factory.mktemp("model") / "codec.fsarm"
    model.save(path)
    return path
