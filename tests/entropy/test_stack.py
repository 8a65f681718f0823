"""The stack: bits-back coding of discretised Gaussians, its bytes, and refusals that change nothing."""

from __future__ import annotations

import math

import entropy_reference as ref
import numpy as np
import pytest

from fsar_lab import entropy
from fsar_lab.errors import DamagedStreamError, SymbolRangeError, TableError

BITS = 16


def gaussian_rows(means: np.ndarray, widths: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """Rows of integer starts of normal distributions cut into K bins, uint16 [n, K]; every bin has a slot.

    `edges` are the K - 1 inner edges of the bins, `means` and `widths` float [n].
    """
    z = (edges[None, :] - means[:, None]) / widths[:, None]
    cdf = 0.5 * (1 + np.vectorize(math.erf)(z / math.sqrt(2)))
    bins = len(edges) + 1
    starts = np.zeros((len(means), bins), np.uint16)
    starts[:, 1:] = np.floor(cdf * ((1 << BITS) - bins)).astype(np.uint16) + np.arange(
        1, bins, dtype=np.uint16
    )
    return starts


def probabilities(starts: np.ndarray) -> np.ndarray:
    """What the rows stand for, float [n, K]."""
    ends = np.concatenate([starts[:, 1:], np.full((len(starts), 1), 1 << BITS)], axis=1, dtype=np.int64)
    return (ends - starts) / (1 << BITS)


class LinearGaussian:
    """x = A z + noise with two latents and six observations, all cut into bins.

    The posterior is factorised and a little too wide, so that the bound is not tight.
    """

    def __init__(self) -> None:
        rng = np.random.default_rng(0)
        self.matrix = rng.normal(0, 20, (6, 2))
        self.noise = 6.0
        self.z_edges = np.linspace(-4, 4, 127)
        self.z_values = np.concatenate([[-4.03], (self.z_edges[1:] + self.z_edges[:-1]) / 2, [4.03]])
        self.x_edges = np.arange(-127.5, 127.5)
        precision = np.eye(2) + self.matrix.T @ self.matrix / self.noise**2
        self.gain = np.linalg.inv(precision) @ self.matrix.T / self.noise**2
        self.posterior_width = 1.3 / np.sqrt(np.diag(precision))
        self.prior = gaussian_rows(np.zeros(2), np.ones(2), self.z_edges)

    def sample(self, rng: np.random.Generator, number: int) -> np.ndarray:
        x = rng.normal(0, 1, (number, 2)) @ self.matrix.T + rng.normal(0, self.noise, (number, 6))
        return np.clip(np.rint(x) + 128, 0, 255).astype(np.uint16)

    def posterior(self, x: np.ndarray) -> np.ndarray:
        return gaussian_rows(self.gain @ (x - 128.0), self.posterior_width, self.z_edges)

    def likelihood(self, z: np.ndarray) -> np.ndarray:
        return gaussian_rows(self.matrix @ self.z_values[z], np.full(6, self.noise), self.x_edges)

    def bound(self, x: np.ndarray, rng: np.random.Generator, samples: int) -> float:
        """Negative ELBO in bits, by sampling: log q(z|x) - log p(z) - log p(x|z)."""
        q, p = probabilities(self.posterior(x)), probabilities(self.prior)
        total = 0.0
        for _ in range(samples):
            z = np.array([rng.choice(len(row), p=row) for row in q])
            likelihood = probabilities(self.likelihood(z))[np.arange(6), x]
            d = np.arange(2)
            total += np.log2(q[d, z]).sum() - np.log2(p[d, z]).sum() - np.log2(likelihood).sum()
        return total / samples


def test_bits_back():
    model, rng = LinearGaussian(), np.random.default_rng(1)
    data = model.sample(rng, 200)
    initial = rng.integers(0, 1 << 16, 40).astype(np.uint16)
    stack = entropy.Stack(initial)
    before, least = stack.bits, stack.bits
    naive = 0.0
    for x in data:
        z = stack.pop_rows(model.posterior(x), BITS)
        least = min(least, stack.bits)
        likelihood = model.likelihood(z)
        stack.push_rows(likelihood, BITS, x)
        stack.push_rows(model.prior, BITS, z)
        naive -= np.log2(probabilities(likelihood)[np.arange(6), x]).sum()
        naive -= np.log2(probabilities(model.prior)[np.arange(2), z]).sum()
    assert least < before  # the first latents were paid with the initial bits
    rate = (stack.bits - before) / len(data)
    bound = sum(model.bound(x, rng, 12) for x in data) / len(data)
    print(f"net {rate:.3f} bits a sample, -ELBO {bound:.3f}, without bits-back {naive / len(data):.3f}")
    assert abs(rate - bound) < 0.01 * bound
    assert rate < 0.9 * naive / len(data)

    stack = entropy.Stack.from_bytes(stack.to_bytes())
    for x in data[::-1]:
        z = stack.pop_rows(model.prior, BITS)
        assert np.array_equal(stack.pop_rows(model.likelihood(z), BITS), x)
        stack.push_rows(model.posterior(x), BITS, z)
    assert stack.to_bytes() == entropy.Stack(initial).to_bytes()


def test_all_kinds_agree_with_the_documented_step():
    rng = np.random.default_rng(2)
    counts = ref.random_counts(rng, 4, 9, 12)
    tables = entropy.Tables(counts, 12)
    symbols = rng.integers(0, 9, 30).astype(np.uint16)
    index = rng.integers(0, 4, 30).astype(np.uint32)
    starts = np.concatenate([np.zeros((30, 1)), np.sort(rng.integers(0, 1025, (30, 4)))], 1).astype(np.uint16)
    edges = np.concatenate([starts, np.full((30, 1), 1024)], axis=1)
    values = np.array([rng.choice(np.flatnonzero(np.diff(row))) for row in edges], np.uint16)
    raw = rng.integers(0, 8, 30).astype(np.uint16)

    stack = entropy.Stack()
    stack.push(tables, symbols, index)
    stack.push_rows(starts, 10, values)
    stack.push_bits(3, raw)

    mine = ref.Encoder(1)
    sums = [ref.cumulate(row) for row in counts]
    mine.push([[(sums[t][s], int(counts[t, s]))] for t, s in zip(index, symbols, strict=True)], 12)
    mine.push([[(int(row[v]), int(row[v + 1] - row[v]))] for row, v in zip(edges, values, strict=True)], 10)
    mine.push([[(int(value), 1)] for value in raw], 3)
    state, words = mine.states[0], mine.words[::-1]
    assert stack.to_bytes() == state.to_bytes(4, "little") + np.array(words, "<u2").tobytes()
    expected = -np.log2(counts[index, symbols] / 4096).sum() + 3 * 30
    expected -= np.log2([(row[v + 1] - row[v]) / 1024 for row, v in zip(edges, values, strict=True)]).sum()
    assert stack.bits == pytest.approx(expected, abs=0.1)

    assert np.array_equal(stack.pop_bits(3, 30), raw)
    assert np.array_equal(stack.pop_rows(starts, 10), values)
    assert np.array_equal(stack.pop(tables, 30, index), symbols)
    assert stack.bits == 0
    with pytest.raises(DamagedStreamError, match="holds only 0 bits"):
        stack.pop_bits(16, 1)


def test_refusals_change_nothing():
    stack = entropy.Stack(np.arange(5, dtype=np.uint16))
    tables = entropy.Tables(np.array([[200, 56, 0]], np.uint32), 8)
    before = stack.to_bytes()
    good = np.array([[0, 10, 300]], np.uint16)
    for error, call in (
        (SymbolRangeError, lambda: stack.push(tables, np.array([0, 2], np.uint16))),
        (SymbolRangeError, lambda: stack.push(tables, np.zeros(1, np.uint16), np.ones(1, np.uint32))),
        (SymbolRangeError, lambda: stack.pop(tables, 1, np.ones(1, np.uint32))),
        (SymbolRangeError, lambda: stack.push_bits(3, np.array([8], np.uint16))),
        (SymbolRangeError, lambda: stack.push_rows(good, 9, np.array([3], np.uint16))),
        (TableError, lambda: stack.push_rows(good, 8, np.array([0], np.uint16))),
        (TableError, lambda: stack.pop_rows(good[:, ::-1].copy(), 9)),
        (ValueError, lambda: stack.pop_rows(good, 17)),
        (ValueError, lambda: stack.push_bits(17, np.zeros(1, np.uint16))),
        (ValueError, lambda: stack.push_rows(good, 9, np.zeros(2, np.uint16))),
        (TypeError, lambda: stack.push_bits(3, np.zeros(1, np.int64))),
        (DamagedStreamError, lambda: stack.pop_bits(16, 6)),
        (DamagedStreamError, lambda: stack.pop(tables, 1000)),
    ):
        with pytest.raises(error):
            call()
        assert stack.to_bytes() == before


def test_initial_words_are_copied():
    initial = np.arange(8, dtype=np.uint16)
    stack = entropy.Stack(initial)
    assert stack.pop_bits(16, 7).tolist() == [7, 6, 5, 4, 3, 2, 1]
    stack.push_bits(16, np.full(7, 99, np.uint16))
    assert initial.tolist() == list(range(8))


def test_bytes():
    stack = entropy.Stack(np.array([1, 2], np.uint16))
    assert stack.to_bytes() == b"\2\0\1\0\1\0"
    assert entropy.Stack().to_bytes() == b"\0\0\1\0"
    assert entropy.Stack.from_bytes(stack.to_bytes()).to_bytes() == stack.to_bytes()
    for bad in (b"", b"\0\0\1", b"\0\0\0\0", b"\xff\xff\0\0", b"\0\0\1\0\1"):
        with pytest.raises(DamagedStreamError):
            entropy.Stack.from_bytes(bad)
