"""Runs integer networks with PyTorch: exact float32 (or float64) matrix products.

Every sum of products is an integer below 2^24 (proven by `integer_network`), scaled by a power of
two, so float32 products give the same bits in any order, batch size and number of threads. Convolutions
are unfolded to plain matrix products: Winograd, FFT, TF32 and bfloat16 would not be exact. Data are
channels-last, so that unfolding copies contiguous runs and a 1x1 layer needs no copy at all.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from fsar_lab.codec.integer_network import CodeSearch, CodeTable, IntegerNetwork, Layer, half
from fsar_lab.errors import CodingError

NARROW = 16  # outputs
A = TypeVar("A")
B = TypeVar("B")


class _Precision:
    """Full float32 products while anyone is inside, in whatever thread; then the caller's settings again.

    Torch has one setting for all products and one for each backend, and refuses to work where they
    contradict each other: both are set and put back.
    """

    def __init__(self) -> None:
        self.lock, self.inside = threading.Lock(), 0
        backends: Any = torch.backends  # whose attributes mypy does not see
        self.backends = (backends.cuda.matmul, backends.mkldnn.matmul)
        self.before, self.each = "highest", ["none" for _ in self.backends]

    def __enter__(self) -> None:
        with self.lock:
            if self.inside == 0:
                self.each = [backend.fp32_precision for backend in self.backends]
                for backend in self.backends:
                    backend.fp32_precision = "ieee"
                self.before = torch.get_float32_matmul_precision()
                torch.set_float32_matmul_precision("highest")
            self.inside += 1

    def __exit__(self, *_: object) -> None:
        with self.lock:
            self.inside -= 1
            if self.inside == 0:
                torch.set_float32_matmul_precision(self.before)
                for backend, precision in zip(self.backends, self.each, strict=True):
                    backend.fp32_precision = precision


_PRECISION = _Precision()


@contextmanager
def exact() -> Iterator[None]:
    """Everything that could change a bit is off inside."""
    off = (torch.autocast(device, enabled=False) for device in ("cpu", "cuda"))
    with _PRECISION, torch.inference_mode(), next(off), next(off):
        yield


@contextmanager
def torch_threads(threads: int) -> Iterator[None]:
    """Torch's own threads inside; speed only."""
    before = torch.get_num_threads()
    if threads != before:
        torch.set_num_threads(threads)
    try:
        yield
    finally:
        if threads != before:
            torch.set_num_threads(before)


def run_batches(run: Callable[[A], B], parts: Sequence[A], threads: int) -> list[B]:
    """`run` on every part. Threads take whole parts if there are enough, else share the work inside one.

    Whole parts never wait for each other; threads inside an operation do, dozens of times a batch.
    """
    if threads == 1 or len(parts) < threads:
        with torch_threads(threads):
            return [run(part) for part in parts]
    with (
        torch_threads(1),
        ThreadPoolExecutor(threads, initializer=torch.set_num_threads, initargs=(1,)) as pool,
    ):
        return list(pool.map(run, parts))


def self_test(device: torch.device, dtype: torch.dtype) -> None:
    """Raise CodingError if this machine's matrix product loses bits of 24-bit integer sums."""
    numbers = torch.arange(96 * 96).reshape(96, 96)
    a, b = (numbers * 7919) % 821 - 410, (numbers * 104729) % 819 - 409  # 96 * 410 * 409 < 2^24
    product = (a.to(device, dtype) @ b.to(device, dtype)).cpu().double()
    if not torch.equal(product, (a[:, :, None].double() * b[None].double()).sum(1)):
        raise CodingError(
            f"matrix products on {device} are not exact in {dtype}; use the CPU or dtype=float64"
        )


