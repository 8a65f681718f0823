"""The C engine: the bits of the definition and of the torch engine, whatever the instructions and threads."""

from __future__ import annotations

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import network_reference as reference
import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from fsar_lab.codec import engine_c, engine_torch
from fsar_lab.codec.integer_network import (
    EXACT,
    CodeSearch,
    CodeTable,
    IntegerNetwork,
    NetworkError,
    check_network,
    check_search,
    layer_bound,
    magnitude,
)
from fsar_lab.codec.model import CodecModel
from fsar_lab.errors import SymbolRangeError

ISAS = ["avx512", "avx512-plain", "avx2-vnni", "avx2", "scalar"]
Plan = list[tuple[str, int, int | None]]
PLANS: dict[str, tuple[int, Plan]] = {
    "one pixel wide": (1, [("conv1", 1, None)]),
    "odd": (3, [("conv3", 5, None), ("conv1", 3, 0), ("conv3", 7, None)]),
    "image": (3, [("down", 32, None), ("conv3", 32, None), ("conv1", 32, 1), ("conv1", 32, None)]),
    "image that is added": (3, [("down", 9, None), ("up", 3, 0)]),
    "up": (32, [("conv3", 32, None), ("conv1", 32, 0), ("up", 32, None), ("conv1", 6, None)]),
    "shuffled": (32, [("conv3", 32, None), ("shuffle1", 128, None), ("shuffle3", 24, None)]),
    "shuffled, odd": (7, [("shuffle3", 20, None), ("conv3", 5, 1), ("down", 7, 0)]),
    "up, odd": (5, [("up", 33, None), ("up", 3, None)]),
    "wide": (70, [("conv3", 65, None), ("conv3", 70, 0), ("down", 31, None), ("conv1", 64, None)]),
    "many skips": (8, [("conv1", 8, 0), ("conv3", 8, 0), ("conv1", 8, 1), ("conv3", 8, 2), ("conv1", 8, 0)]),
    "one": (1, [("conv3", 1, None), ("up", 1, None), ("conv3", 1, None)]),
    "deep": (4, [("down", 16, None), ("down", 17, None), ("up", 18, None), ("conv3", 16, 1), ("up", 4, 0)]),
    "256": (256, [("conv1", 256, 0), ("conv3", 40, None)]),
}


@pytest.fixture(params=ISAS)
def isa(request: pytest.FixtureRequest) -> str:
    """Every instruction set that this processor has."""
    wanted: str = request.param
    if engine_c.isa(wanted) != wanted:
        pytest.skip(f"this processor lacks {wanted}")
    return wanted


def sides(plan: Plan, rng: np.random.Generator) -> list[tuple[int, int]]:
    """Some heights and widths: as small as layers allow, odd where they allow it, larger than a tile."""
    halvings = sum(geometry == "down" for geometry, *_ in plan)
    unit = 1 << halvings
    skips = any(skip is not None for *_, skip in plan)
    odd = 0 if skips else unit - 1
    return [(unit, unit), (unit * 5 + odd, unit * 13), (unit * int(rng.integers(1, 8)), unit * 19 + odd)]


@pytest.mark.parametrize("name", PLANS)
@pytest.mark.parametrize("seed", range(3))
def test_networks_are_their_definition(name: str, seed: int, isa: str) -> None:
    rng = np.random.default_rng([seed, *name.encode()])
    channels, plan = PLANS[name]
    network = reference.random_network(rng, channels, plan)
    check_network(network, "test")
    assert max(layer_bound_of(network, i) for i in range(len(plan))) == EXACT - 1
    engine = engine_c.Network(network, isa)
    for height, width in sides(plan, rng):
        x = reference.random_input(rng, network, (2, height, width))
        wanted = reference.run(network, x)
        assert np.array_equal(engine(x), wanted)
    other = engine_torch.NetworkEngine(network, torch.device("cpu"), torch.float32)
    with engine_torch.exact():
        assert np.array_equal(other(torch.from_numpy(x).float()).numpy(), wanted)


def layer_bound_of(network: IntegerNetwork, number: int) -> int:
    layer = network.layers[number]
    added = None if layer.skip is None else magnitude(*network.activation_bounds(layer.skip))
    return layer_bound(layer, magnitude(*network.activation_bounds(number)), added)


