"""Gaussian with a three-tap linear autoregression on pixels."""

from __future__ import annotations

from fsar_lab.models.coders.gaussian import Gaussian
from fsar_lab.models.coders.linear_ar import LinearAR


class GaussianLinearAR(LinearAR, Gaussian):
    """N(sigmoid(m) + sum_k w_k x_k + b, sigma^2), METHOD 2.3; PILC, arXiv:2206.05279."""