class _Step:
    """One layer, its constants laid out for matrix products.

    The shift is folded into the weights: scaled by a power of two they are as exact as before, and
    what remains of requantisation is floor and clamp.
    """

    def __init__(self, layer: Layer, device: torch.device, dtype: torch.dtype) -> None:
        self.layer = layer
        scale = np.exp2(-layer.shift.astype(np.float64))
        weight = layer.weight.astype(np.float64) * scale[:, None, None, None]
        bias = (layer.bias.astype(np.int64) + half(layer.shift)) * scale
        if layer.kind == "transposed":
            matrix = _phases(weight)
            bias = np.tile(bias, 4)
        else:
            matrix = weight.transpose(2, 3, 1, 0).reshape(-1, len(layer.bias))

        self.matrix, self.bias, self.low, self.high, self.skip_multiplier = (
            _tensor(v, device, dtype)
            for v in (matrix, bias, layer.low, layer.high, layer.skip_multiplier * scale)
        )

    def __call__(self, x: Tensor, skip: Tensor | None) -> Tensor:
        """[N, H, W, in] -> [N, H', W', out]."""
        layer, size = self.layer, self.layer.weight.shape[2]
        if layer.kind == "transposed":
            windows = _windows(x, 2, 1, 1)
            acc = _interleave(self._product(windows).view(*windows.shape[:3], 4, -1))
        else:
            windows = x if size == 1 else _windows(x, size, layer.stride, layer.padding)
            acc = self._product(windows)
        if skip is not None:
            acc.addcmul_(skip, self.skip_multiplier)
        out = torch.clamp(acc.floor_(), self.low, self.high, out=acc)
        return _shuffle(out) if layer.kind == "shuffle" else out

    def _product(self, windows: Tensor) -> Tensor:
        """Windows [N, H, W, k] times the matrix, plus bias: [N, H, W, out]."""
        rows = windows.flatten(0, 2)
        if self.matrix.shape[1] < NARROW:  # few outputs: channel-major is the fast way round
            product = torch.addmm(self.bias[:, None], self.matrix.t(), rows.t())
            return product.view(-1, *windows.shape[:3]).permute(1, 2, 3, 0)
        return torch.addmm(self.bias, rows, self.matrix).view(*windows.shape[:3], -1)


