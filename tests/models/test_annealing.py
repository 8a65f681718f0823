"""Annealing: its values over a training, and that one override reaches every part that anneals."""

from __future__ import annotations

import functools
import itertools

import pytest

from fsar_lab.config import options
from fsar_lab.config.compose import compose
from fsar_lab.config.schema import AnnealConfig
from fsar_lab.errors import ConfigError
from fsar_lab.models.annealing import factor
from fsar_lab.models.build import build_compressor

# METHOD 5 and 7: epochs of a run, epoch, and the factor then.
REFERENCE = [
    ("exp200", 1000, 200, 0.5),
    ("exp200", 1000, 700, 0.5**3.5),
    ("exp200", 1000, 1000, 0.5**5),
    ("exp10", 100, 10, 0.5),
    ("exp10", 100, 35, 0.5**3.5),
    ("exp50", 1000, 50, 0.5),
    ("exp50", 1000, 225, 0.5**4.5),
    ("step", 1000, 199, 1.0),
    ("step", 1000, 600, 0.5**3),
    ("linear", 1000, 250, 0.75),
    ("constant", 1000, 999, 1.0),
]


@functools.cache
def config_of(name: str) -> AnnealConfig:
    return compose([f"anneal={name}"]).anneal


@pytest.mark.parametrize(("name", "epochs", "epoch", "expected"), REFERENCE)
def test_follows_the_epochs_of_the_reference(name: str, epochs: int, epoch: int, expected: float) -> None:
    assert factor(config_of(name), epoch / epochs) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("name", options.groups()["anneal"])
def test_falls_from_one_to_its_floor_at_the_lowest(name: str) -> None:
    config = config_of(name)
    values = [factor(config, step / 500) for step in range(501)]
    assert values[0] == factor(config, -0.3) == 1.0
    assert all(0 < config.floor <= later <= earlier for earlier, later in itertools.pairwise(values))
    assert (values[-1] == 1.0) == (name == "constant")


def test_steps_fall_at_the_shares_that_were_named() -> None:
    for half_life in (0.1, 0.2, 0.05, 0.3):
        config = AnnealConfig(shape="step", half_life=half_life, floor=1e-9)
        assert all(factor(config, k * half_life) == 0.5**k for k in range(11))


@pytest.mark.parametrize("quantizer", ["sqvae", "soft_to_hard", "v2dvq_entropy_anneal", "softvq_gapcontrol"])
@pytest.mark.parametrize("anneal", ["exp50", "constant"])
def test_one_override_anneals_every_quantizer(quantizer: str, anneal: str) -> None:
    config = compose([f"quantizer={quantizer}", "prior=uniform", f"anneal={anneal}", "backbone.width=32"])
    model = build_compressor(config)
    seen = []
    for step in (0, 500, 550, 999):
        model.on_step(step, 1000)
        part = model.quantizer
        seen.append((part.temperature, part.entropy_weight, part.soft_share))
    halved = 1.0 if anneal == "constant" else 0.5
    start, fallen = {
        "sqvae": ((1.0, 1.0, 1.0), (halved**10, 1.0, 1.0)),
        "soft_to_hard": ((1.0, 0.0, 1.0), (halved**10, 0.0, 1.0)),
        "v2dvq_entropy_anneal": ((0.5, 1.0, 1.0), (0.5, halved**10, 1.0)),
        "softvq_gapcontrol": ((0.5, 1.0, 1.0), (0.5, 1.0, 1.0)),
    }[quantizer]
    floor = config.anneal.floor
    assert seen[0] == start
    assert seen[1] == tuple(max(floor, value) if value else value for value in fallen)
    if quantizer == "softvq_gapcontrol":  # its share falls in the second half alone
        assert seen[2] == (0.5, 1.0, pytest.approx(halved))


def test_mistakes_are_named() -> None:
    with pytest.raises(ConfigError, match=r"anneal\.shape.*did you mean exponential"):
        compose(["anneal.shape=exponentially"])
    with pytest.raises(ValueError, match="no annealing shape"):
        factor(AnnealConfig(shape="cosine"), 0.5)
