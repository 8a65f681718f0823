"""The kinds of parts that a bundle can hold."""

from __future__ import annotations

from typing import Any, TypeVar

from numpy.typing import NDArray

from fsar_lab.codec.causal_net import CausalNetTables
from fsar_lab.codec.context import ContextTables
from fsar_lab.codec.convolution_prior import ConvolutionPrior
from fsar_lab.codec.fields import Tensors, damaged
from fsar_lab.codec.level_prior import LevelPrior
from fsar_lab.codec.mean_offset import MeanOffsetTables
from fsar_lab.codec.mean_scale import MeanScaleTables
from fsar_lab.codec.mixture import MixtureTables
from fsar_lab.codec.parts import Json, Pack, Part, PixelPart, PriorPart
from fsar_lab.codec.planes import Planes
from fsar_lab.codec.prior import PriorTables

# The first of each is the one whose kind a bundle does not name.
PRIORS: tuple[type[PriorPart], ...] = (PriorTables, ConvolutionPrior, LevelPrior)
PIXELS: tuple[type[PixelPart], ...] = (
    MeanScaleTables,
    MeanOffsetTables,
    MixtureTables,
    ContextTables,
    CausalNetTables,
    Planes,
)
P = TypeVar("P", bound=Part)


def put(part: Part, kinds: tuple[type[Part], ...], tensors: dict[str, NDArray[Any]], pack: Pack) -> Json:
    """Add a part's tensors; returns its description."""
    description = part.put(tensors, pack)
    return description if part.kind == kinds[0].kind else {"kind": part.kind, **description}


def get(description: object, kinds: tuple[type[P], ...], tensors: Tensors) -> P:
    """The part that `put` stored."""
    name = description.get("kind", kinds[0].kind) if isinstance(description, dict) else None
    for kind in kinds:
        if kind.kind == name:
            return kind.get(description, tensors)
    raise damaged(f"a part of unknown kind {name!r}")
