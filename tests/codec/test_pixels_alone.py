"""Codecs without networks: fitted contexts and priors on pixels, coded, stored, and refused when wrong."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import smooth_images
from little_training import trained
from numpy.typing import NDArray

from fsar_lab import entropy
from fsar_lab.codec.codec import Codec
from fsar_lab.codec.context import ContextTables
from fsar_lab.codec.convolution_prior import ConvolutionPrior
from fsar_lab.codec.fields import deflate
from fsar_lab.codec.integer_network import NetworkError
from fsar_lab.codec.model import CodecModel
from fsar_lab.codec.planes import Planes
from fsar_lab.codec.prior import PriorTables, uniform_tables
from fsar_lab.config.schema import ContextConfig, FSARPixelsConfig, GaussianConfig
from fsar_lab.errors import DamagedStreamError, ExportError
from fsar_lab.export import export
from fsar_lab.exporting.estimates import estimated_bits, float_bits
from fsar_lab.models.coders.context import Context
from fsar_lab.models.coders.gaussian import Gaussian
from fsar_lab.models.coders.pixel_priors import FSARPixels
from fsar_lab.models.compressor import Compressor


def tensor(images: NDArray[np.uint8]) -> torch.Tensor:
    return torch.from_numpy(images).permute(0, 3, 1, 2).contiguous()


@pytest.fixture(scope="module")
def context() -> tuple[Compressor, CodecModel]:
    coder, images = Context(ContextConfig(states=6)), tensor(smooth_images(64))
    coder.fit(images)
    compressor = Compressor(None, None, None, coder).eval()
    return compressor, export(compressor, images[:4], {}, images)


@pytest.fixture(scope="module")
def planes() -> tuple[Compressor, CodecModel]:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        coder, images = FSARPixels(FSARPixelsConfig(offsets=[[0, -1, 0]], dim=4)), tensor(smooth_images(32))
        coder.fit(images)
    compressor = Compressor(None, None, None, coder).eval()
    return compressor, export(compressor, images[:4], {}, images)


def test_context_codes_what_the_coder_says(context: tuple[Compressor, CodecModel]) -> None:
    compressor, model = context
    images = smooth_images(40, seed=1)
    codec = Codec(model)
    encoded = codec.encode_parts(images)
    assert np.array_equal(codec.decode(encoded.data), images)
    latents, pixels = float_bits(compressor, images)
    assert latents == encoded.latents == 0
    assert encoded.pixels == pytest.approx(pixels, rel=0.01)
    assert estimated_bits(compressor, codec, images) == (0, pixels)
    assert encoded.bpd < 6.5


def test_the_torch_model_chooses_the_same_tables(context: tuple[Compressor, CodecModel]) -> None:
    """Symbols and contexts of the vectorised float-side code, coded one by one, are the same bytes."""
    compressor, model = context
    images = smooth_images(5, seed=2)
    assert isinstance(model.pixels, ContextTables)
    encoder = entropy.Encoder(5)
    model.pixels.make_coder().push(encoder, images, None)
    contexts, symbols = compressor.coder(tensor(images))
    index = (6 * torch.arange(3).view(1, -1, 1, 1) + contexts).permute(0, 2, 3, 1).reshape(5, -1)
    plain = entropy.Encoder(5)
    tables = entropy.Tables(model.pixels.counts.astype(np.uint32), 16)
    flat = symbols.permute(0, 2, 3, 1).reshape(5, -1)
    plain.push_indexed(tables, flat.numpy().astype(np.uint8), index.numpy().astype(np.uint16))
    assert encoder.finish() == plain.finish()


def test_any_sizes_and_one_of_many(context: tuple[Compressor, CodecModel]) -> None:
    codec = Codec(context[1])
    sizes = [(1, 1), (130, 3), (17, 99), (130, 130)]
    images = [image[:h, :w] for image, (h, w) in zip(smooth_images(4, 130), sizes, strict=True)]
    data = codec.encode(images)
    assert all(np.array_equal(a, b) for a, b in zip(codec.decode(data), images, strict=True))
    assert np.array_equal(codec.decode(data, only=2), images[2])
    bad = bytearray(data)
    bad[-30] ^= 64
    with pytest.raises(DamagedStreamError):
        codec.decode(bytes(bad))


def test_context_file(context: tuple[Compressor, CodecModel], tmp_path: Path) -> None:
    model = context[1]
    model.save(tmp_path / "a.fsarm")
    loaded = CodecModel.load(tmp_path / "a.fsarm")
    assert loaded.id == model.id and loaded.factor == 1 and loaded.networks is loaded.prior is None
    images = smooth_images(3)
    assert Codec(loaded).encode(images) == Codec(model).encode(images)
    part = model.pixels
    assert isinstance(part, ContextTables)
    counts = part.counts.copy()
    counts[0, 0] += 1
    wrong = [
        replace(part, counts=counts),
        replace(part, bias=np.full((3, 2, 16), 2**30 + 1, np.int32)),
        replace(part, base=np.full((3, 2, 16), -(2**31), np.int32)),
        replace(part, thresholds=part.thresholds[:, :-1]),
        replace(part, weights=part.weights[..., :-1]),
        replace(part, levels=None),
        replace(part, slopes=None),
        replace(part, levels=None, slopes=None),
        replace(part, slopes=part.weights[:, 0, 0, :2]),
        replace(part, energy=part.energy.astype(np.int32)),
        replace(part, counts=part.counts[:-1]),
    ]
    for pixels in wrong:
        with pytest.raises(NetworkError):
            replace(model, pixels=pixels).check()


def test_contexts_without_textures(context: tuple[Compressor, CodecModel], tmp_path: Path) -> None:
    """As the first files had them."""
    part = context[1].pixels
    assert isinstance(part, ContextTables)
    weights, place = np.zeros((3, 6, 14), np.int16), np.zeros((3, 6), np.int32)
    weights[..., :2] = 2048
    plain = replace(part, weights=weights, energy=weights, bias=place, base=place, levels=None, slopes=None)
    model = replace(context[1], pixels=plain)
    model.save(tmp_path / "plain.fsarm")
    loaded = CodecModel.load(tmp_path / "plain.fsarm")
    assert isinstance(loaded.pixels, ContextTables) and loaded.pixels.levels is None
    assert loaded.id == model.id != context[1].id
    images = smooth_images(3)
    assert np.array_equal(Codec(model).decode(Codec(loaded).encode(images)), images)


def test_damaged_textures_are_refused(context: tuple[Compressor, CodecModel]) -> None:
    part = context[1].pixels
    assert isinstance(part, ContextTables) and part.levels is not None
    tensors: dict[str, NDArray[Any]] = {}
    description = part.put(tensors, deflate)
    assert description == {"states": 6, "textures": 16}
    again = ContextTables.get(description, tensors)
    assert all(np.array_equal(getattr(again, name), value) for name, value in vars(part).items())
    damaged: list[tuple[object, dict[str, NDArray[Any]]]] = [
        ({"states": 6}, tensors),  # then weights are not deflated
        ({"states": 6, "textures": 15}, tensors),
        ({"states": 6, "textures": None}, tensors),
        ({"states": 7, "textures": 16}, tensors),
        (description, tensors | {"pixels.weights": deflate(part.weights[:, :, :, :17])}),
        (description, tensors | {"pixels.energy": deflate(part.weights)}),
        (description, tensors | {"pixels.weights": tensors["pixels.weights"][:-1]}),
        (description, tensors | {"pixels.bias": part.bias[0]}),
        (description, tensors | {"pixels.levels": part.levels.astype(np.int32)}),
        (description, {name: value for name, value in tensors.items() if name != "pixels.slopes"}),
    ]
    for changed, values in damaged:
        with pytest.raises(DamagedStreamError):
            ContextTables.get(changed, values)
    swapped = ContextTables.get(description, tensors | {"pixels.levels": part.levels[:, :2].copy()})
    with pytest.raises(NetworkError):
        swapped.check(None)


def test_planes(planes: tuple[Compressor, CodecModel], tmp_path: Path) -> None:
    compressor, model = planes
    assert isinstance(model.pixels, Planes) and isinstance(model.pixels.prior, PriorTables)
    images = smooth_images(34, seed=1)
    model.save(tmp_path / "a.fsarm")
    codec = Codec(CodecModel.load(tmp_path / "a.fsarm"))
    encoded = codec.encode_parts(images)
    assert np.array_equal(codec.decode(encoded.data), images)
    # The network was not trained: tables counted on training images are better than it is.
    assert encoded.pixels < float_bits(compressor, images)[1]
    assert codec.table_bytes > 0
    wrong = Planes(uniform_tables(2, 256, 14))
    with pytest.raises(NetworkError, match="three colours"):
        replace(model, pixels=wrong).check()


def test_uniform_planes_cost_eight_bits() -> None:
    codec = Codec(CodecModel(None, None, Planes(uniform_tables(3, 256, 14))))
    images = smooth_images(2)
    encoded = codec.encode_parts(images)
    assert encoded.pixels == pytest.approx(8 * images.size, rel=1e-4)
    assert np.array_equal(codec.decode(encoded.data), images)


CONVOLUTIONS = [
    "maskconv3x3",
    "maskconv5x5",
    "checkerboard3x3",
    "checkerboard5x5",
    "maskconv3x3x3",
    "maskconv5x5x5",
]
REPRESENTATIVES = ("checkerboard3x3", "maskconv3x3x3")  # a maskconv3x3 is in tests/training


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=[] if n in REPRESENTATIVES else pytest.mark.slow) for n in CONVOLUTIONS]
)
def test_convolutions_on_pixels(name: str, tmp_path: Path) -> None:
    """Trained a little, stored, coded losslessly with the same bytes by either engine, at the float rate."""
    small = (f"experiment=fsar_pixels_{name}", "dataset=fake", "coder.dim=3")
    compressor = trained(base=small)
    model = export(compressor, tensor(smooth_images(8)), {})
    model.save(tmp_path / "a.fsarm")
    loaded = CodecModel.load(tmp_path / "a.fsarm")
    assert loaded.id == model.id and isinstance(loaded.pixels, Planes)
    assert isinstance(loaded.pixels.prior, ConvolutionPrior) and loaded.pixels.prior.groups == 3
    images = smooth_images(35, seed=1)[:, :9, :10]
    encoded = Codec(model, threads=1).encode_parts(images)
    torch_codec = Codec(loaded, threads=2, engine="torch")
    assert torch_codec.encode(images) == encoded.data
    assert np.array_equal(torch_codec.decode(encoded.data), images)
    assert np.array_equal(Codec(loaded, threads=1).decode(encoded.data), images)
    assert encoded.pixels == pytest.approx(float_bits(compressor, images)[1], rel=0.01)
    sizes = [images[0], images[1, :1], images[2, :, :1]]
    assert all(map(np.array_equal, torch_codec.decode(Codec(model).encode(sizes)), sizes))


def test_other_coders_want_networks() -> None:
    with pytest.raises(ExportError, match="Gaussian"):
        export(Compressor(None, None, None, Gaussian(GaussianConfig())), tensor(smooth_images(2)), {})
