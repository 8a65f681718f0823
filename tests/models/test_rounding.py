"""Rounded numbers are the integers that are exported; gradients pass where nothing is cut off."""

from __future__ import annotations

import torch

from fsar_lab.models.rounding import LARGEST_ACTIVATION, LARGEST_WEIGHT, Rounding


def rounding_of(width: int = 3) -> Rounding:
    return Rounding({"u": width}, {"m": 2}, finest=8)


def test_activations() -> None:
    rounding = rounding_of()
    x = torch.tensor([[0.2, 3.0, 100.0], [-1.0, 1.49, 60.0]], requires_grad=True)
    assert torch.equal(rounding.activation("u", x), torch.relu(x))  # not on yet
    rounding.measuring = True
    rounding.activation("u", x)
    assert rounding.exponents("u").tolist() == [8, 6, 1]  # ranges 0.2, 3 and 100, nearly
    rounding.measuring, rounding.active = False, True
    out = rounding.activation("u", x)
    steps = torch.exp2(rounding.exponents("u").float())
    integers = out * steps
    assert torch.equal(integers, integers.round())
    assert torch.equal(integers[1], torch.tensor([0.0, 95.0, 120.0]))  # 95.36, 120
    assert integers.max() <= LARGEST_ACTIVATION
    out.sum().backward()
    # cut off at 255 / 2, and below 0
    assert x.grad is not None and x.grad.tolist() == [[1, 1, 1], [0, 1, 1]]


def test_matrices() -> None:
    torch.manual_seed(0)
    rounding = rounding_of()
    rounding.exponents("u").copy_(torch.tensor([0, 3, 5]))
    weight = torch.randn(2, 3, requires_grad=True)
    assert rounding.matrix("m", weight, "u") is weight
    rounding.choose("m", weight, 0, "u")
    rounding.active = True
    used = rounding.matrix("m", weight, "u")
    integers = rounding.integers("m", weight, "u")
    assert integers.abs().max() <= LARGEST_WEIGHT and integers.abs().amax(1).min() >= 60
    scale = torch.exp2(rounding.exponents("m").double()).unsqueeze(1) * torch.exp2(
        -rounding.exponents("u").double()
    )
    assert torch.allclose(used.double() * scale, integers.double())
    # u times the matrix is what integers give, exactly
    u = torch.tensor([3.0, 5 / 8, 77 / 32])
    sums = integers @ torch.tensor([3, 5, 77])
    assert torch.allclose(used @ u, sums / torch.exp2(rounding.exponents("m").float()))
    used.square().sum().backward()
    assert weight.grad is not None and torch.allclose(weight.grad, 2 * used.detach())


def test_exponents_are_as_large_as_shifts_want() -> None:
    rounding = rounding_of()
    weight = torch.tensor([[100.0, -3.0, 2.0], [0.1, 0.2, -0.3]])
    rounding.choose("m", weight, torch.tensor([4, 4]))
    assert rounding.exponents("m")[0] == 4 and rounding.exponents("m")[1] > 4
    assert rounding.integers("m", weight)[0].tolist() == [127, -48, 32]  # what does not fit is cut off
