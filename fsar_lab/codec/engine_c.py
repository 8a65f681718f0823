"""Runs integer networks with the C library: the same bits as `engine_torch`, several times faster, no torch.

entropy_c/include/integer_net.h says what the library does. Images are independent of each other, so threads
take ranges of them; the results do not depend on how many.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fsar_lab.codec._network_c import ffi, lib
from fsar_lab.codec.integer_network import CodeSearch, CodeTable, IntegerNetwork, Layer, NetworkError
from fsar_lab.errors import CodingError, SymbolRangeError

_KINDS = {"conv": lib.EC_NET_CONV, "transposed": lib.EC_NET_TRANSPOSED, "shuffle": lib.EC_NET_SHUFFLE}
_ERRORS: dict[int, tuple[type[Exception], str]] = {
    lib.EC_NET_ERR_ARGUMENT: (ValueError, "the images are too small or too large for the network"),
    lib.EC_NET_ERR_SHAPE: (NetworkError, "a layer, skip, codeword search or code table does not fit"),
    lib.EC_NET_ERR_BOUND: (NetworkError, "clamp bounds are no range, or partial sums may reach 2^24"),
    lib.EC_NET_ERR_INDEX: (SymbolRangeError, "an index is not below the size of the codebook"),
    lib.EC_NET_ERR_MEMORY: (MemoryError, "the network does not fit into memory"),
}
_C_TYPES = {  # by the one-letter code of the dtype, which is the fastest to ask for
    np.dtype(dtype).char: ffi.typeof(f"{np.dtype(dtype).name}_t[]")
    for dtype in (np.uint8, np.int16, np.uint16, np.int32)
}
_PER_THREAD = 4  # ranges of images: a thread that was held up leaves some of its share to the others


def isa(wanted: str | None = None) -> str:
    """The instruction set that networks created now use: `wanted`, else EC_ISA, else the best there is."""
    name: bytes = ffi.string(lib.ec_net_isa(_name(wanted)))
    return name.decode()


class _Engine:
    """A network in C, and scratch memory that calls borrow: as many pieces as threads ever ran at once."""

    def __init__(self, what: str, net: Any) -> None:
        self._what = what
        self._net = ffi.gc(net, lib.ec_net_free)
        self._pieces: list[NDArray[np.uint8]] = []
        self._lock = threading.Lock()

    def _output_size(self, height: int, width: int) -> tuple[int, int]:
        sides = ffi.new("uint32_t[2]")
        if not (0 < height <= lib.EC_NET_MAX_SIDE and 0 < width <= lib.EC_NET_MAX_SIDE):
            _check(lib.EC_NET_ERR_ARGUMENT, f"{self._what} of {height}x{width}")
        status = lib.ec_net_output_size(self._net, height, width, sides, sides + 1)
        _check(status, f"{self._what} of {height}x{width}")
        return sides[0], sides[1]

    def _run(
        self,
        function: Any,
        source: NDArray[Any],
        size: tuple[int, int],
        results: tuple[NDArray[Any], ...],
        threads: int,
    ) -> None:
        """Calls `function` on ranges of images. C releases the interpreter's lock."""
        count, bytes_needed = len(source), lib.ec_net_scratch(self._net, *size)

        def work(first: int, last: int) -> None:
            scratch = self._borrow(bytes_needed)
            pointers = [_pointer(result[first:last]) for result in results]
            status = function(
                self._net,
                _pointer(source[first:last]),
                last - first,
                *size,
                *pointers,
                _pointer(scratch),
                bytes_needed,
            )
            with self._lock:
                self._pieces.append(scratch)
            _check(status, self._what)

        _share(work, count, threads)

    def _borrow(self, size: int) -> NDArray[np.uint8]:
        with self._lock:
            piece = self._pieces.pop() if self._pieces else None
        return piece if piece is not None and piece.size >= size else np.empty(size, np.uint8)


