"""Priors on pixels: costs and gradients against plain computations."""

from __future__ import annotations

import itertools
import math

import pytest
import torch
from torch import Tensor

from fsar_lab.config.schema import ConvolutionPixelsConfig, FSARPixelsConfig
from fsar_lab.models.coders.pixel_priors import ConvolutionPixels, FSARPixels, grey_vectors
from fsar_lab.models.compressor import Compressor


def images(number: int = 2, side: int = 5) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (number, 3, side, side), generator=generator, dtype=torch.uint8)


def make(offsets: list[list[int]], **fields: float) -> FSARPixels:
    torch.manual_seed(0)
    return FSARPixels(FSARPixelsConfig(offsets=offsets, dim=4, train_share=1.0, **fields))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "offsets",
    [
        [[0, -1, 0]],
        [[-1, 0, 0], [0, 0, -1]],
        [[-1, 0, 0], [-2, 0, 0], [0, -1, 0], [0, 0, -1]],
    ],
)
def test_cost_of_one_sample(offsets: list[list[int]]) -> None:
    coder, x = make(offsets), images()
    nats = coder.nats(None, x)
    assert nats.shape == x.shape
    for n, c, row, column in ((0, 0, 0, 0), (1, 2, 3, 0), (0, 1, 4, 4), (1, 2, 2, 2)):
        vectors = []
        for dc, dy, dx in offsets:
            inside = c + dc >= 0 and row + dy >= 0 and column + dx >= 0
            level = int(x[n, c + dc, row + dy, column + dx]) if inside else 0
            vectors.append(coder.codebooks[c + dc, level] if inside else torch.zeros(4))
        logits = coder.prior.networks[c](torch.cat(vectors))
        expected = -torch.log_softmax(logits, 0)[int(x[n, c, row, column])]
        assert nats[n, c, row, column].item() == pytest.approx(expected.item(), rel=1e-4)


def test_gradients_reach_the_vectors_of_neighbours_alone() -> None:
    coder = make([[0, -1, 0]]).double()
    x = torch.tensor([[10, 10], [20, 20]], dtype=torch.uint8).expand(1, 3, 2, 2)
    coder.nats(None, x).sum().backward()  # type: ignore[no-untyped-call]
    grad = coder.codebooks.grad
    assert grad is not None
    assert (grad[:, 10] != 0).any(1).all()  # above the 20s
    assert grad[:, 20].count_nonzero() == 0  # coded, but nobody's neighbour
    # a finite difference, so that a stop-gradient in the middle of the path would show
    direction, step = torch.randn(4).double(), 1e-5
    with torch.no_grad():
        values = []
        for sign in (1, -1):
            coder.codebooks[0, 10] += sign * step * direction
            values.append(coder.nats(None, x).sum())
            coder.codebooks[0, 10] -= sign * step * direction
    assert ((values[0] - values[1]) / (2 * step)).item() == pytest.approx(
        (grad[0, 10] @ direction).item(), rel=1e-4, abs=1e-6
    )


def test_a_share_of_the_positions_is_unbiased() -> None:
    coder, x = make([[0, 0, -1]]), images(8, 8)
    with torch.no_grad():
        full = coder.nats(None, x).mean()
        coder.prior.train_share = 0.25
        shares = torch.stack([coder.nats(None, x).mean() for _ in range(50)])
        assert shares.mean().item() == pytest.approx(full.item(), rel=0.01)
        assert torch.equal(coder.eval().nats(None, x).mean(), full)


@pytest.mark.parametrize("kernel", [3, 5])
@pytest.mark.parametrize("mask", ["raster", "checkerboard", "raster3d"])
def test_a_sub_pixel_changes_nothing_that_is_decoded_before_it(mask: str, kernel: int) -> None:
    torch.manual_seed(0)
    coder, half = ConvolutionPixels(ConvolutionPixelsConfig(mask=mask, kernel=kernel, dim=4)), kernel // 2
    coder.fit(images(8, 7))  # a level's cost depends on the level, where there are no neighbours, too
    x = images(1, 7)
    nats = coder.nats(None, x)
    for colour, row, column in ((0, 3, 3), (1, 3, 3), (2, 3, 3), (1, 2, 3), (0, 0, 0), (2, 6, 6)):
        other = x.clone()
        other[0, colour, row, column] = 255 - x[0, colour, row, column]
        changed = (coder.nats(None, other) != nats)[0]
        for place in itertools.product(range(3), range(7), range(7)):
            dc, dy, dx = place[0] - colour, place[1] - row, place[2] - column
            near = max(abs(dy), abs(dx)) <= half
            if mask == "raster3d":
                expected = near and dc <= half and (dc, dy, dx) > (0, 0, 0)
            elif mask == "raster":
                expected = near and (dy, dx) > (0, 0)
            else:  # anchors are those of odd row + column; only they have successors
                expected = near and (row + column) % 2 == 1 and (dy + dx) % 2 == 1
            assert bool(changed[place]) == (expected or (dc, dy, dx) == (0, 0, 0))


@pytest.mark.parametrize("kernel", [3, 5])
def test_convolution_sees_what_precedes(kernel: int) -> None:
    torch.manual_seed(0)
    coder = ConvolutionPixels(ConvolutionPixelsConfig(kernel=kernel, dim=4))
    x = images(1, 7)
    nats = coder.nats(None, x)
    other = x.clone()
    other[0, :, 3, 3] = 255 - x[0, :, 3, 3]
    changed = (coder.nats(None, other) != nats)[0].any(0)
    reach = kernel // 2
    assert changed[3, 3] and changed[3, 4] and changed[4, 3 - reach : 4 + reach].all()
    assert not changed[:3].any() and not changed[3, :3].any() and not changed[3, 4 + reach :].any()
    nats.sum().backward()  # type: ignore[no-untyped-call]
    assert coder.codebooks.grad is not None and coder.codebooks.grad.abs().sum() > 0


def test_start_at_the_histogram() -> None:
    x = (images(16, 16) // 8).to(torch.uint8)
    masks = ("raster", "checkerboard", "raster3d")
    convolutions = [ConvolutionPixels(ConvolutionPixelsConfig(mask=mask, dim=4)) for mask in masks]
    for coder in (make([[0, -1, 0]]), *convolutions):
        before = coder.nats(None, x).mean()
        coder.fit(x)
        after = coder.nats(None, x).mean()
        assert before > 5 and math.log(32) - 0.1 < after < math.log(32) + 0.4


def test_neighbouring_levels_begin_alike() -> None:
    vectors = grey_vectors(32)
    distance = torch.cdist(vectors, vectors)
    assert distance.diagonal(1).mean() < 0.7 * distance.mean()
    assert vectors.shape == (256, 32)


def test_the_compressor_without_networks() -> None:
    coder = make([[0, -1, 0]])
    output = Compressor(None, None, None, coder)(images())
    assert output.loss.item() == pytest.approx(output.pixel_nats.mean().item())
    assert output.latent_nats.numel() == 0 and output.y is None
