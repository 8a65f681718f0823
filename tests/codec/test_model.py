"""The model file: the same after a round trip, and refused when anything about it is off."""

from __future__ import annotations

import contextlib
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import save_file

from fsar_lab.codec.codec import Codec
from fsar_lab.codec.integer_network import IntegerNetwork, NetworkError
from fsar_lab.codec.model import KEY, CodecModel
from fsar_lab.errors import DamagedStreamError, UnsupportedVersionError


def read(path: Path) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    with safe_open(str(path), framework="numpy") as file:
        return json.loads(file.metadata()[KEY]), {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118


def write(path: Path, description: dict[str, Any], tensors: dict[str, np.ndarray]) -> Path:
    save_file(tensors, path, {KEY: json.dumps(description)})
    return path


def test_round_trip(model: CodecModel, model_path: Path, tmp_path: Path) -> None:
    loaded = CodecModel.load(model_path)
    assert loaded.id == model.id and loaded.facts == model.facts and len(model.id) == 8
    images = np.random.default_rng(0).integers(0, 256, (5, 8, 8, 3), np.uint8)
    assert Codec(loaded, threads=1).encode(images) == Codec(model, threads=1).encode(images)
    loaded.save(tmp_path / "again.fsarm")
    assert (tmp_path / "again.fsarm").read_bytes() == model_path.read_bytes()
    assert [p.name for p in tmp_path.iterdir()] == ["again.fsarm"]


def test_id_covers_what_decides_a_bit(model: CodecModel) -> None:
    assert replace(model, facts={"other": 1}).id == model.id
    first = model.networks.synthesis.layers[0]
    changed = replace(first, bias=first.bias + np.int32(1))
    network = replace(model.networks.synthesis, layers=(changed, *model.networks.synthesis.layers[1:]))
    ids = {
        model.id,
        _with_synthesis(model, network).id,
        replace(model, prior=replace(model.prior, features=model.prior.features + np.int16(1))).id,
        replace(model, prior=replace(model.prior, basis=model.prior.basis + np.int16(1))).id,
        replace(model, prior=replace(model.prior, bias=model.prior.bias + np.int32(1))).id,
        replace(model, prior=replace(model.prior, context_map=model.prior.context_map[::-1])).id,
        replace(model, prior=replace(model.prior, bits=15)).id,
        replace(model, prior=replace(model.prior, offsets=model.prior.offsets[::-1])).id,
        replace(model, pixels=replace(model.pixels, bias=model.pixels.bias + np.int32(1))).id,
    }
    assert len(ids) == 9
    assert replace(model, prior=replace(model.prior, bits=model.prior.bits)).id == model.id


def test_parts_that_do_not_fit_are_refused(model: CodecModel) -> None:
    head = model.networks.synthesis.layers[-1]
    high = replace(head, high=head.high + np.int16(1))
    wide = replace(model.networks.synthesis, layers=(*model.networks.synthesis.layers[:-1], high))
    with pytest.raises(NetworkError, match=r"pixel tables|mean look-up"):
        _with_synthesis(model, wide).check()
    with pytest.raises(NetworkError, match="factors"):
        flat = replace(model.networks.synthesis, layers=tuple(_without_upsampling(model)))
        _with_synthesis(model, flat).check()


def _with_synthesis(model: CodecModel, synthesis: IntegerNetwork) -> CodecModel:
    return replace(model, networks=replace(model.networks, synthesis=synthesis))


def _without_upsampling(model: CodecModel) -> list[Any]:
    return [
        replace(layer, kind="conv", weight=layer.weight[:, :, :1, :1], stride=1, padding=0)
        if layer.kind == "transposed"
        else layer
        for layer in model.networks.synthesis.layers
    ]


def test_newer_format(model_path: Path, tmp_path: Path) -> None:
    description, tensors = read(model_path)
    with pytest.raises(UnsupportedVersionError, match="update"):
        CodecModel.load(write(tmp_path / "m", description | {"format": 3}, tensors))
    with pytest.raises(UnsupportedVersionError, match="export the model again"):
        CodecModel.load(write(tmp_path / "m", description | {"format": 1}, tensors))


# As the made model has it, and what must not be believed.
PRIOR = {"bits": 14, "groups": 2, "codebook_size": 16, "rank": 16, "offsets": [[0, -1, 0], [0, 0, -1]]}
WRONG_PRIORS: list[dict[str, Any]] = [
    {"offsets": []},
    {"bits": 40},
    {"groups": 200, "codebook_size": 4000, "offsets": [[0, -1, 0]] * 4},
    {"groups": -1},
    {"groups": 1},
    {"codebook_size": 17},
    {"tables": 0},
    {"tables": 1 << 16},
    {"tables": 1},
    {"rank": 0},
    {"rank": 15},
    {"rank": 1 << 40},
    {"rank": 16.0},
    {"offsets": [[0, -1], [0, 0, -1]]},
    {"offsets": [[0, -1, 0]] * 5},
    {"offsets": [[0, 0, -1], [0, -1, 0]]},
]


@pytest.mark.parametrize(
    "change",
    [
        {"format": 0},
        {"format": "1"},
        {"format": True},
        {"id": "0" * 16},
        {"id": 3},
        {"facts": []},
        {"analysis": {"layers": []}},
        {"analysis": None},
        *({"prior": PRIOR | change} for change in WRONG_PRIORS),
        {"pixels": {"scales": 64, "taps": []}},
        {"pixels": {"scales": 257, "taps": [[], [], []]}},
        {"pixels": {"scales": 0, "taps": [[], [], []]}},
        {"pixels": {"scales": 64, "taps": [[[0, 0, -1]] * 3] * 2 + [[[0, 0, -1]] * 13]}},
    ],
    ids=str,
)
def test_hostile_descriptions(model_path: Path, tmp_path: Path, change: dict[str, Any]) -> None:
    description, tensors = read(model_path)
    if "prior" in change:
        change = {"prior": {"tables": description["prior"]["tables"]} | change["prior"]}
    with pytest.raises(DamagedStreamError):
        CodecModel.load(write(tmp_path / "m", description | change, tensors))


def test_every_tensor_is_checked(model_path: Path, tmp_path: Path) -> None:
    """Missing, of another type, of another length or with other values: always refused."""
    description, tensors = read(model_path)
    for name, value in tensors.items():
        flat = value.reshape(-1).copy()
        flat[len(flat) // 2] ^= 1
        for other in (
            None,
            value.astype(np.float32),
            value.reshape(-1)[:-1] if value.ndim == 1 else value[..., :-1],
            value[None],
            flat.reshape(value.shape),
        ):
            changed = {k: v for k, v in tensors.items() if k != name}
            if other is not None:
                changed[name] = np.ascontiguousarray(other)
            path = write(tmp_path / "m", description, changed)
            try:
                same = CodecModel.load(path).id.hex() == description["id"]
            except DamagedStreamError:
                continue
            # A deflated tensor may have a second spelling.
            assert same and other is not None and value.dtype == np.uint8 and other.shape == value.shape


def test_truncated_and_foreign_files(model_path: Path, tmp_path: Path) -> None:
    data = model_path.read_bytes()
    for length in (0, 1, 7, 8, 100, len(data) // 2, len(data) - 1):
        (tmp_path / "m").write_bytes(data[:length])
        with pytest.raises(DamagedStreamError):
            CodecModel.load(tmp_path / "m")
    save_file({"x": np.zeros(3, np.int32)}, tmp_path / "m")
    with pytest.raises(DamagedStreamError, match="description"):
        CodecModel.load(tmp_path / "m")
    with pytest.raises(FileNotFoundError):
        CodecModel.load(tmp_path / "gone")


def test_flipped_bytes_of_the_file(model_path: Path, tmp_path: Path) -> None:
    """Refused, or a fact that decides nothing."""
    data = model_path.read_bytes()
    wanted = CodecModel.load(model_path).id
    for position in range(0, len(data), max(1, len(data) // 150)):
        damaged = bytearray(data)
        damaged[position] ^= 16
        (tmp_path / "m").write_bytes(damaged)
        with contextlib.suppress(DamagedStreamError):
            assert CodecModel.load(tmp_path / "m").id == wanted
