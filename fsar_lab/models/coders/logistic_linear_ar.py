"""Logistic distribution with a three-tap linear autoregression on pixels."""

from __future__ import annotations

from fsar_lab.models.coders.linear_ar import LinearAR
from fsar_lab.models.coders.logistic import Logistic


class LogisticLinearAR(LinearAR, Logistic):
    """Logistic(sigmoid(m) + sum_k w_k x_k + b, s): the mean of METHOD 2.3 with heavier tails."""
