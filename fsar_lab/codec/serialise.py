"""Integer networks and codebooks to named tensors and a JSON description, and back."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fsar_lab.codec.fields import (
    MAX_VALUES,
    Tensors,
    damaged,
    deflate,
    inflate,
    integer,
    member,
    shape,
    tensor,
)
from fsar_lab.codec.integer_network import KINDS, CodeSearch, CodeTable, IntegerNetwork, Layer
from fsar_lab.codec.parts import Json, Pack
from fsar_lab.codec.posterior import Posterior

MAX_LAYERS = 256


def put_network(
    network: IntegerNetwork, name: str, tensors: dict[str, NDArray[Any]], pack: Pack = deflate
) -> Json:
    """Add a network's tensors under `name`; returns its description."""
    tensors[f"{name}.low"], tensors[f"{name}.high"] = network.low, network.high
    layers = []
    for number, layer in enumerate(network.layers):
        prefix = f"{name}.{number}"
        tensors[f"{prefix}.weight"] = pack(layer.weight)
        for field in ("bias", "shift", "low", "high"):
            tensors[f"{prefix}.{field}"] = getattr(layer, field)
        description: Json = {
            "name": layer.name,
            "kind": layer.kind,
            "stride": layer.stride,
            "padding": layer.padding,
            "shape": list(layer.weight.shape),
        }
        if layer.skip is not None:
            description["skip"] = layer.skip
            tensors[f"{prefix}.skip_multiplier"] = layer.skip_multiplier
        layers.append(description)
    return {"layers": layers}


def get_network(description: object, name: str, tensors: Tensors) -> IntegerNetwork:
    """The network under `name`; its arithmetic is still to be checked by `check_network`."""
    entries = member(description, "layers", list)
    if not 1 <= len(entries) <= MAX_LAYERS:
        raise damaged(f"{name} has {len(entries)} layers")
    layers, weights = [], 0
    for number, entry in enumerate(entries):
        prefix = f"{name}.{number}"
        sides = shape(entry, 4)
        weights += math.prod(sides)
        if weights > MAX_VALUES:
            raise damaged(f"{name} has more than {MAX_VALUES:,} weights")
        kind = member(entry, "kind", str)
        if kind not in KINDS:
            raise damaged(f"layer {prefix} is of an unknown kind")
        bias = tensor(tensors, f"{prefix}.bias", np.int32, 1)
        skip, multiplier = None, np.zeros_like(bias)
        if "skip" in entry:
            skip = integer(entry, "skip", 0, number)
            multiplier = tensor(tensors, f"{prefix}.skip_multiplier", np.int32, 1)
        layer = Layer(
            name=member(entry, "name", str),
            kind=kind,
            weight=inflate(tensors, f"{prefix}.weight", np.int16, sides),
            bias=bias,
            shift=tensor(tensors, f"{prefix}.shift", np.uint8, 1),
            low=tensor(tensors, f"{prefix}.low", np.int16, 1),
            high=tensor(tensors, f"{prefix}.high", np.int16, 1),
            stride=integer(entry, "stride", 1, 4),
            padding=integer(entry, "padding", 0, 4),
            skip=skip,
            skip_multiplier=multiplier,
        )
        layers.append(layer)
    low, high = (tensor(tensors, f"{name}.{bound}", np.int16, 1) for bound in ("low", "high"))
    return IntegerNetwork(low, high, tuple(layers))


def put_codes(
    search: CodeSearch | Posterior, table: CodeTable, tensors: dict[str, NDArray[Any]], pack: Pack = deflate
) -> Json:
    """Add the codeword search, or the posterior in its place, and the code table."""
    tensors["codes.values"], tensors["codes.low"], tensors["codes.high"] = (
        pack(table.values),
        table.low,
        table.high,
    )
    codes = {"shape": list(table.values.shape)}
    if isinstance(search, Posterior):
        return {"posterior": search.put(tensors, pack), "codes": codes}
    tensors["search.weight"], tensors["search.bias"] = pack(search.weight), search.bias
    return {"search": {"shape": list(search.weight.shape)}, "codes": codes}


def get_codes(description: Json, tensors: Tensors) -> tuple[CodeSearch | Posterior, CodeTable]:
    """The codeword search or the posterior, and the code table; still to be checked."""
    search: CodeSearch | Posterior
    if "posterior" in description:
        search = Posterior.get(description["posterior"], tensors)
    else:
        weight = inflate(tensors, "search.weight", np.int16, shape(description.get("search"), 3))
        search = CodeSearch(weight, tensor(tensors, "search.bias", np.int32, 2))
    values = inflate(tensors, "codes.values", np.int16, shape(description.get("codes"), 3))
    low, high = (tensor(tensors, f"codes.{bound}", np.int16, 1) for bound in ("low", "high"))
    return search, CodeTable(values, low, high)
