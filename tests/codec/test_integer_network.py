"""Integer networks: what a layer computes, the same bits everywhere, the proof."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from fsar_lab.codec.engine_torch import Analysis, NetworkEngine, Synthesis, run_batches
from fsar_lab.codec.integer_network import (
    EXACT,
    IntegerNetwork,
    Layer,
    NetworkError,
    check_network,
    layer_bound,
    magnitude,
)
from fsar_lab.codec.model import CodecModel

RNG = np.random.default_rng(0)
CPU = torch.device("cpu")


def make_layer(
    kind: str, inputs: int, outputs: int, size: int, stride: int, padding: int, skip: int | None
) -> Layer:
    return Layer(
        name="made",
        kind=kind,
        weight=RNG.integers(-127, 128, (outputs, inputs, size, size)).astype(np.int16),
        bias=RNG.integers(-50_000, 50_000, outputs).astype(np.int32),
        shift=RNG.integers(0, 12, outputs).astype(np.uint8),
        low=RNG.integers(-2000, 1, outputs).astype(np.int16),
        high=RNG.integers(1, 2000, outputs).astype(np.int16),
        stride=stride,
        padding=padding,
        skip=skip,
        skip_multiplier=RNG.integers(-500, 500, outputs).astype(np.int32) * (skip is not None),
    )


def reference(layer: Layer, x: NDArray[np.int64], skip: NDArray[np.int64] | None) -> NDArray[np.int64]:
    """The definition in integer_network's docstring, position by position. x: [N, H, W, in]."""
    n, h, w, _ = x.shape
    outputs, _, size, _ = layer.weight.shape
    p, s = layer.padding, layer.stride
    weight = layer.weight.astype(np.int64)
    if layer.kind == "transposed":
        acc = np.zeros((n, 2 * h + 2, 2 * w + 2, outputs), np.int64)
        for y in range(h):
            for z in range(w):
                acc[:, 2 * y : 2 * y + 4, 2 * z : 2 * z + 4] += np.einsum("ni,oiab->nabo", x[:, y, z], weight)
        acc = acc[:, 1:-1, 1:-1]
    else:
        padded = np.pad(x, ((0, 0), (p, p), (p, p), (0, 0)))
        rows, columns = (h + 2 * p - size) // s + 1, (w + 2 * p - size) // s + 1
        acc = np.zeros((n, rows, columns, outputs), np.int64)
        for y in range(rows):
            for z in range(columns):
                window = padded[:, y * s : y * s + size, z * s : z * s + size]
                acc[:, y, z] = np.einsum("nabi,oiab->no", window, weight)
    acc = acc + layer.bias
    if skip is not None:
        acc = acc + layer.skip_multiplier.astype(np.int64) * skip
    shift = layer.shift.astype(np.int64)
    return np.clip((acc + ((1 << shift) >> 1)) >> shift, layer.low, layer.high)


GEOMETRIES = [("conv", 1, 1, 0), ("conv", 3, 1, 1), ("conv", 4, 2, 1), ("transposed", 4, 2, 1)]


