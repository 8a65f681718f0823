"""The codec's networks in float32 in PyTorch, eager, one thread, and nothing else: no entropy coder.

Encoding is analysis (with the codeword search) and synthesis, decoding is synthesis. They come in two forms:
as they are trained, with batch normalisation in evaluation mode; and folded, which needs what an export
does: normalisation in the weights, channels last in memory, the first layer in the codebook.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from bench_networks import float_pair
from numpy.typing import NDArray

from codec_bench.coders import Facts, batches
from codec_bench.images import Images, Pixels
from fsar_lab import zoo
from fsar_lab.codec import engine_c
from fsar_lab.codec.model import CodecModel
from fsar_lab.codec.networks import Networks
from fsar_lab.config.schema import ShallowConfig
from fsar_lab.models.backbones.shallow import Shallow

Pair = tuple[Callable[[Pixels], Any], Callable[[NDArray[np.uint16]], Any]]


class FloatNetworks:
    """A coder that codes nothing."""

    def __init__(self, images: Images, batch: int, folded: bool) -> None:
        """`batch` small images in a call, or one photograph."""
        torch.set_num_threads(1)
        networks = CodecModel.load(zoo.codec_path(images.codec)).networks
        assert isinstance(networks, Networks)
        pair: Pair = float_pair(networks) if folded else trained_pair(networks)
        self._analyse, self._synthesise = pair
        self._parts = batches(images, batch)
        search = engine_c.Analysis(networks.analysis, networks.code_search)
        self._indices = [search(part) for part in self._parts]
        self._analyse(self._parts[0])
        self._synthesise(self._indices[0])
        self.facts = Facts(library=f"torch {torch.__version__}")

    def encode(self) -> None:
        """Both networks; the indices are the integer analysis's, which cost the same to look up."""
        for part, indices in zip(self._parts, self._indices, strict=True):
            self._analyse(part)
            self._synthesise(indices)

    def decode(self, coded: None) -> None:
        """Synthesis."""
        for indices in self._indices:
            self._synthesise(indices)

    def size(self, coded: None) -> None:
        """Nothing is coded."""

    def same(self, decoded: None) -> bool:
        """Nothing is decoded."""
        return True


def trained_pair(networks: Networks) -> Pair:
    """A `Shallow` backbone of the codec's shape; its weights are made, for speed does not depend on them."""
    groups, size, dim = networks.code_search.weight.shape
    blocks = sum(layer.skip is not None for layer in networks.analysis.layers)
    downsamples = networks.factor.bit_length() - 1
    config = ShallowConfig(width=groups * dim, downsamples=downsamples, residual_blocks=blocks)
    network = Shallow(config).eval()
    codebooks = torch.randn(groups, size, dim)
    norms = codebooks.square().sum(2)

    def analyse(images: Pixels) -> Any:
        with torch.inference_mode():
            y = network.analysis(torch.from_numpy(images).permute(0, 3, 1, 2).float() / 255 - 0.5)
            rows = y.permute(0, 2, 3, 1).reshape(-1, groups, dim).transpose(0, 1)
            return torch.baddbmm(norms[:, None], rows, codebooks.transpose(1, 2), alpha=-2).argmin(2).numpy()

    def synthesise(indices: NDArray[np.uint16]) -> Any:
        with torch.inference_mode():
            codes = torch.from_numpy(indices.astype(np.int64))
            z = torch.cat([codebooks[g][codes[:, g]] for g in range(groups)], 3)
            return network.synthesis(z.permute(0, 3, 1, 2)).numpy()

    return analyse, synthesise