def test_every_number_of_outputs(isa: str) -> None:
    rng = np.random.default_rng(4)
    for outputs in range(1, 71):
        inputs = int(rng.integers(1, 12))
        network = reference.random_network(
            rng, inputs, [(str(rng.choice(["conv1", "conv3", "up"])), outputs, None)]
        )
        x = reference.random_input(rng, network, (1, 2, int(rng.integers(1, 12))))
        assert np.array_equal(engine_c.Network(network, isa)(x), reference.run(network, x)), outputs


def test_small_sides(isa: str) -> None:
    """Every width up to more than two tiles, with windows that are mostly border."""
    rng = np.random.default_rng(5)
    network = reference.random_network(rng, 6, [("conv3", 10, None), ("up", 6, None)])
    engine = engine_c.Network(network, isa)
    for width in range(1, 21):
        for height in (1, 2, 3):
            x = reference.random_input(rng, network, (1, height, width))
            assert np.array_equal(engine(x), reference.run(network, x)), (height, width)


@pytest.mark.parametrize(
    ("limit", "largest"), [(8191, 25), (8192, 25), (50, 3640), (50, 3641), (40, 8191), (40, 8192)]
)
@pytest.mark.parametrize("geometry", ["conv3", "up"])
def test_winograd_where_its_transforms_just_fit(isa: str, geometry: str, limit: int, largest: int) -> None:
    """Activations of 4 * 8191 after the transform, weights of 9 * 3640 or 4 * 8191; not used beyond."""
    rng = np.random.default_rng([limit, largest])
    channels, outputs = 8, 33
    bound = np.full(channels, limit, np.int16)
    kind, size, stride, padding = reference.GEOMETRIES[geometry]
    signs = rng.choice([-1, 1], (outputs, channels, 1, 1)) * np.ones((size, size), np.int64)
    signs[::3] *= rng.choice([-1, 1], signs[::3].shape)  # the others add up in the transform
    layer = replace(
        reference.random_layer(rng, geometry, magnitude(-bound, bound), outputs),
        weight=(signs * largest).astype(np.int16),
        bias=np.zeros(outputs, np.int32),
        shift=np.full(outputs, 9, np.uint8),
        low=np.full(outputs, -32767, np.int16),
        high=np.full(outputs, 32767, np.int16),
    )
    assert (layer.kind, layer.stride, layer.padding) == (kind, stride, padding)
    network = IntegerNetwork(-bound, bound, (layer,))
    if layer_bound_of(network, 0) >= EXACT:  # then these weights on one channel
        weight = layer.weight.copy()
        weight[:, 1:] = 0
        network = changed(network, 0, weight=weight)
    check_network(network, "test")
    engine = engine_c.Network(network, isa)
    for height, width in ((2, 2), (6, 22), (5, 22), (6, 7)):
        x = (rng.choice([-1, 1], (1, height, width, channels)) * limit).astype(np.int16)
        x[:, ::2, 1::2] = -x[:, ::2, ::2][:, :, : x.shape[2] // 2]
        assert np.array_equal(engine(x), reference.run(network, x)), (height, width)


def random_analysis(
    rng: np.random.Generator, groups: int, size: int, dim: int, limit: int
) -> tuple[IntegerNetwork, CodeSearch]:
    """Few different weights: many scores are equal."""
    image = np.full(3, 255, np.int16)
    network = reference.random_network(
        rng, 3, [("down", 8, None), ("conv1", groups * dim, None)], (limit,), (-image, image)
    )
    weight = rng.integers(-1, 2, (groups, size, dim)).astype(np.int16)
    bias = rng.integers(-2, 3, (groups, size)).astype(np.int32)
    return network, CodeSearch(weight, bias)


@pytest.mark.parametrize(
    ("groups", "size", "dim", "limit"),
    [(1, 1, 1, 3), (1, 256, 32, 511), (2, 65, 3, 1), (3, 300, 5, 4095), (1, 17, 8, 32767), (2, 1000, 2, 2)],
)
def test_search_takes_the_first_of_the_best(isa: str, groups: int, size: int, dim: int, limit: int) -> None:
    rng = np.random.default_rng([size, dim])
    network, search = random_analysis(rng, groups, size, dim, limit)
    last = network.layers[-1]
    check_search(search, magnitude(last.low, last.high))
    images = rng.integers(0, 256, (3, 14, 22, 3), np.uint8)
    wanted = reference.search(search, reference.run(network, 2 * images.astype(np.int64) - 255))
    assert np.array_equal(engine_c.Analysis(network, search, isa)(images), wanted)
    assert np.array_equal(engine_torch.Analysis(network, search)(images), wanted)


def test_search_at_the_bound(isa: str) -> None:
    """Scores of both signs that reach 2^24 - 1, and equal ones far apart."""
    rng = np.random.default_rng(6)
    limit, dim, size = 31, 4, 200
    image, zeros = np.full(3, 255, np.int16), np.zeros(dim, np.int32)
    layer = reference.random_layer(rng, "down", magnitude(-image, image), dim)
    small = rng.integers(-1, 2, layer.weight.shape).astype(np.int16)
    wide = np.full(dim, limit, np.int16)
    layer = replace(layer, weight=small, bias=zeros, shift=np.full(dim, 3, np.uint8), low=-wide, high=wide)
    network = IntegerNetwork(-image, image, (layer,))
    weight = np.zeros((1, size, dim), np.int16)
    weight[0, [3, 70, 199]] = 32767
    weight[0, [5, 71, 130]] = -32767
    room = EXACT - 1 - 32767 * limit * dim
    bias = np.zeros((1, size), np.int32)
    bias[0, [3, 5, 70, 71, 130, 199]] = room
    bias[0, ::2] -= room * (bias[0, ::2] == 0)
    search = CodeSearch(weight, bias)
    check_search(search, np.full(dim, limit))
    images = rng.integers(0, 256, (2, 32, 32, 3), np.uint8)
    wanted = reference.search(search, reference.run(network, 2 * images.astype(np.int64) - 255))
    assert {3, 5} <= set(wanted.ravel().tolist())
    assert np.array_equal(engine_c.Analysis(network, search, isa)(images), wanted)


@pytest.mark.parametrize(
    ("groups", "size", "channels", "plan"),
    [
        (1, 16, 32, [("up", 32, None), ("conv1", 6, None)]),
        (2, 9, 7, [("conv3", 5, None), ("conv1", 2, None)]),
        (3, 70, 65, [("up", 6, None)]),
        (1, 4, 3, [("conv1", 6, None)]),
        (1, 5, 8, [("conv1", 8, 0)]),
        (4, 3, 2, [("conv3", 33, None), ("conv1", 20, None)]),
        (1, 6, 9, [("shuffle1", 24, None)]),
    ],
)
def test_synthesis_is_its_definition(isa: str, groups: int, size: int, channels: int, plan: Plan) -> None:
    rng = np.random.default_rng([groups, channels])
    network = reference.random_network(rng, channels, plan)
    last = network.layers[-1]
    low, high = last.low.copy(), last.high.copy()
    scales = np.arange(len(low)) // (4 if last.kind == "shuffle" else 1) % 2 == 1
    low[scales], high[scales] = 0, np.minimum(high[scales], 255)
    network = replace(network, layers=(*network.layers[:-1], replace(last, low=low, high=high)))
    values = rng.integers(-32768, 32768, (groups, size, channels)).astype(np.int16)
    table = CodeTable(values, network.low, network.high)
    codes = engine_c.Synthesis(table, network, isa)
    for height, width in ((1, 1), (3, 5), (8, 16)):
        indices = rng.integers(0, size, (2, groups, height, width)).astype(np.uint16)
        theta = reference.run(network, reference.look_up(table, indices)).transpose(0, 3, 1, 2)
        logits, scales = codes(indices)
        assert logits.dtype == np.int16 and np.array_equal(logits, theta[:, 0::2])
        assert scales.dtype == np.uint8 and np.array_equal(scales, theta[:, 1::2])


@pytest.mark.parametrize("batch", [1, 7, 70])
@pytest.mark.parametrize("threads", [1, 2, 5])
def test_an_exported_model_has_the_bits_of_torch(model: CodecModel, batch: int, threads: int) -> None:
    images = np.random.default_rng(1).integers(0, 256, (70, 16, 16, 3), np.uint8)
    indices = engine_torch.Analysis(model.networks.analysis, model.networks.search)(images)
    wanted = engine_torch.Synthesis(model.networks.table, model.networks.synthesis)(indices)
    analysis = engine_c.Analysis(model.networks.analysis, model.networks.search, threads=threads)
    synthesis = engine_c.Synthesis(model.networks.table, model.networks.synthesis, threads=threads)
    parts = [slice(i, i + batch) for i in range(0, 70, batch)]
    assert np.array_equal(np.concatenate([analysis(images[part]) for part in parts]), indices)
    results = [synthesis(indices[part]) for part in parts]
    for i, planes in enumerate(wanted):
        assert np.array_equal(np.concatenate([result[i] for result in results]), planes)


def test_many_threads_share_a_network(model: CodecModel) -> None:
    rng = np.random.default_rng(2)
    batches = [rng.integers(0, 256, (5, *side, 3), np.uint8) for side in [(16, 16), (4, 20), (2, 2)] * 4]
    analysis = engine_c.Analysis(model.networks.analysis, model.networks.search, threads=2)
    wanted = [analysis(batch) for batch in batches]
    with ThreadPoolExecutor(4) as pool:
        for found, one in zip(pool.map(analysis, batches), wanted, strict=True):
            assert np.array_equal(found, one)


def test_no_images(model: CodecModel) -> None:
    analysis = engine_c.Analysis(model.networks.analysis, model.networks.search, threads=2)
    assert analysis(np.empty((0, 16, 16, 3), np.uint8)).shape == (0, 2, 8, 8)


def test_values_outside_the_bounds_are_clamped() -> None:
    rng = np.random.default_rng(7)
    network = reference.random_network(rng, 3, [("conv3", 4, None)], (50,))
    x = rng.integers(-32768, 32768, (1, 5, 5, 3)).astype(np.int16)
    wanted = reference.run(network, np.clip(x, network.low, network.high))
    assert np.array_equal(engine_c.Network(network)(x), wanted)


def test_the_environment_chooses_and_torch_is_not_imported(root: Path) -> None:
    code = "import sys; from fsar_lab.codec import engine_c; print(engine_c.isa(), 'torch' in sys.modules)"
    for given, wanted in {"scalar": "scalar", "sse4": "scalar", "avx2-gather": engine_c.isa("avx2")}.items():
        environment = os.environ | {"EC_ISA": given}
        command = [sys.executable, "-c", code]
        done = subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, check=True)
        assert done.stdout.split() == [wanted, "False"]


