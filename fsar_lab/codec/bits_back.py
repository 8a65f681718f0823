"""Bits-back coding with ANS (BB-ANS, Townsend et al. 2019, arXiv:1901.04866): tiles chained on one stack.

To code a tile x its latents z are *popped* from the stack with the posterior q(z | x), which takes
-log q(z | x) bits away; x is pushed with p(x | z) and z with p(z). Decoding runs the other way: pop z, pop x,
push z with the posterior. So a tile costs the negative evidence lower bound, and the last tile coded is the
first decoded. A chain needs bits that its first tile can pop: a fixed sequence, of which it takes as many
words as it turns out to need. They are part of its stream and count in full.

z is pushed only after the next tile's latents were popped. These then come from the bits of pixels; popped
from the latents' own bits, which lie in the same order, a latent would follow its predecessor wherever the
average posterior is not the prior (512 images of CIFAR-10: 0.1 % above the bound, not 0.3 %).
docs/FORMAT-blob.md, "Chains", has the bytes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fsar_lab import entropy
from fsar_lab.codec import posterior
from fsar_lab.codec.blob import MAX_SAMPLES_PER_BYTE
from fsar_lab.codec.integer_network import NetworkError
from fsar_lab.codec.mean_scale import MeanScaleTables
from fsar_lab.codec.parts import Parameters
from fsar_lab.codec.posterior import Posterior
from fsar_lab.codec.prior import PriorTables
from fsar_lab.codec.rows import Rows
from fsar_lab.errors import DamagedStreamError

CHAIN = 4096  # tiles of a group: the longer, the less its initial words weigh; a damaged chain is lost
SEED = b"fsar_lab bits-back, initial words"
MAX_INITIAL = 1 << 24  # words that a stream may claim to have begun with
PIXEL_BITS = 16
AHEAD = 32  # tiles analysed at a time while encoding

Analysis = Callable[[NDArray[np.uint8]], NDArray[np.uint16]]  # [N, H, W, 3] -> (mean, scale) [N, 2 G, h, w]
Synthesis = Callable[[NDArray[np.uint16]], Parameters]
Networks = tuple[Analysis, Synthesis]


@dataclass(frozen=True)
class Chain:
    """A coded chain and where its bits went.

    Attributes:
        stream: all bytes.
        latents, pixels: bits spent by the tiles, of the latents what p(z) costs beyond what q(z | x) gave.
        initial: bits that the chain began with.
    """

    stream: bytes
    latents: float
    pixels: float
    initial: float


def initial_words(number: int) -> NDArray[np.uint16]:
    """The first words of the fixed sequence, SHAKE-256 of the seed: uint16 [number], last one first used."""
    data = hashlib.shake_256(SEED).digest(2 * number)
    return np.frombuffer(data, "<u2").astype(np.uint16)[::-1].copy()


def check_chained(prior: object, pixels: object) -> None:
    """Raise NetworkError unless a chain can be coded with these parts."""
    if not isinstance(prior, PriorTables) or prior.offsets:
        raise NetworkError("sampled latents need a prior of tables without contexts")
    if not isinstance(pixels, MeanScaleTables) or any(pixels.taps):
        raise NetworkError("sampled latents need pixels with a mean and a scale, without causal neighbours")


def sample(q: Posterior, pairs: NDArray[np.uint16]) -> NDArray[np.uint16]:
    """Latents as a chain might draw them, from (mean, scale) pairs [N, 2 G, h, w]: bins [N, G, h, w]."""
    n, channels, h, w = pairs.shape
    words, rows = initial_words((pairs.size >> 1) + 1), Rows(q.cdf, posterior.BITS, 0)
    stack = entropy.Stack(words)
    z = [rows.pop(stack, *_flat(image)) for image in pairs]
    return np.stack(z).reshape(n, channels // 2, h, w)


class ChainCoder:
    """Codes chains of tiles of one shape with one model.

    Args:
        q: posterior of the latents.
        prior: of the latents, without contexts.
        pixels: their distribution, without causal neighbours.
        factor: image side over latent side.
    """

    def __init__(self, q: Posterior, prior: PriorTables, pixels: MeanScaleTables, factor: int) -> None:
        self.factor = factor
        self.posterior = Rows(q.cdf, posterior.BITS, 0)
        self.pixels = Rows(pixels.cdf, PIXEL_BITS, 1)
        self.pixel_model = pixels.make_coder().model
        self.prior = entropy.Tables(prior.counts, prior.bits)
        self.table_of = prior.context_map[:, 0].astype(np.uint32)

    @property
    def nbytes(self) -> int:
        """Bytes of its tables."""
        return self.posterior.nbytes + self.pixels.nbytes + self.prior.expanded_nbytes

    def encode_all(self, tiles: NDArray[np.uint8], networks: Networks) -> list[Chain]:
        """uint8 [n, H, W, 3], chains of CHAIN tiles, the last one of fewer."""
        return [self.encode(tiles[i : i + CHAIN], networks) for i in range(0, len(tiles), CHAIN)]

    def decode_all(
        self, streams: Sequence[memoryview], number: int, shape: tuple[int, int], networks: Networks
    ) -> NDArray[np.uint8]:
        """The `number` tiles of chains, uint8 [number, H, W, 3]."""
        starts = range(0, number, CHAIN)
        chains = [
            self.decode(stream, min(CHAIN, number - start), shape, networks)
            for stream, start in zip(streams, starts, strict=True)
        ]
        return chains[0] if len(chains) == 1 else np.concatenate(chains)

    def encode(self, tiles: NDArray[np.uint8], networks: Networks) -> Chain:
        """uint8 [n, H, W, 3], one chain of n tiles."""
        analysis, synthesis = networks
        sink, pixels = _Sink(), 0.0
        z: NDArray[np.uint16] | None = None
        for start in range(0, len(tiles), AHEAD):
            part = tiles[start : start + AHEAD]
            for tile, pairs in zip(part, analysis(part), strict=True):
                latents = sink.pop(self.posterior, *_flat(pairs))
                self._push_latents(sink.stack, z)
                z = latents
                before = sink.bits
                self._push_pixels(sink.stack, tile, synthesis(z.reshape(1, -1, *pairs.shape[1:])))
                pixels += sink.bits - before
        self._push_latents(sink.stack, z)
        net = sink.bits - pixels
        stream, initial = sink.finish(-(-tiles.size // MAX_SAMPLES_PER_BYTE))
        return Chain(stream, net, pixels, initial)

    def decode(
        self, stream: memoryview, number: int, shape: tuple[int, int], networks: Networks
    ) -> NDArray[np.uint8]:
        """The tiles of a chain, uint8 [number, H, W, 3].

        Raises:
            CodingError: not what `encode` made.
        """
        analysis, synthesis = networks
        groups = len(self.table_of)
        height, width = (side // self.factor for side in shape)
        count = groups * height * width
        stack, initial = _begin(stream)
        tiles = np.empty((number, *shape, 3), np.uint8)
        before = stack.pop(self.prior, count, self._tables(count))
        for left, tile in zip(range(number)[::-1], tiles[::-1], strict=True):
            z = before
            tile[...] = self._pop_pixels(stack, synthesis(z.reshape(1, groups, height, width)))
            if left:
                before = stack.pop(self.prior, count, self._tables(count))
            self.posterior.push(stack, *_flat(analysis(tile[None])[0]), z)
        if stack.to_bytes() != entropy.Stack(initial_words(initial)).to_bytes():
            raise DamagedStreamError("a chain does not end in the words that it began with")
        return tiles

    def _tables(self, count: int) -> NDArray[np.uint32]:
        """The prior's table of each latent, groups outermost."""
        return np.repeat(self.table_of, count // len(self.table_of))

    def _push_latents(self, stack: entropy.Stack, z: NDArray[np.uint16] | None) -> None:
        if z is not None:
            stack.push(self.prior, z, self._tables(len(z)))

    def _push_pixels(self, stack: entropy.Stack, tile: NDArray[np.uint8], parameters: Parameters) -> None:
        mean, scale = self._pixel_rows(tile, parameters)
        self.pixels.push(stack, mean, scale, tile.transpose(2, 0, 1).reshape(-1).astype(np.uint16))

    def _pop_pixels(self, stack: entropy.Stack, parameters: Parameters) -> NDArray[np.uint8]:
        _, colours, height, width = parameters[0].shape
        blank = np.zeros((height, width, colours), np.uint8)  # there are no causal neighbours to be seen
        values = self.pixels.pop(stack, *self._pixel_rows(blank, parameters))
        return values.reshape(colours, height, width).transpose(1, 2, 0).astype(np.uint8)

    def _pixel_rows(
        self, tile: NDArray[np.uint8], parameters: Parameters
    ) -> tuple[NDArray[np.uint16], NDArray[np.uint16]]:
        logits, scales = parameters
        mean = self.pixel_model.mean_index(tile[None], logits)
        return mean.reshape(-1), scales.reshape(-1).astype(np.uint16)


def _flat(pairs: NDArray[np.uint16]) -> tuple[NDArray[np.uint16], NDArray[np.uint16]]:
    """(mean, scale) pairs of one tile [2 G, h, w] -> both by themselves, [G h w]."""
    return pairs[0::2].reshape(-1), pairs[1::2].reshape(-1)


class _Sink:
    """A stack that gets more initial words underneath when a pop wants them, and keeps those it used."""

    def __init__(self) -> None:
        self.stack, self.initial, self.lowest = entropy.Stack(), 0, 0

    @property
    def bits(self) -> float:
        """Held by the stack beyond the words that it began with; differences are costs."""
        return self.stack.bits - 16 * self.initial

    def pop(self, rows: Rows, mean: NDArray[np.uint16], scale: NDArray[np.uint16]) -> NDArray[np.uint16]:
        """Sample a symbol for each mean and scale: that takes at most one word for each."""
        if self.stack.words < len(mean):
            self._deepen(len(mean) + 1)
        symbols = rows.pop(self.stack, mean, scale)
        self.lowest = min(self.lowest, self.stack.words)
        return symbols

    def _deepen(self, more: int) -> None:
        """Put the next `more` words of the sequence below all others."""
        words = initial_words(self.initial + more)
        if self.initial == 0:
            self.stack = entropy.Stack(words)  # nothing was pushed before the first pop
            self.lowest = self.stack.words
        else:
            held = self.stack.to_bytes()
            self.stack = entropy.Stack.from_bytes(held[:4] + words[:more].astype("<u2").tobytes() + held[4:])
            self.lowest += more
        self.initial += more

    def finish(self, least: int) -> tuple[bytes, float]:
        """The stream, without words that were never used but at least so many bytes; its initial bits."""
        if (short := least - 4 - len(self.stack.to_bytes())) > 0:
            self._deepen(-(-short // 2))
        held = self.stack.to_bytes()
        spare = min(self.lowest, (4 + len(held) - least) // 2)
        stream = (self.initial - spare).to_bytes(4, "little") + held[:4] + held[4 + 2 * spare :]
        return stream, 16.0 * (self.initial - spare)


def _begin(stream: memoryview) -> tuple[entropy.Stack, int]:
    """The stack of a stream, and how many words it began with."""
    initial = int.from_bytes(stream[:4], "little")
    if len(stream) < 8 or initial > MAX_INITIAL:
        raise DamagedStreamError(f"{len(stream)} bytes that claim {initial} initial words are not a chain")
    return entropy.Stack.from_bytes(bytes(stream[4:])), initial
