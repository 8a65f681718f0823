"""The fitted coder of pixels: its integers, its fit and its code length against plain computations."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from fsar_lab.config.schema import ContextConfig
from fsar_lab.models.coders.context import (
    ERRORS,
    FLOOR,
    ONE,
    PLACES,
    TAPS,
    TEXTURES,
    Context,
    differences,
    error_taps_of,
    neighbours,
    taps_of,
)


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
    assert [len(taps_of(c)) for c in range(3)] == [10, 21, TAPS]
    assert [len(error_taps_of(c)) for c in range(3)] == [7, 12, ERRORS]
    for colour in range(3):
        for taps in (taps_of(colour), error_taps_of(colour)):
            assert len(set(taps)) == len(taps)
            assert all((row, column, c) < (0, 0, colour) for c, row, column in taps)
            assert all(c >= 0 for c, _, _ in taps)


def test_what_is_outside_is_repeated_from_inside() -> None:
    planes = torch.arange(1, 13).view(1, 1, 3, 4)
    taps = ((0, 0, -2), (0, -1, -1), (0, -2, 0), (0, -1, 2))
    left, above_left, above, above_right = neighbours(planes, taps, 99)[:, 0].tolist()
    assert left == [[99, 99, 1, 2], [1, 1, 5, 6], [5, 5, 9, 10]]
    assert above_left == [[99] * 4, [99, 1, 2, 3], [1, 5, 6, 7]]
    assert above == [[99] * 4, [1, 2, 3, 4], [1, 2, 3, 4]]
    assert above_right == [[99] * 4, [3, 4, 4, 4], [7, 8, 8, 8]]
    assert neighbours(planes[..., :1, :1], taps, 99).tolist() == [[[[99]]]] * 4


def test_stripes_have_a_direction(fitted: Context) -> None:
    """Columns that differ change across, rows down; levels tell strong from weak ones."""
    stripes = (torch.arange(16) % 2 * 40 + 100).to(torch.uint8).expand(1, 3, 16, 16)
    for colour, sum_of in enumerate((3 * 40, 5 * 40, 5 * 40)):
        across, down = differences(stripes.int(), colour)
        assert across[0, 4:, 4:12].unique().tolist() == [sum_of] and not down[0, 4:, 4:12].any()
        across, down = differences(stripes.mT.int(), colour)
        assert down[0, 4:, 4:12].unique().tolist() == [sum_of] and not across[0, 4:, 4:12].any()
        rows = [fitted.rows(x, colour)[0, 8, 8].item() for x in (stripes, stripes.mT, 0 * stripes)]
        assert [row // TEXTURES for row in rows] == [1, 1, 1]
        assert rows[0] % 4 == 0 and rows[1] % 4 == 3
        assert rows[0] // 4 % 4 == rows[1] // 4 % 4 > rows[2] // 4 % 4
        assert fitted.rows(stripes, colour)[0, 0, 8].item() < TEXTURES


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
    """With an importance of one for all, weights solve the problem that NumPy solves.

    That of a texture: its own positions, and all of the place with a small weight.
    """
    coder, x = Context(ContextConfig(states=4)), images(300)
    texture = (torch.arange(16) % TEXTURES + TEXTURES * (torch.arange(16) > 0)[:, None]).expand(300, 16, 16)
    coder._fit_weights(x, 1, texture, None)
    inputs = neighbours(x.double(), taps_of(1), 128)[:, :, 1:].numpy()
    for column in (0, 5, 15):
        own, all_ = (part.reshape(len(inputs), -1) for part in (inputs[..., column], inputs))
        wanted, all_wanted = (part.double().numpy().ravel() for part in (x[:, 1, 1:, column], x[:, 1, 1:]))
        scale = math.sqrt(300 / all_.shape[1])
        rows = np.concatenate([own.T, scale * all_.T])
        ones = np.concatenate([np.ones(own.shape[1]), np.full(all_.shape[1], scale)])
        rows, target = np.c_[rows, ones], np.concatenate([wanted, scale * all_wanted])
        solution = np.linalg.lstsq(rows, target, rcond=None)[0]
        fitted = np.r_[coder.weight[1, 1, column, :21].numpy(), coder.bias[1, 1, column].item()] / ONE
        # Equations are regularised: compared is what they say, not the weights.
        assert np.abs(rows @ (fitted - solution)).mean() < 0.02
    assert coder.weight[1, :, :, 21:].count_nonzero() == 0


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
    assert nats[1, 2, 4, 5].item() == pytest.approx(
        math.log((total + 256 * FLOOR) / (count + FLOOR)), rel=1e-6
    )
    # far below a static table of grey levels, on images that it has not seen
    x = images(32, seed=3)
    histogram = torch.bincount(x.flatten().long(), minlength=256) + 1.0
    static = -torch.log(histogram / histogram.sum())[x.long()].mean()
    assert fitted.nats(None, x).mean() < 0.85 * static


def test_places_have_their_own_weights(fitted: Context) -> None:
    """In the first row nothing is above; others see two rows above, and to the left the next one higher."""
    assert fitted.weight.shape == (3, PLACES, TEXTURES, TAPS)
    assert (fitted.weight[0, 0, :, 0] > 0.3 * ONE).all() and (fitted.weight[0, 1, :, 1] > 0.1 * ONE).all()
    x = images(20, seed=4)
    changed = torch.where(torch.arange(16)[:, None] == 3, 255 - x, x)
    rows = fitted.rows(x, 0)
    before, after = (fitted.predict(values, 0, rows)[0] for values in (x, changed))
    reached = (before != after).any(0).any(1)
    assert reached.tolist() == [False] * 3 + [True] * 4 + [False] * 9
    assert not list(fitted.parameters())


def test_errors_lean_to_the_side_that_was_rounded_away(fitted: Context) -> None:
    """Symbols below 128 are errors towards the prediction before rounding: they are more."""
    symbols = fitted(images())[1]
    assert ((symbols > 0) & (symbols < 128)).sum() > 1.02 * (symbols > 128).sum()