def _windows(x: Tensor, size: int, stride: int, padding: int) -> Tensor:
    """Zero-padded windows of [N, H, W, C], (row, column, channel) innermost: [N, H', W', size*size*C]."""
    n, h, w, c = x.shape
    padded = x.new_zeros(n, h + 2 * padding, w + 2 * padding, c)
    padded[:, padding : padding + h, padding : padding + w] = x
    rows, columns = ((side + 2 * padding - size) // stride + 1 for side in (h, w))
    image, row, column, _ = padded.stride()
    views = padded.as_strided(
        (n, rows, columns, size, size * c), (image, row * stride, column * stride, row, 1)
    )  # a window's row is one contiguous run
    return views.reshape(n, rows, columns, size * size * c)


def _phases(weight: NDArray[np.float64]) -> NDArray[np.float64]:
    """4x4 stride-2 transposed convolution as one product on 2x2 windows: [4 * in, 4 * out].

    Output (2y + p, 2x + q) sees the inputs at rows y + p - 1 and y + p, through weight rows 3 - p and
    1 - p; the same holds for columns. Phase 2p + q of the product belongs to it.
    """
    rows = [weight[:, :, [3 - p, 1 - p]][:, :, :, [3 - q, 1 - q]] for p in (0, 1) for q in (0, 1)]
    return np.stack(rows).transpose(3, 4, 2, 0, 1).reshape(4 * weight.shape[1], -1)


def _interleave(product: Tensor) -> Tensor:
    """Windows' phases [N, H + 1, W + 1, 4, C] -> image [N, 2H, 2W, C]."""
    n, h, w, _, c = product.shape
    out = product.new_empty(n, h - 1, 2, w - 1, 2, c)
    for p in (0, 1):
        for q in (0, 1):
            out[:, :, p, :, q] = product[:, p : p + h - 1, q : q + w - 1, 2 * p + q]
    return out.view(n, 2 * h - 2, 2 * w - 2, c)


def _shuffle(x: Tensor) -> Tensor:
    """[N, H, W, 4 C] -> [N, 2H, 2W, C]: channel 4 c + 2 p + q to pixel (2 y + p, 2 x + q) of channel c."""
    n, h, w, c = x.shape
    return x.view(n, h, w, c // 4, 2, 2).permute(0, 1, 4, 2, 5, 3).reshape(n, 2 * h, 2 * w, c // 4)


class NetworkEngine:
    """An integer network ready to run on `device` in `dtype` (float32 or float64: the same bits)."""

    def __init__(self, network: IntegerNetwork, device: torch.device, dtype: torch.dtype) -> None:
        with exact():
            self_test(device, dtype)
        self.steps = [_Step(layer, device, dtype) for layer in network.layers]
        self.kept = {layer.skip for layer in network.layers if layer.skip is not None}

    def __call__(self, x: Tensor) -> Tensor:
        """Integer activations [N, H, W, C] in a float type -> the last layer's [N, H', W', C']."""
        kept = {0: x} if 0 in self.kept else {}
        for number, step in enumerate(self.steps):
            skip = step.layer.skip
            x = step(x, None if skip is None else kept[skip])
            if number + 1 in self.kept:
                kept[number + 1] = x
        return x


class Network:
    """A plain network: activations int16 [N, H, W, C] to int16 [N, H', W', C']."""

    def __init__(
        self, network: IntegerNetwork, device: str = "cpu", dtype: torch.dtype = torch.float32
    ) -> None:
        self.device, self.dtype = torch.device(device), dtype
        self.network = NetworkEngine(network, self.device, dtype)

    def __call__(self, x: NDArray[np.int16]) -> NDArray[np.int16]:
        """int16 [N, H, W, C] -> int16 [N, H', W', C']."""
        with exact():
            y = self.network(torch.from_numpy(x).to(self.device, self.dtype))
            result: NDArray[np.int16] = y.to(torch.int16).cpu().numpy()
        return result


class Analysis:
    """Images to indices: the analysis network and the codeword search."""

    def __init__(
        self,
        network: IntegerNetwork,
        search: CodeSearch,
        device: str = "cpu",
        dtype: torch.dtype = torch.float32,
    ) -> None:
        self.device, self.dtype = torch.device(device), dtype
        self.network = NetworkEngine(network, self.device, dtype)
        self.weight, self.bias = (_tensor(v, self.device, dtype) for v in (search.weight, search.bias))

    def __call__(self, images: NDArray[np.uint8]) -> NDArray[np.uint16]:
        """uint8 [N, H, W, 3] -> indices uint16 [N, G, h, w]."""
        with exact():
            x = torch.from_numpy(images.astype(np.float32)).to(self.device, self.dtype)
            y = self.network(x.mul_(2).sub_(255))
            n, h, w, _ = y.shape
            groups, _, dim = self.weight.shape
            rows = y.view(-1, groups, dim).transpose(0, 1)
            scores = torch.baddbmm(self.bias[:, None], rows, self.weight.transpose(1, 2))
            # Both give the first of equal scores; NumPy's is several times faster on the CPU.
            best = scores.numpy().argmax(2) if self.device.type == "cpu" else scores.argmax(2).cpu().numpy()
        indices = best.reshape(groups, n, h, w).swapaxes(0, 1).astype(np.uint16)
        return np.ascontiguousarray(indices)


class Synthesis:
    """Indices to distribution parameters: the code table and the synthesis network."""

    def __init__(
        self,
        table: CodeTable,
        network: IntegerNetwork,
        device: str = "cpu",
        dtype: torch.dtype = torch.float32,
    ) -> None:
        self.device, self.dtype = torch.device(device), dtype
        self.network = NetworkEngine(network, self.device, dtype)
        groups, size, channels = table.values.shape
        self.table = _tensor(table.values, self.device, dtype).view(-1, channels)
        self.bases = [group * size for group in range(groups)]
        self.low, self.high = (_tensor(v, self.device, dtype) for v in (table.low, table.high))

    def __call__(self, indices: NDArray[np.uint16]) -> tuple[NDArray[np.int16], NDArray[np.uint8]]:
        """Indices uint16 [N, G, h, w] -> (logit int16, scale index uint8), both [N, 3, H, W]."""
        with exact():
            codes = torch.from_numpy(indices.astype(np.int32)).to(self.device)
            x = self.table[codes[:, 0]]
            for group, base in enumerate(self.bases[1:], 1):
                x += self.table[codes[:, group] + base]
            theta = self.network(torch.clamp(x, self.low, self.high, out=x)).to(torch.int16)
            planes = theta.permute(0, 3, 1, 2).contiguous().cpu().numpy()
        return np.ascontiguousarray(planes[:, 0::2]), planes[:, 1::2].astype(np.uint8)


def _tensor(values: NDArray[Any], device: torch.device, dtype: torch.dtype) -> Tensor:
    """Integers, or integers times powers of two, as a float tensor that holds them exactly."""
    return torch.from_numpy(np.ascontiguousarray(values, np.float64)).to(device, dtype)
