"""Random sources, all from fixed seeds: distributions, and symbols drawn from them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Offset = tuple[int, int, int]  # group, row, column of a neighbour; 0 or -1 each here

# Standard deviations of Gaussian logits that give about 4.0 bits a symbol.
SPREAD_256, SPREAD_32 = 2.7, 1.26
LAPLACE_SCALE = 4.2  # 4.5 bits
SIGMAS = (1.7, 21.0)  # grey levels, the range of the Gaussian tables; 4.5 bits on average


def random_tables(rng: np.random.Generator, tables: int, symbols: int, spread: float) -> NDArray[np.float32]:
    """Softmax of independent Gaussian logits, [tables, symbols]: no two rows are alike."""
    return softmax(rng.normal(0, spread, (tables, symbols)).astype(np.float32))


def softmax(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    """Softmax of every row, in place."""
    logits -= logits.max(1, keepdims=True)
    np.exp(logits, out=logits)
    logits /= logits.sum(1, keepdims=True)
    return logits


def normal_cdf(x: Array) -> Array:
    """Phi, element by element."""
    flat = [0.5 * math.erfc(-v * math.sqrt(0.5)) for v in x.ravel().tolist()]
    return np.asarray(flat).reshape(x.shape)


def gaussian_tables(means: int, scales: int) -> NDArray[np.float32]:
    """Gaussians over the bytes, [means * scales, 256]: every mean with every standard deviation."""
    mu = np.repeat((np.arange(means) + 0.5) * 256 / means - 0.5, scales)[:, None]
    sigma = np.tile(np.geomspace(*SIGMAS, scales), means)[:, None]
    p = np.diff(normal_cdf((np.arange(257) - 0.5 - mu) / sigma), axis=1)
    return np.asarray(p / p.sum(1, keepdims=True), np.float32)


def laplace_table() -> NDArray[np.float32]:
    """One table of prediction residuals, [1, 256]."""
    p = np.exp(-np.abs(np.arange(256) - 128) / LAPLACE_SCALE)[None]
    return np.asarray(p / p.sum(), np.float32)


def ideal_bits(tables: Array, index: Array, symbols: Array) -> float:
    """Sum of -log2 p over the symbols, each under its own table."""
    return float(-np.log2(tables[index, symbols], dtype=np.float64).sum())


class Sampler:
    """Draws symbols from many distributions at once.

    All cumulative distributions stand in one ascending array, that of table t between t and t + 1, so that
    one binary search finds a symbol whatever its table.
    """

    def __init__(self, tables: Array) -> None:
        """Takes probabilities [M, K]."""
        cumulative = np.cumsum(tables, axis=1, dtype=np.float64)
        cumulative /= cumulative[:, -1:]
        cumulative += np.arange(len(tables))[:, None]
        self._flat, self._symbols = cumulative.ravel(), tables.shape[1]

    def draw(self, rng: np.random.Generator, index: Array) -> Array:
        """One symbol from each of the tables `index`: int64, shaped like it."""
        u = np.minimum(rng.random(index.shape), 1 - 2**-30)
        found = np.searchsorted(self._flat, index + u, "right") - index * self._symbols
        drawn: Array = np.minimum(found, self._symbols - 1)
        return drawn


def draw_latents(
    rng: np.random.Generator,
    sampler: Sampler,
    offsets: Sequence[Offset],
    shape: tuple[int, int, int, int],
    symbols: int,
) -> tuple[NDArray[np.uint16], NDArray[np.uint32]]:
    """Latents [N, G, h, w] drawn in raster order, and the context that each was drawn in.

    Context = group * (K+1)^order + the mixed radix of the neighbours' states, the first offset slowest;
    state 0 is outside the image, state k + 1 is symbol k.
    """
    images, groups, height, width = shape
    states = np.zeros((groups, height + 1, width + 1, images), np.int64)  # a border of zeros above and left
    contexts = np.empty((groups, height, width, images), np.uint32)
    for g in range(groups):
        for r in range(height):
            for c in range(width):
                context = np.full(images, g, np.int64)
                for dg, dr, dc in offsets:
                    context = context * (symbols + 1) + states[g + dg, r + 1 + dr, c + 1 + dc]
                contexts[g, r, c] = context
                states[g, r + 1, c + 1] = sampler.draw(rng, context) + 1
    latents = np.ascontiguousarray(np.moveaxis(states[:, 1:, 1:] - 1, 3, 0), np.uint16)
    return latents, np.ascontiguousarray(np.moveaxis(contexts, 3, 0))


# How well a context predicts each dimension of a structured source's code vectors, and two shapes of it;
# chosen together for about 4 bits a symbol with most of the alphabet in use.
PREDICTABILITY = (0.985, 0.95, 0.85, 0.6)
GAIN, CURVATURE = 0.6, 0.2
HIDDEN_UNITS = 32


def structured_tables(rng: np.random.Generator, symbols: int) -> NDArray[np.float32]:
    """Order-2 tables that resemble a trained prior's, float32 [(K+1)^2, K]: similar contexts, similar rows.

    As in an FSAR prior the neighbours' code vectors go through a small network. Its output is a guess of
    the symbol's own vector; a symbol is the likelier the closer its vector is to the guess, dimension by
    dimension with a precision that decays from the first to the last. A neighbour outside has a zero vector.
    """
    weight = np.array(PREDICTABILITY)
    dimensions = len(weight)
    codes = rng.normal(0, 1, (symbols, dimensions))
    states = np.vstack([np.zeros((1, dimensions)), codes])
    above = np.repeat(states, symbols + 1, axis=0)
    left = np.tile(states, (symbols + 1, 1))
    inner = np.hstack([above, left]) @ rng.normal(0, (2 * dimensions) ** -0.5, (2 * dimensions, HIDDEN_UNITS))
    inner += rng.normal(0, 0.5, HIDDEN_UNITS)
    curved = np.where(inner > 0, inner, 0.01 * inner) @ rng.normal(0, 1, (HIDDEN_UNITS, dimensions))
    curved = (curved - curved.mean(0)) / curved.std(0)
    guess = GAIN * weight * ((1 - CURVATURE) * (above + left) + CURVATURE * curved)
    # log p(code | guess) up to a constant, of a Gaussian with variance 1 - weight^2, divided by the codes'
    # own density N(0, 1), which is in how many of them there are.
    precision = 1 / (1 - weight**2)
    logits = (guess * precision) @ codes.T - (codes**2 @ (precision - 1)) / 2
    logits += rng.normal(0, 0.3, symbols)
    return softmax(logits.astype(np.float32))
