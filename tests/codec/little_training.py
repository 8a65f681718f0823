"""A model that has learned enough for its estimates to mean something, in a fraction of a second."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from fsar_lab.config.compose import compose
from fsar_lab.data.fake import smooth_images
from fsar_lab.models.build import build_compressor
from fsar_lab.models.compressor import Compressor

STEPS = 25
LITTLE = ("dataset=fake", "backbone=shallow_c32", "backbone.width=8", "coder=gaussian")


def trained(*overrides: str, base: Sequence[str] = LITTLE) -> Compressor:
    """The model of these overrides after STEPS steps, in evaluation mode.

    Args:
        overrides: of the composition.
        base: what comes before them: width 8 and Gaussian pixels.
    """
    torch.manual_seed(0)
    model = build_compressor(compose([*base, *overrides]))
    x = smooth_images(16, 16, seed=1)
    model.initialise(x)
    optimizer = torch.optim.Adam(model.parameters(), lr=4e-3)
    for step in range(STEPS):
        model.on_step(step, STEPS)
        optimizer.zero_grad()
        model(x).loss.backward()
        optimizer.step()
    return model.eval()