def _share(work: Callable[[int, int], None], count: int, threads: int) -> None:
    """`work` on ranges of `count` images that threads take one after the other."""
    if threads < 2 or count < 2:
        if count:
            work(0, count)
        return
    parts = min(count, threads * _PER_THREAD)
    edges = [count * i // parts for i in range(parts + 1)]
    with ThreadPoolExecutor(min(threads, parts)) as pool:
        list(pool.map(work, edges[:-1], edges[1:]))


class Network(_Engine):
    """A plain network: activations int16 [N, H, W, C], clamped to its input bounds, to [N, H', W', C'].

    Args:
        network: checked again in C.
        isa: see the function isa.
        threads: most that share one call.
    """

    def __init__(self, network: IntegerNetwork, isa: str | None = None, threads: int = 1) -> None:
        self.threads, self.channels = threads, len(network.low)
        self.outputs = _width(network)
        layers, keep = _layers(network)
        low, high = _bounds(network.low, network.high)
        made = ffi.new("ec_net **")
        status = lib.ec_net_create(
            self.channels, _pointer(low), _pointer(high), layers, len(layers), _name(isa), made
        )
        del keep
        _check(status, "network")
        super().__init__("network", made[0])

    def __call__(self, x: NDArray[np.int16]) -> NDArray[np.int16]:
        """int16 [N, H, W, C] -> int16 [N, H', W', C']."""
        x = _array(x, np.int16, 4, "activations")
        if x.shape[3] != self.channels:
            raise ValueError(f"activations must have {self.channels} channels, not {x.shape[3]}")
        number, height, width, _ = x.shape
        out = np.empty((number, *self._output_size(height, width), self.outputs), np.int16)
        self._run(lib.ec_net_run, x, (height, width), (out,), self.threads)
        return out


class Analysis(_Engine):
    """Images to indices: the analysis network and the codeword search.

    Args:
        network: of images, whose input bounds are -255 and 255.
        search: checked, as the network, again in C.
        isa: see the function isa.
        threads: most that share one call.
    """

    def __init__(
        self, network: IntegerNetwork, search: CodeSearch, isa: str | None = None, threads: int = 1
    ) -> None:
        self.threads, self.channels = threads, len(network.low)
        self.groups, size, dim = _shape(search.weight)
        layers, keep = _layers(network)
        weight = _array(search.weight, np.int16, 3, "codeword search")
        bias = _array(search.bias, np.int32, 2, "codeword search")
        if bias.shape != weight.shape[:2]:
            raise NetworkError("codeword search: wrong shape")
        description = ffi.new("ec_net_search *", [self.groups, size, dim, _pointer(weight), _pointer(bias)])
        made = ffi.new("ec_net **")
        status = lib.ec_net_create_analysis(self.channels, layers, len(layers), description, _name(isa), made)
        del keep
        _check(status, "analysis")
        super().__init__("analysis", made[0])

    def __call__(self, images: NDArray[np.uint8]) -> NDArray[np.uint16]:
        """uint8 [N, H, W, 3] -> indices uint16 [N, G, h, w]."""
        images = _array(images, np.uint8, 4, "images")
        if images.shape[3] != self.channels:
            raise ValueError(f"images must have {self.channels} channels, not {images.shape[3]}")
        number, height, width, _ = images.shape
        indices = np.empty((number, self.groups, *self._output_size(height, width)), np.uint16)
        self._run(lib.ec_net_analyse, images, (height, width), (indices,), self.threads)
        return indices


class Synthesis(_Engine):
    """Indices to distribution parameters: the code table and the synthesis network.

    Args:
        table: whose bounds are those of the network's input.
        network: its outputs alternate between logit and scale index.
        isa: see the function isa.
        threads: most that share one call.
    """

    def __init__(
        self, table: CodeTable, network: IntegerNetwork, isa: str | None = None, threads: int = 1
    ) -> None:
        self.threads, self.planes = threads, _width(network) // 2
        self.groups, size, channels = _shape(table.values)
        if channels != len(network.low):
            raise NetworkError("code table and synthesis network do not fit")
        layers, keep = _layers(network)
        values = _array(table.values, np.int16, 3, "code table")
        low, high = _bounds(table.low, table.high)
        if len(low) != channels:
            raise NetworkError("code table: wrong shape")
        description = ffi.new(
            "ec_net_table *",
            [self.groups, size, channels, _pointer(values), _pointer(low), _pointer(high)],
        )
        made = ffi.new("ec_net **")
        status = lib.ec_net_create_synthesis(description, layers, len(layers), _name(isa), made)
        del keep
        _check(status, "synthesis")
        super().__init__("synthesis", made[0])

    def __call__(self, indices: NDArray[np.uint16]) -> tuple[NDArray[np.int16], NDArray[np.uint8]]:
        """Indices uint16 [N, G, h, w] -> (logit int16, scale index uint8), both [N, 3, H, W]."""
        indices = _array(indices, np.uint16, 4, "indices")
        if indices.shape[1] != self.groups:
            raise ValueError(f"indices must have {self.groups} groups, not {indices.shape[1]}")
        number, _, height, width = indices.shape
        shape = (number, self.planes, *self._output_size(height, width))
        logits, scales = np.empty(shape, np.int16), np.empty(shape, np.uint8)
        self._run(lib.ec_net_synthesise, indices, (height, width), (logits, scales), self.threads)
        return logits, scales


def _layers(network: IntegerNetwork) -> tuple[Any, list[NDArray[Any]]]:
    """The layers for C, and the arrays that must live until the network is made."""
    layers, keep = ffi.new("ec_net_layer[]", len(network.layers)), []
    inputs = len(network.low)
    for out, layer in zip(layers, network.layers, strict=True):
        outputs = _check_shapes(layer, inputs)
        inputs = outputs // (4 if layer.kind == "shuffle" else 1)
        out.kind, out.side, out.outputs = _KINDS[layer.kind], layer.weight.shape[2], outputs
        out.skip = -1 if layer.skip is None else layer.skip
        for name in ("weight", "bias", "shift", "low", "high", "skip_multiplier"):
            array = np.ascontiguousarray(getattr(layer, name))
            keep.append(array)
            setattr(out, name, _pointer(array))
    return layers, keep


def _check_shapes(layer: Layer, inputs: int) -> int:
    """The sizes of a layer's arrays, which C takes on trust. Returns the number of outputs."""
    side = layer.weight.shape[2] if layer.weight.ndim == 4 else 0
    outputs = len(layer.weight)
    wanted = {(1, 1, 0), (3, 1, 1), (4, 2, 1)}
    vectors = {
        "bias": np.int32, "shift": np.uint8, "low": np.int16, "high": np.int16, "skip_multiplier": np.int32
    }  # fmt: skip
    if (
        layer.kind not in _KINDS
        or layer.weight.dtype != np.int16
        or layer.weight.shape != (outputs, inputs, side, side)
        or (side, layer.stride, layer.padding) not in wanted
        or (layer.skip is not None and layer.skip < 0)
        or any(
            getattr(layer, name).shape != (outputs,) or getattr(layer, name).dtype != dtype
            for name, dtype in vectors.items()
        )
    ):
        raise NetworkError(f"layer {layer.name}: unknown kind, or arrays of wrong shape or type")
    return outputs


def _bounds(low: NDArray[Any], high: NDArray[Any]) -> tuple[NDArray[np.int16], NDArray[np.int16]]:
    low, high = _array(low, np.int16, 1, "clamp bounds"), _array(high, np.int16, 1, "clamp bounds")
    if low.shape != high.shape:
        raise NetworkError("clamp bounds: wrong shape")
    return low, high


def _width(network: IntegerNetwork) -> int:
    """Channels of the last activation."""
    if not network.layers:
        raise NetworkError("a network needs a layer")
    last = network.layers[-1]
    return len(last.bias) // (4 if last.kind == "shuffle" else 1)


def _shape(values: NDArray[Any]) -> tuple[int, int, int]:
    if values.ndim != 3:
        raise NetworkError("codeword search or code table: wrong shape")
    groups, size, dim = values.shape
    return groups, size, dim


def _array(values: NDArray[Any], dtype: type[np.generic], ndim: int, what: str) -> NDArray[Any]:
    """Contiguous; the type must be right, for C reads memory."""
    if values.dtype != dtype or values.ndim != ndim:
        wanted = np.dtype(dtype)
        raise ValueError(f"{what} must be {wanted} with {ndim} axes, not {values.dtype} {values.shape}")
    return np.ascontiguousarray(values)


def _pointer(array: NDArray[Any]) -> Any:
    return ffi.from_buffer(_C_TYPES[array.dtype.char], array)


def _name(isa: str | None) -> Any:
    return ffi.NULL if isa is None else isa.encode()


def _check(status: int, what: str) -> None:
    if status == lib.EC_NET_OK:
        return
    error, reason = _ERRORS.get(status, (CodingError, f"unknown status {status}"))
    raise error(f"{what}: {reason}")
