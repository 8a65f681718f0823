"""How temperatures and weights that are annealed fall over a training."""

from __future__ import annotations

import math

from fsar_lab.config.schema import AnnealConfig


def factor(config: AnnealConfig, progress: float) -> float:
    """What an annealed value is multiplied by after the share `progress` of the training; 1 at its start.

    METHOD 5 and 7 anneal by epochs: `exp200` is 0.5^(epoch / 200) in runs of 1000 epochs, `exp10` and
    `exp50` stand beside it. Budgets differ here, so half-lives are shares of the training: 0.2 is exp200
    of 1000 epochs, 0.1 is exp10 of 100, 0.05 is exp50 of 1000; `paper` is what the data set has in METHOD 7.

    Args:
        config: shape, half-life and floor.
        progress: in [0, 1]; what lies below counts as 0.

    Returns:
        A number in [floor, 1].
    """
    progress = max(0.0, progress)
    if config.shape == "constant":
        return 1.0
    if config.shape == "exponential":
        value = math.exp2(-progress / config.half_life)
    elif config.shape == "step":
        # Half-lives such as 0.1 are not binary fractions: 3 * 0.1 / 0.1 must still be 3.
        value = math.exp2(-math.floor(progress / config.half_life + 1e-9))
    elif config.shape == "linear":
        value = 1.0 - progress
    else:
        raise ValueError(f"no annealing shape {config.shape!r}")
    return max(config.floor, value)