# --- what is refused -------------------------------------------------------------------------------


def small_network() -> IntegerNetwork:
    rng = np.random.default_rng(8)
    return reference.random_network(rng, 4, [("conv3", 6, None), ("conv1", 4, 0)])


def changed(network: IntegerNetwork, number: int, **fields: Any) -> IntegerNetwork:
    layers = list(network.layers)
    layers[number] = replace(layers[number], **fields)
    return replace(network, layers=tuple(layers))


def ones(*shape: int, dtype: type[np.generic] = np.int16, value: int = 1) -> NDArray[Any]:
    return np.full(shape, value, dtype)


HOSTILE: dict[str, tuple[int, dict[str, Any]]] = {
    "unknown kind": (0, {"kind": "dense"}),
    "weights of another layer": (0, {"weight": ones(6, 5, 3, 3)}),
    "shuffle of 6": (0, {"kind": "shuffle"}),
    "shuffle with a skip": (1, {"kind": "shuffle"}),
    "side 2": (0, {"weight": ones(6, 4, 2, 2)}),
    "stride 2": (0, {"stride": 2}),
    "float weights": (0, {"weight": ones(6, 4, 3, 3).astype(np.float32)}),
    "bias too short": (0, {"bias": ones(5, dtype=np.int32)}),
    "shift of another type": (0, {"shift": ones(6, dtype=np.int32)}),
    "shift of 24": (0, {"shift": ones(6, dtype=np.uint8, value=24)}),
    "bounds the wrong way round": (0, {"low": ones(6, value=7), "high": ones(6, value=6)}),
    "-32768": (0, {"low": ones(6, value=-32768)}),
    "sums at the limit": (1, {"bias": ones(4, dtype=np.int32, value=EXACT)}),
    "bias of -2^31": (1, {"bias": ones(4, dtype=np.int32, value=-(2**31))}),
    "skip multiplier of -2^31": (1, {"skip_multiplier": ones(4, dtype=np.int32, value=-(2**31))}),
    "largest weights": (0, {"weight": ones(6, 4, 3, 3, value=-32768)}),
    "skip to another width": (1, {"skip": 1}),
    "skip to the future": (1, {"skip": 2}),
    "skip far away": (1, {"skip": 2**31 - 1}),
    "skip of -2": (1, {"skip": -2}),
    "no outputs": (1, {"weight": ones(0, 6, 1, 1), "bias": ones(0, dtype=np.int32),
                       "shift": ones(0, dtype=np.uint8), "low": ones(0), "high": ones(0),
                       "skip_multiplier": ones(0, dtype=np.int32), "skip": None}),
}  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_networks_are_refused(name: str) -> None:
    number, fields = HOSTILE[name]
    engine_c.Network(small_network())
    with pytest.raises(NetworkError):
        engine_c.Network(changed(small_network(), number, **fields))


