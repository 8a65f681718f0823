"""A causal network through its file: what it learned with rounded numbers is what its integers cost."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import smooth_images

from fsar_lab.codec.causal_net import CausalNetTables
from fsar_lab.codec.codec import Codec
from fsar_lab.codec.fields import deflate
from fsar_lab.codec.integer_network import NetworkError
from fsar_lab.codec.model import CodecModel
from fsar_lab.config.schema import CausalNetConfig
from fsar_lab.errors import DamagedStreamError
from fsar_lab.export import export
from fsar_lab.exporting.estimates import float_bits
from fsar_lab.models.coders.causal_net import CausalNet
from fsar_lab.models.compressor import Compressor

S = CausalNetConfig(
    radius=2, width=24, blocks=1, inner=24, spatial=False, hidden=8, mixtures=2, weights="cifar10_s"
)


def tensor(number: int, seed: int) -> torch.Tensor:
    return torch.from_numpy(smooth_images(number, 32, seed)).permute(0, 3, 1, 2).contiguous()


PAIR = CausalNetConfig(radius=3, width=16, blocks=2, inner=12, hidden=8, mixtures=2, pair=True)
MADE = {"1x1": S, "spatial": CausalNetConfig(weights="cifar10_m"), "pair": PAIR}


@pytest.fixture(scope="module", params=MADE.values(), ids=MADE.keys())
def made(request: pytest.FixtureRequest) -> tuple[Compressor, CodecModel]:
    torch.manual_seed(0)
    compressor = Compressor(None, None, None, CausalNet(request.param)).eval()
    compressor.coder.start_rounding()
    compressor(tensor(16, 5))
    return compressor, export(compressor, tensor(16, 5), {})


def test_coded_bits_are_what_was_learned_with(made: tuple[Compressor, CodecModel]) -> None:
    compressor, model = made
    codec, images = Codec(model), smooth_images(40, 32, 1)
    encoded = codec.encode_parts(images)
    assert np.array_equal(codec.decode(encoded.data), images)
    _, pixels = float_bits(compressor, images)
    assert encoded.pixels == pytest.approx(pixels, rel=0.003)
    assert encoded.latents == 0


def test_a_pair_at_the_end_of_an_odd_row_is_one_pixel() -> None:
    """Grey and not there, for the network that learned as for its integers; nothing is coded."""
    torch.manual_seed(1)
    compressor = Compressor(None, None, None, CausalNet(PAIR)).eval()
    compressor.coder.start_rounding()
    images = smooth_images(32, 32, 1)[:, :, :31].copy()
    compressor(torch.from_numpy(images).permute(0, 3, 1, 2))
    codec = Codec(export(compressor, tensor(16, 5), {}))
    encoded = codec.encode_parts(images)
    assert np.array_equal(codec.decode(encoded.data), images)
    assert encoded.pixels == pytest.approx(float_bits(compressor, images)[1], rel=0.003)


def test_a_network_that_was_never_rounded_is_rounded_by_export() -> None:
    compressor = Compressor(None, None, None, CausalNet(S)).eval()
    images = smooth_images(8, 32, 2)
    _, pixels = float_bits(compressor, images)
    model = export(compressor, tensor(16, 5), {})
    assert not compressor.coder.rounding.active  # it is left as it was
    codec = Codec(model)
    encoded = codec.encode_parts(images)
    assert np.array_equal(codec.decode(encoded.data), images)
    assert encoded.pixels == pytest.approx(pixels, rel=0.05)


def test_any_sizes_and_damage(made: tuple[Compressor, CodecModel]) -> None:
    codec = Codec(made[1])
    sizes = [(1, 1), (70, 3), (17, 65), (66, 66)]
    images = [image[:h, :w] for image, (h, w) in zip(smooth_images(4, 70), sizes, strict=True)]
    data = codec.encode(images)
    assert all(np.array_equal(a, b) for a, b in zip(codec.decode(data), images, strict=True))
    assert np.array_equal(codec.decode(data, only=2), images[2])
    assert data == Codec(made[1], threads=2).encode(images)
    bad = bytearray(data)
    bad[-30] ^= 64
    with pytest.raises(DamagedStreamError):
        codec.decode(bytes(bad))


def test_file(made: tuple[Compressor, CodecModel], tmp_path: Path) -> None:
    model = made[1]
    model.save(tmp_path / "a.fsarm")
    loaded = CodecModel.load(tmp_path / "a.fsarm")
    assert loaded.id == model.id
    images = smooth_images(3)
    assert Codec(loaded).encode(images) == Codec(model).encode(images)
    part = model.pixels
    assert isinstance(part, CausalNetTables)
    wrong = {
        "shift": np.full_like(part.arrays["shift"], 25),
        "bias": np.full_like(part.arrays["bias"], 1 << 30),
        "weights": part.arrays["weights"][:-1],
        "first": part.arrays["first"].astype(np.int32),
    }
    for name, array in wrong.items():
        with pytest.raises(NetworkError):
            replace(model, pixels=replace(part, arrays={**part.arrays, name: array})).check()
    with pytest.raises(NetworkError):
        replace(model, pixels=replace(part, shape=replace(part.shape, hidden=6))).check()


@pytest.mark.parametrize(
    "change",
    [{"pair": 0}, {"pair": 2}, {"pair": True}, {"pair": "1"}, {"conditions": 4}, {"conditions": 2}, {}],
)
def test_descriptions_that_are_none_of_pairs(
    made: tuple[Compressor, CodecModel], change: dict[str, object]
) -> None:
    """Refused, and so is `pair` for the arrays of single pixels, and none for those of pairs."""
    part = made[1].pixels
    assert isinstance(part, CausalNetTables)
    tensors: dict[str, np.ndarray] = {}
    description = part.put(tensors, deflate)
    assert isinstance(description, dict)
    if change:
        description = description | {"pair": 1} | change
    elif part.shape.pair:
        del description["pair"]
    else:
        description["pair"] = 1
    with pytest.raises((DamagedStreamError, NetworkError)):
        CausalNetTables.get(description, tensors).check(None)
