"""The fitted coder of pixels: its integers, its fit and its code length against plain computations."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from fsar_lab.config.schema import ContextConfig
from fsar_lab.models.coders.context import ONE, PLACES, TAPS, Context, places, taps_of


def images(number: int = 48, side: int = 16, seed: int = 0) -> Tensor:
    """Images whose colours follow from their neighbours: walks with a common part, some noisier."""
    generator = torch.Generator().manual_seed(seed)
    common = torch.randn(number, 1, side, side, generator=generator).cumsum(2).cumsum(3) * 3
    noise = torch.linspace(0.5, 6, number).view(-1, 1, 1, 1)
    own = torch.randn(number, 3, side, side, generator=generator) * noise
    return (128 + common + own).clamp(0, 255).to(torch.uint8)


@pytest.fixture(scope="module")
def fitted() -> Context:
    coder = Context(ContextConfig(states=8))
    coder.fit(images())
    return coder


def test_taps_are_causal_and_all_used() -> None:
    assert [len(taps_of(c)) for c in range(3)] == [4, 9, TAPS]
    for colour in range(3):
        assert all((row, column, c) < (0, 0, 0) for c, row, column in taps_of(colour))
        assert all(colour + c >= 0 for c, _, _ in taps_of(colour))
    assert places(3, 4).tolist() == [[0, 1, 1, 2], [3, 4, 4, 5], [3, 4, 4, 5]]
    assert places(2, 1).tolist() == [[0], [3]]


def test_the_future_changes_nothing(fitted: Context) -> None:
    """Contexts and symbols up to a sample do not depend on later samples."""
    x = images(4, seed=1)
    contexts, symbols = fitted(x)
    row, column, colour = 7, 9, 1
    later = torch.zeros(3, 16, 16, dtype=torch.bool)
    later[:, row + 1 :] = True
    later[:, row, column + 1 :] = True
    later[colour:, row, column] = True
    other = torch.where(later, 255 - x, x)
    contexts_2, symbols_2 = fitted(other)
    assert torch.equal(symbols[:, ~later], symbols_2[:, ~later])
    assert torch.equal(contexts[:, ~later], contexts_2[:, ~later])
    assert torch.equal(contexts[:, colour, row, column], contexts_2[:, colour, row, column])
    assert not torch.equal(symbols[:, colour, row, column], symbols_2[:, colour, row, column])


def test_first_round_is_least_squares() -> None:
    """With an importance of one for all, weights solve the problem that NumPy solves."""
    coder, x = Context(ContextConfig(states=4)), images()
    coder._fit_weights(x, 1, None)
    values = x.double().numpy()
    rows, target = [], []
    for y in range(1, 16):
        for c in range(1, 15):
            taps = [values[:, 1 + dc, y + dy, c + dx] for dc, dy, dx in taps_of(1)]
            rows.append(np.stack([*taps, np.ones(len(values))], 1))
            target.append(values[:, 1, y, c])
    solution = np.linalg.lstsq(np.concatenate(rows), np.concatenate(target), rcond=None)[0]
    assert np.abs(coder.weight[1, 4, :9].numpy() / ONE - solution[:9]).max() < 1e-3
    assert coder.weight[1, :, 9:].count_nonzero() == 0
    assert abs(coder.bias[1, 4].item() / ONE - solution[9]) < 0.1


def test_contexts_are_evenly_used(fitted: Context) -> None:
    contexts, symbols = fitted(images())
    for colour in range(3):
        share = torch.bincount(contexts[:, colour].flatten(), minlength=8) / contexts[:, colour].numel()
        assert share.min() > 0.6 / 8 and share.max() < 1.4 / 8
        # and they mean something: errors grow with the context
        size = torch.minimum(symbols[:, colour], 256 - symbols[:, colour]).float()
        assert size[contexts[:, colour] == 7].mean() > 1.5 * size[contexts[:, colour] == 0].mean()


def test_tables_are_counted(fitted: Context) -> None:
    contexts, symbols = (part.numpy() for part in fitted(images()))
    for colour, state in ((0, 0), (1, 3), (2, 7)):
        there = symbols[:, colour][contexts[:, colour] == state]
        assert np.array_equal(fitted.counts[colour, state].numpy(), np.bincount(there, minlength=256))


def test_nats(fitted: Context) -> None:
    x = images(2, seed=2)
    contexts, symbols = fitted(x)
    nats = fitted.nats(None, x)
    assert nats.shape == x.shape and nats.dtype == torch.float32
    count = fitted.counts[2, contexts[1, 2, 4, 5], symbols[1, 2, 4, 5]].item()
    total = fitted.counts[2, contexts[1, 2, 4, 5]].sum().item()
    assert nats[1, 2, 4, 5].item() == pytest.approx(math.log((total + 128) / (count + 0.5)), rel=1e-6)
    # far below a static table of grey levels, on images that it has not seen
    x = images(32, seed=3)
    histogram = torch.bincount(x.flatten().long(), minlength=256) + 1.0
    static = -torch.log(histogram / histogram.sum())[x.long()].mean()
    assert fitted.nats(None, x).mean() < 0.85 * static


def test_places_have_their_own_weights(fitted: Context) -> None:
    """In the first row nothing is above: only the left neighbour and earlier colours are left."""
    assert fitted.weight.shape == (3, PLACES, TAPS)
    assert fitted.weight[0, 1, 0] > 0.5 * ONE
    assert (fitted.weight[0, 1, 1:].abs() < 0.01 * ONE).all()
    assert fitted.weight[0, 4, 1] > 0.1 * ONE
    assert not list(fitted.parameters())