def test_no_layers_and_too_many() -> None:
    network = small_network()
    with pytest.raises(NetworkError):
        engine_c.Network(replace(network, layers=()))
    layer = replace(network.layers[1], weight=ones(4, 4, 1, 1), skip=None, bias=ones(4, dtype=np.int32))
    with pytest.raises((NetworkError, ValueError)):
        engine_c.Network(replace(network, layers=(layer,) * 65))


def test_the_exact_bound_is_the_last_that_is_taken() -> None:
    network = reference.random_network(np.random.default_rng(9), 3, [("conv1", 2, None)])
    engine_c.Network(network)
    bias = network.layers[0].bias.copy()
    bias[-1] += 1 if bias[-1] >= 0 else -1
    with pytest.raises(NetworkError, match="2\\^24"):
        engine_c.Network(changed(network, 0, bias=bias))


def test_search_and_table_that_do_not_fit() -> None:
    network, search = random_analysis(np.random.default_rng(10), 2, 5, 4, 100)
    for weight, bias in (
        (ones(2, 5, 3), search.bias),
        (ones(2, 4, 4), search.bias),
        (ones(1, 5, 4), ones(1, 5, dtype=np.int32)),
        (search.weight, ones(2, 5, dtype=np.int32, value=EXACT)),
        (ones(2, 5, 4, value=-32768) * 1, ones(2, 5, dtype=np.int32, value=EXACT - 1)),
        (ones(2, 0, 4), ones(2, 0, dtype=np.int32)),
    ):
        with pytest.raises(NetworkError):
            engine_c.Analysis(network, CodeSearch(weight, bias))
    table = CodeTable(ones(1, 5, 3), ones(3, value=-9), ones(3, value=9))
    head = reference.random_network(np.random.default_rng(11), 3, [("conv1", 2, None)], (9,))
    with pytest.raises(NetworkError):  # a scale may be negative
        engine_c.Synthesis(table, changed(head, 0, low=ones(2, value=-1), high=ones(2, value=1)))
    with pytest.raises(NetworkError):  # or beyond a byte
        engine_c.Synthesis(table, changed(head, 0, low=ones(2, value=0), high=ones(2, value=256)))
    with pytest.raises(NetworkError):
        engine_c.Synthesis(replace(table, values=ones(1, 5, 4)), head)


