"""Speed of the networks alone: the C engine on every instruction set, the torch engine, and float networks.

    python scripts/bench_networks.py --width 32 --repeats 15
    python scripts/bench_networks.py --model outputs/my-run/codec.fsarm

Analysis is images to indices, synthesis is indices to the distribution of every sub-pixel: encoding needs
both, decoding the second. One thread, CPU time (least of the repeats), megabytes are 10^6 bytes of raw RGB.
Without a model, one with made weights of the same shapes is exported: speed does not depend on weights.
`torch float` are the float layers, not exact, with batch normalisation folded in, for comparison.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from fsar_lab.codec import engine_c, engine_torch
from fsar_lab.codec.integer_network import IntegerNetwork
from fsar_lab.codec.model import CodecModel
from fsar_lab.codec.networks import Networks

SIDE = 32
ISAS = ("avx512", "avx512-plain", "avx2-vnni", "avx2", "scalar")
BATCHES = (1, 8, 64)


def made(width: int) -> Networks:
    """The shallow backbone of this width with made weights, K = 256 and groups of 32 channels."""
    from fsar_lab.config.schema import ShallowConfig
    from fsar_lab.exporting.quantise import Options
    from fsar_lab.exporting.quantise_model import Output, quantise_analysis, quantise_synthesis
    from fsar_lab.models.backbones.shallow import Shallow

    torch.manual_seed(0)
    backbone = Shallow(ShallowConfig(width=width)).eval()
    images = torch.randint(0, 256, (16, 3, SIDE, SIDE), dtype=torch.uint8)
    codebooks = torch.randn(max(1, width // 32), 256, min(32, width))
    with torch.inference_mode():
        analysis, search = quantise_analysis(backbone.analysis, codebooks, images, Options())
        indices = torch.from_numpy(
            engine_torch.Analysis(analysis, search)(images.permute(0, 2, 3, 1).contiguous().numpy())
        ).long()
        outputs = (Output(0.01, 0.0, -2048, 2047), Output(0.1, 20.0, 0, 63))
        table, synthesis = quantise_synthesis(backbone.synthesis, codebooks, indices, outputs, Options())
    return Networks(analysis, search, table, synthesis)


class _Float(nn.Module):
    """An integer network's layers in float32, run as any float network would be."""

    def __init__(self, network: IntegerNetwork) -> None:
        super().__init__()
        self.network = network
        self.weights = nn.ParameterList()
        for layer in network.layers:
            weight = torch.from_numpy(layer.weight.astype(np.float32))
            axes = (1, 0, 2, 3) if layer.kind == "transposed" else (0, 1, 2, 3)
            weight = weight.permute(axes).contiguous(memory_format=torch.channels_last)
            self.weights.append(nn.Parameter(weight, requires_grad=False))

    def forward(self, x: Tensor) -> Tensor:
        """[N, C, H, W] -> [N, C', H', W'], channels last in memory."""
        kept = [x]
        for layer, weight in zip(self.network.layers, self.weights, strict=True):
            transposed = layer.kind == "transposed"
            convolve = nn.functional.conv_transpose2d if transposed else nn.functional.conv2d
            y = convolve(kept[-1], weight, stride=layer.stride, padding=layer.padding)
            kept.append(torch.relu(y if layer.skip is None else y + kept[layer.skip]))
        return kept[-1]


def float_pair(networks: Networks) -> tuple[Callable[..., Any], Callable[..., Any]]:
    """Float analysis with its search, and float synthesis behind the table's look-up."""
    search, table = networks.code_search, networks.table
    down, up = _Float(networks.analysis), _Float(networks.synthesis)
    weight, bias = torch.from_numpy(search.weight).float(), torch.from_numpy(search.bias).float()
    values = torch.from_numpy(table.values).float()
    groups, _, dim = weight.shape

    def analyse(images: NDArray[np.uint8]) -> NDArray[Any]:
        with torch.inference_mode():
            x = torch.from_numpy(images).float().permute(0, 3, 1, 2)
            y = down(x.mul_(2).sub_(255)).permute(0, 2, 3, 1)
            rows = y.reshape(-1, groups, dim).transpose(0, 1)
            scores: NDArray[np.float32] = torch.baddbmm(bias[:, None], rows, weight.transpose(1, 2)).numpy()
            best: NDArray[np.int64] = scores.argmax(2)
            return best

    def synthesise(indices: NDArray[np.uint16]) -> NDArray[Any]:
        with torch.inference_mode():
            codes = torch.from_numpy(indices.astype(np.int64))
            x = torch.stack([values[g][codes[:, g]] for g in range(groups)]).sum(0)
            result: NDArray[np.float32] = up(x.permute(0, 3, 1, 2)).numpy()
            return result

    return analyse, synthesise


def nanoseconds(call: Callable[[], object], pixels: int, repeats: int) -> float:
    """CPU time for a pixel; least of the repeats, each of at least 20 ms."""
    call()
    begin = time.process_time_ns()
    call()
    times = max(1, 20_000_000 // max(1, time.process_time_ns() - begin))
    best = float("inf")
    for _ in range(repeats):
        begin = time.process_time_ns()
        for _ in range(times):
            call()
        best = min(best, (time.process_time_ns() - begin) / times / pixels)
    return best


def main() -> None:
    """Measures and prints a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--model", help="an exported codec.fsarm")
    parser.add_argument("--width", type=int, default=32, help="channels of the made model")
    parser.add_argument("--repeats", type=int, default=9)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    if arguments.model:
        networks = CodecModel.load(arguments.model).networks
        if not isinstance(networks, Networks):
            parser.error(f"{arguments.model} has no pair of networks")
    else:
        networks = made(arguments.width)
    analysis, search = networks.analysis, networks.code_search
    table, synthesis = networks.table, networks.synthesis
    images = np.random.default_rng(0).integers(0, 256, (max(BATCHES), SIDE, SIDE, 3), np.uint8)
    indices = engine_c.Analysis(analysis, search)(images)

    engines: dict[str, tuple[Callable[..., Any], Callable[..., Any]]] = {
        f"C, {isa}": (engine_c.Analysis(analysis, search, isa), engine_c.Synthesis(table, synthesis, isa))
        for isa in ISAS
        if engine_c.isa(isa) == isa
    }
    engines["torch, exact"] = (
        engine_torch.Analysis(analysis, search),
        engine_torch.Synthesis(table, synthesis),
    )
    engines["torch float"] = float_pair(networks)
    print("| engine | images at a time | analysis ns/pixel | synthesis ns/pixel | both MB/s |")
    print("| :--- | ---: | ---: | ---: | ---: |")
    for name, (analyse, synthesise) in engines.items():
        for batch in BATCHES:
            times = [
                nanoseconds(lambda f=f, x=x: f(x), batch * SIDE * SIDE, arguments.repeats)  # type: ignore[misc]
                for f, x in ((analyse, images[:batch]), (synthesise, indices[:batch]))
            ]
            print(
                f"| {name} | {batch} | {times[0]:.1f} | {times[1]:.1f} | {3000 / sum(times):.1f} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