@pytest.mark.parametrize(("kind", "size", "stride", "padding"), GEOMETRIES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_layer_is_its_definition(kind: str, size: int, stride: int, padding: int, dtype: torch.dtype) -> None:
    layer = make_layer(kind, 3, 5, size, stride, padding, None)
    bound = np.full(3, 500, np.int16)
    network = IntegerNetwork(-bound, bound, (layer,))
    check_network(network, "test")
    x = RNG.integers(-500, 501, (2, 6, 4, 3))
    out = NetworkEngine(network, CPU, dtype)(torch.from_numpy(x).to(dtype))
    assert np.array_equal(out.numpy().astype(np.int64), reference(layer, x, None))


def test_shuffle_is_torch_pixel_shuffle() -> None:
    layer = replace(make_layer("conv", 3, 8, 3, 1, 1, None), kind="shuffle")
    bound = np.full(3, 500, np.int16)
    network = IntegerNetwork(-bound, bound, (layer,))
    check_network(network, "test")
    x = RNG.integers(-500, 501, (2, 6, 4, 3))
    convolved = torch.from_numpy(reference(replace(layer, kind="conv"), x, None)).permute(0, 3, 1, 2)
    wanted = torch.nn.functional.pixel_shuffle(convolved, 2).permute(0, 2, 3, 1)
    out = NetworkEngine(network, CPU, torch.float32)(torch.from_numpy(x).float())
    assert torch.equal(out.long(), wanted)
    low, high = network.activation_bounds(1)
    assert low.shape == (2,) and low[0] == layer.low[:4].min() and high[1] == layer.high[4:].max()
    with pytest.raises(NetworkError, match="four outputs"):
        check_network(replace(network, layers=(make_layer("shuffle", 3, 6, 3, 1, 1, None),)), "test")


def test_skip_is_added_before_the_shift() -> None:
    layers = (make_layer("conv", 4, 6, 3, 1, 1, None), make_layer("conv", 6, 4, 1, 1, 0, 0))
    bound = np.full(4, 300, np.int16)
    network = IntegerNetwork(-bound, bound, layers)
    check_network(network, "test")
    x = RNG.integers(-300, 301, (3, 5, 7, 4))
    expected = reference(layers[1], reference(layers[0], x, None), x)
    out = NetworkEngine(network, CPU, torch.float32)(torch.from_numpy(x).float())
    assert np.array_equal(out.numpy().astype(np.int64), expected)


def test_largest_sums_are_exact() -> None:
    """Weights and inputs that reach the bound itself."""
    weight = np.full((1, 1, 1, 1), 511, np.int16)
    layer = replace(make_layer("conv", 1, 1, 1, 1, 0, None), weight=weight, shift=np.array([9], np.uint8))
    layer = replace(layer, low=np.array([-32767], np.int16), high=np.array([32767], np.int16))
    limit = np.array([32767], np.int16)
    layer = replace(layer, bias=np.array([EXACT - 1 - 511 * 32767 - 256], np.int32))
    network = IntegerNetwork(-limit, limit, (layer,))
    check_network(network, "test")
    x = np.arange(32700, 32768).reshape(1, 1, -1, 1)
    out = NetworkEngine(network, CPU, torch.float32)(torch.from_numpy(x).float())
    assert np.array_equal(out.numpy().astype(np.int64), reference(layer, x, None))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("threads", [1, 2])
def test_wide_layers_have_the_same_bits_in_any_order(threads: int, dtype: torch.dtype) -> None:
    """Nearly all of 2^24 is used and the partial sums are large; unshifted outputs show every bit."""
    inputs, limit = 64, 229
    layer = make_layer("conv", inputs, 96, 3, 1, 1, None)
    weight = RNG.integers(120, 128, layer.weight.shape).astype(np.int16)
    weight[:, inputs // 2 :] *= -1
    zeros = np.zeros(96, np.int32)
    wide = np.full(96, 32767, np.int16)
    layer = replace(layer, weight=weight, bias=zeros, shift=zeros.astype(np.uint8), low=-wide, high=wide)
    bound = np.full(inputs, limit, np.int16)
    network = IntegerNetwork(-bound, bound, (layer,))
    check_network(network, "test")
    assert layer_bound(layer, magnitude(-bound, bound), None) > 0.95 * EXACT
    x = RNG.integers(limit - 5, limit + 1, (64, 4, 4, inputs))
    wanted = reference(layer, x, None)
    assert len(np.unique(wanted)) > 1000
    engine = NetworkEngine(network, CPU, dtype)
    for batch in (1, 7, 64):
        parts = [torch.from_numpy(x[i : i + batch]).to(dtype) for i in range(0, 64, batch)]
        out = torch.cat(run_batches(engine, parts, threads))
        assert np.array_equal(out.numpy().astype(np.int64), wanted)


def test_proof_refuses_an_overflow() -> None:
    layer = make_layer("conv", 3, 5, 3, 1, 1, None)
    layer = replace(layer, weight=np.full_like(layer.weight, 127))
    for limit, refused in ((4000, False), (5000, True)):
        bound = np.full(3, limit, np.int16)
        network = IntegerNetwork(-bound, bound, (layer,))
        assert (layer_bound(layer, magnitude(-bound, bound), None) >= EXACT) == refused
        if refused:
            with pytest.raises(NetworkError, match=r"layer made.*partial sums may reach"):
                check_network(network, "test")
        else:
            check_network(network, "test")


def test_proof_counts_bias_and_skip() -> None:
    layer = make_layer("conv", 2, 2, 1, 1, 0, 0)
    bound = np.full(2, 100, np.int16)
    for change in (
        {"bias": np.full(2, -EXACT, np.int32)},
        {"skip_multiplier": np.full(2, EXACT // 100, np.int32)},
    ):
        with pytest.raises(NetworkError, match="partial sums"):
            check_network(IntegerNetwork(-bound, bound, (replace(layer, **change),)), "test")


def test_a_skip_must_have_the_size_of_what_it_is_added_to() -> None:
    """Else a hostile model file would only fail inside torch, or be broadcast."""
    layers = (make_layer("conv", 4, 6, 4, 2, 1, None), make_layer("conv", 6, 4, 1, 1, 0, 0))
    bound = np.full(4, 300, np.int16)
    with pytest.raises(NetworkError, match="another size"):
        check_network(IntegerNetwork(-bound, bound, layers), "test")
    up = make_layer("transposed", 6, 4, 4, 2, 1, 0)
    check_network(IntegerNetwork(-bound, bound, (layers[0], up)), "test")


@pytest.mark.parametrize("batch", [1, 7, 64])
@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_same_bits(model: CodecModel, batch: int, threads: int, dtype: torch.dtype) -> None:
    images = np.random.default_rng(1).integers(0, 256, (70, 16, 16, 3), np.uint8)
    wanted = _run(model, images, 70, 1, torch.float64)
    for a, b in zip(wanted, _run(model, images, batch, threads, dtype)):
        assert np.array_equal(a, b)


def test_callers_settings_change_nothing_and_stay(model: CodecModel) -> None:
    images = np.random.default_rng(2).integers(0, 256, (8, 16, 16, 3), np.uint8)
    wanted = _run(model, images, 8, 1, torch.float64)
    before = torch.get_float32_matmul_precision(), torch.get_num_threads()
    torch.set_float32_matmul_precision("medium")  # bfloat16 products where the machine has them
    try:
        with torch.autocast("cpu", dtype=torch.bfloat16):
            result = _run(model, images, 8, 2, torch.float32)
        assert torch.get_float32_matmul_precision() == "medium" and torch.get_num_threads() == before[1]
    finally:
        torch.set_float32_matmul_precision(before[0])
    assert all(np.array_equal(a, b) for a, b in zip(wanted, result))


@pytest.mark.parametrize(
    "backend", [torch.backends.cuda.matmul, torch.backends.mkldnn.matmul], ids=["cuda", "mkldnn"]
)
def test_precision_of_one_backend_changes_nothing_and_stays(model: CodecModel, backend: Any) -> None:
    """Torch refuses products while this contradicts its overall setting, even to say what that is."""
    images = np.random.default_rng(2).integers(0, 256, (8, 16, 16, 3), np.uint8)
    wanted = _run(model, images, 8, 1, torch.float64)
    before = backend.fp32_precision
    backend.fp32_precision = "tf32"
    try:
        result = _run(model, images, 8, 1, torch.float32)
        assert backend.fp32_precision == "tf32"
    finally:
        backend.fp32_precision = before
    assert all(np.array_equal(a, b) for a, b in zip(wanted, result))


def _run(
    model: CodecModel, images: NDArray[np.uint8], batch: int, threads: int, dtype: torch.dtype
) -> list[NDArray[np.generic]]:
    analysis = Analysis(model.networks.analysis, model.networks.search, dtype=dtype)
    synthesis = Synthesis(model.networks.table, model.networks.synthesis, dtype=dtype)
    parts = [images[i : i + batch] for i in range(0, len(images), batch)]
    indices = run_batches(analysis, parts, threads)
    pairs = run_batches(synthesis, indices, threads)
    return [
        np.concatenate(indices),
        np.concatenate([p[0] for p in pairs]),
        np.concatenate([p[1] for p in pairs]),
    ]


def test_threads_of_the_caller_do_not_disturb_each_other(model: CodecModel) -> None:
    """Several codecs at once, from several threads: the same bits, and the settings as they were."""
    images = np.random.default_rng(3).integers(0, 256, (24, 16, 16, 3), np.uint8)
    wanted = _run(model, images, 24, 1, torch.float64)
    torch.set_float32_matmul_precision("medium")
    try:
        with ThreadPoolExecutor(4) as pool:
            results = list(
                pool.map(lambda batch: _run(model, images, batch, 2, torch.float32), [1, 3, 5, 24])
            )
        assert torch.get_float32_matmul_precision() == "medium"
    finally:
        torch.set_float32_matmul_precision("highest")
    for result in results:
        assert all(np.array_equal(a, b) for a, b in zip(wanted, result))