def test_indices_and_images_that_do_not_fit(model: CodecModel) -> None:
    synthesis = engine_c.Synthesis(model.networks.table, model.networks.synthesis)
    indices = np.zeros((2, 2, 4, 4), np.uint16)
    indices[1, 1, 3, 3] = model.networks.table.values.shape[1]
    with pytest.raises(SymbolRangeError):
        synthesis(indices)
    with pytest.raises(ValueError, match="groups"):
        synthesis(np.zeros((2, 3, 4, 4), np.uint16))
    analysis = engine_c.Analysis(model.networks.analysis, model.networks.search)
    for shape in ((1, 1, 8, 3), (1, 0, 8, 3), (1, 8, 8, 4), (8, 8, 3)):
        with pytest.raises(ValueError, match=r"images|analysis"):
            analysis(np.zeros(shape, np.uint8))
    with pytest.raises(ValueError, match="uint8"):
        analysis(np.zeros((1, 8, 8, 3), np.int16))  # type: ignore[arg-type]


def test_a_skip_of_another_size_is_refused() -> None:
    """Halving an odd side and doubling it again does not lead back."""
    network = reference.random_network(np.random.default_rng(12), 3, PLANS["image that is added"][1])
    engine = engine_c.Network(network)
    assert engine(np.zeros((1, 4, 6, 3), np.int16)).shape == (1, 4, 6, 3)
    with pytest.raises(ValueError, match="5x6"):
        engine(np.zeros((1, 5, 6, 3), np.int16))
