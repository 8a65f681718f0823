"""Integer networks and tables to named tensors and a JSON description, and back."""

from __future__ import annotations

import math
from collections.abc import Callable
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
    triples,
)
from fsar_lab.codec.integer_network import KINDS, CodeSearch, CodeTable, IntegerNetwork, Layer
from fsar_lab.codec.prior import (
    MAX_CONTEXTS,
    MAX_COUNTS,
    MAX_GROUPS,
    MAX_ORDER,
    MAX_RANK,
    MAX_SYMBOLS,
    PriorTables,
)
from fsar_lab.tables.pixels import CDF_TOTAL, LOGITS, REACH, PixelTables

Json = dict[str, Any]
Pack = Callable[[NDArray[Any]], NDArray[Any]]  # how large tensors are stored: `deflate`, or as they are
MAX_LAYERS = 256
MAX_TAPS = 12


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
    search: CodeSearch, table: CodeTable, tensors: dict[str, NDArray[Any]], pack: Pack = deflate
) -> Json:
    """Add the codeword search and the code table."""
    tensors["search.weight"], tensors["search.bias"] = pack(search.weight), search.bias
    tensors["codes.values"], tensors["codes.low"], tensors["codes.high"] = (
        pack(table.values),
        table.low,
        table.high,
    )
    return {"search": {"shape": list(search.weight.shape)}, "codes": {"shape": list(table.values.shape)}}


def get_codes(description: Json, tensors: Tensors) -> tuple[CodeSearch, CodeTable]:
    """The codeword search and the code table; still to be checked."""
    weight = inflate(tensors, "search.weight", np.int16, shape(description.get("search"), 3))
    values = inflate(tensors, "codes.values", np.int16, shape(description.get("codes"), 3))
    low, high = (tensor(tensors, f"codes.{bound}", np.int16, 1) for bound in ("low", "high"))
    return CodeSearch(weight, tensor(tensors, "search.bias", np.int32, 2)), CodeTable(values, low, high)


def put_prior(prior: PriorTables, tensors: dict[str, NDArray[Any]], pack: Pack = deflate) -> Json:
    """Add a prior's factors and map."""
    for field in ("features", "basis", "context_map"):
        tensors[f"prior.{field}"] = pack(getattr(prior, field))
    tensors["prior.bias"] = prior.bias
    return {
        "bits": prior.bits,
        "groups": prior.groups,
        "codebook_size": prior.codebook_size,
        "tables": len(prior.features),
        "rank": len(prior.basis),
        "offsets": [list(offset) for offset in prior.offsets],
    }


def get_prior(description: object, tensors: Tensors) -> PriorTables:
    """The prior; its rules are still to be checked by its `check`."""
    bits = integer(description, "bits", 8, 16)
    groups = integer(description, "groups", 1, MAX_GROUPS)
    size = integer(description, "codebook_size", 2, min(1 << bits, MAX_SYMBOLS))
    tables = integer(description, "tables", 1, min(1 << 16, MAX_COUNTS // size))
    rank = integer(description, "rank", 1, MAX_RANK)
    offsets = triples(member(description, "offsets", list), MAX_ORDER, "prior.offsets")
    contexts = (size + 1) ** len(offsets)
    if groups * contexts > MAX_CONTEXTS:
        raise damaged("the prior has too many contexts")
    return PriorTables(
        features=inflate(tensors, "prior.features", np.int16, (tables, rank)),
        basis=inflate(tensors, "prior.basis", np.int16, (rank, size)),
        bias=tensor(tensors, "prior.bias", np.int32, 1),
        context_map=inflate(tensors, "prior.context_map", np.uint16, (groups, contexts)),
        bits=bits,
        offsets=offsets,
    )


def put_pixels(pixels: PixelTables, tensors: dict[str, NDArray[Any]], pack: Pack = deflate) -> Json:
    """Add the pixel tables: cdfs as second differences, the look-up as first ones."""
    slopes = np.diff(pixels.cdf.astype(np.int32), axis=1, prepend=0)
    tensors["pixels.cdf"] = pack(np.diff(slopes, axis=1, prepend=0).astype(np.uint16))
    lut = np.diff(pixels.mean_lut.astype(np.int32), prepend=0)
    tensors["pixels.mean_lut"] = pack(lut.astype(np.uint16))
    tensors["pixels.bias"] = pixels.bias
    if pixels.weights.size:  # safetensors has no use for empty tensors
        tensors["pixels.weights"] = pixels.weights
    return {"scales": len(pixels.cdf), "taps": [[list(tap) for tap in taps] for taps in pixels.taps]}


def get_pixels(description: object, tensors: Tensors) -> PixelTables:
    """The pixel tables; the entropy coder's PixelModel checks their rules when it is made from them."""
    scales = integer(description, "scales", 1, 256)
    entries = member(description, "taps", list)
    if len(entries) != 3:
        raise damaged("taps are not given for three colours")
    taps = tuple(triples(entry, MAX_TAPS, "taps") for entry in entries)
    total = sum(len(entry) for entry in taps)
    weights = tensor(tensors, "pixels.weights", np.int32, 1) if total else np.zeros(0, np.int32)
    bias = tensor(tensors, "pixels.bias", np.int32, 1)
    if len(bias) != 3 or len(weights) != total:
        raise damaged("the pixel tables have the wrong shapes")
    # Sums are taken modulo 2^16, as differences were.
    curves = inflate(tensors, "pixels.cdf", np.uint16, (scales, 2 * REACH + 1))
    cdf = np.cumsum(np.cumsum(curves, 1, np.uint16), 1, np.uint16)
    lut = np.cumsum(inflate(tensors, "pixels.mean_lut", np.uint16, (LOGITS,)), dtype=np.uint16).view(np.int16)
    if (np.diff(cdf.astype(np.int32), axis=1) < 0).any() or cdf.max() > CDF_TOTAL:
        raise damaged("a pixel cdf decreases or leaves no room for one count each")
    return PixelTables(cdf, lut, taps, weights, bias)
