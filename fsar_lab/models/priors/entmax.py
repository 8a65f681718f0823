"""The alpha-entmax map (Peters, Niculae & Martins 2019, arXiv:1905.05702): a softmax with exact zeros."""

from __future__ import annotations

import torch
from torch import Tensor

STEPS = 16  # of Newton's method, about ln K + 5 are needed: from the left of the root it never overshoots


def entmax(theta: Tensor, alpha: Tensor) -> Tensor:
    """p_k = [(alpha - 1) theta_k - tau]_+^(1 / (alpha - 1)) with tau such that the p_k sum to 1.

    Args:
        theta: float [K].
        alpha: scalar, above 1 and at most 2; 1 would be softmax, 2 is sparsemax.

    Returns:
        float [K], with gradients to both arguments.
    """
    scaled, power = (alpha - 1) * theta, 1 / (alpha - 1)
    with torch.no_grad():
        wide = scaled.double()
        tau = wide.max() - 1
        for _ in range(STEPS):
            total, slope = _sums(wide - tau, power)
            tau = tau + (total - 1) / slope
        root = tau.to(scaled.dtype)
        slope = _sums(scaled - root, power)[1]
    # A last step of the same kind: its value is nothing, its gradient that of the implicit function tau.
    tau = root + (_power(scaled - root, power).sum() - 1) / slope
    return _power(scaled - tau, power)


def _sums(base: Tensor, power: Tensor) -> tuple[Tensor, Tensor]:
    """Sum of [base]_+^power, and how fast it falls with tau."""
    total = _power(base, power).sum()
    return total, power * _power(base, power - 1).sum()


def _power(base: Tensor, power: Tensor) -> Tensor:
    """[base]_+^power, with zero gradient where base is not positive."""
    inside = base > 0
    return torch.where(inside, torch.where(inside, base, 1.0).pow(power), 0.0)
