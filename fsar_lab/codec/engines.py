"""The networks of a codec, run by C or by PyTorch: the same bits either way."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fsar_lab.codec import engine_c, engine_residual
from fsar_lab.codec.causal_net import CausalNetTables
from fsar_lab.codec.parts import Parameters, PixelCoder, PixelPart
from fsar_lab.codec.posterior import Posterior
from fsar_lab.codec.residual_networks import ResidualNetworks

if TYPE_CHECKING:
    from fsar_lab.codec.integer_network import IntegerNetwork
    from fsar_lab.codec.networks import Networks

ENGINES = ("c", "torch")
TORCH_PIXELS = 1 << 16  # that torch sees at a time, at most (but one image): bounds its memory
Analysis = Callable[[NDArray[np.uint8]], NDArray[np.uint16]]  # [N, H, W, 3] -> indices [N, G, h, w]
Synthesis = Callable[[NDArray[np.uint16]], Parameters]


def make_networks(
    networks: Networks | ResidualNetworks, engine: str = "c", device: str = "cpu", threads: int = 1
) -> tuple[Analysis, Synthesis]:
    """Analysis and synthesis; several threads may call them at a time.

    Args:
        networks: what to run.
        engine: "c"; or "torch", which is imported here and not before.
        device: "cpu"; for torch also "cuda".
        threads: of torch; C works in the thread that calls it.

    Raises:
        ValueError: no such engine, or not on this device.
    """
    _check(engine, device)
    if engine == "c":
        if isinstance(networks, ResidualNetworks):
            return _residual(networks, lambda network: engine_c.Network(network))
        synthesis = engine_c.Synthesis(networks.table, networks.synthesis)
        if isinstance(networks.search, Posterior):
            return posterior_pairs(engine_c.Network(networks.analysis)), synthesis
        return engine_c.Analysis(networks.analysis, networks.search), synthesis
    return _torch_networks(networks, device, threads)


def make_pixel_coder(part: PixelPart, engine: str = "c", device: str = "cpu") -> PixelCoder:
    """What codes pixels. A causal network runs where the others do; all else is the entropy coder's.

    Raises:
        ValueError: no such engine, or not on this device.
    """
    _check(engine, device)
    if engine == "c" or not isinstance(part, CausalNetTables):
        return part.make_coder()
    from fsar_lab.codec import engine_causal

    return engine_causal.CausalNetCoder(part, device)


def _check(engine: str, device: str) -> None:
    if engine not in ENGINES:
        raise ValueError(f"engine must be one of {', '.join(ENGINES)}, not {engine!r}")
    if engine == "c" and device != "cpu":
        raise ValueError(f'the engine "c" runs on the CPU, not on {device}; use engine="torch"')


def posterior_pairs(network: Callable[[NDArray[np.int16]], NDArray[np.int16]]) -> Analysis:
    """An analysis network without search: uint8 [N, H, W, 3] to uint16 [N, 2 G, h, w]; none is negative."""

    def analyse(images: NDArray[np.uint8]) -> NDArray[np.uint16]:
        y = network(images.astype(np.int16) * 2 - 255)
        return np.ascontiguousarray(y.transpose(0, 3, 1, 2)).view(np.uint16)

    return analyse


def _residual(
    networks: ResidualNetworks, make: Callable[[IntegerNetwork], engine_residual.Run]
) -> tuple[Analysis, Synthesis]:
    return engine_residual.Analysis(networks, make), engine_residual.Synthesis(networks, make)


def _torch_networks(
    networks: Networks | ResidualNetworks, device: str, threads: int
) -> tuple[Analysis, Synthesis]:
    from fsar_lab.codec import engine_torch

    analysis: Analysis
    synthesis: Synthesis
    if isinstance(networks, ResidualNetworks):
        analysis, synthesis = _residual(networks, lambda network: engine_torch.Network(network, device))
    else:
        synthesis = engine_torch.Synthesis(networks.table, networks.synthesis, device)
        if isinstance(networks.search, Posterior):
            analysis = posterior_pairs(engine_torch.Network(networks.analysis, device))
        else:
            analysis = engine_torch.Analysis(networks.analysis, networks.search, device)
    lock = threading.Lock()  # torch calls share threads and settings of the whole process

    def in_parts(network: Callable[[Any], Any], x: NDArray[Any], pixels: int) -> list[Any]:
        size = max(1, TORCH_PIXELS // max(1, pixels))
        with lock:
            return engine_torch.run_batches(
                network, [x[i : i + size] for i in range(0, len(x), size)], threads
            )

    def analyse(images: NDArray[np.uint8]) -> NDArray[np.uint16]:
        return np.concatenate(in_parts(analysis, images, images.shape[1] * images.shape[2]))

    def synthesise(indices: NDArray[np.uint16]) -> Parameters:
        pixels = indices.shape[2] * indices.shape[3] * networks.factor**2
        logits, scales = zip(*in_parts(synthesis, indices, pixels), strict=True)
        return np.concatenate(logits), np.concatenate(scales)

    return analyse, synthesise
