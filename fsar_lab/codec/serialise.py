"""Integer networks and tables to named tensors and a JSON description, and back."""

from __future__ import annotations

import zlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fsar_lab.codec.fields import Tensors, damaged, integer, member, tensor, triples
from fsar_lab.codec.integer_network import KINDS, CodeSearch, CodeTable, IntegerNetwork, Layer
from fsar_lab.codec.prior import PriorTables
from fsar_lab.tables.latents import MAX_TABLE_ENTRIES
from fsar_lab.tables.pixels import FINE, LOGITS, REACH, PixelTables

Json = dict[str, Any]
MAX_LAYERS = 256
MAX_ORDER = 4
MAX_TAPS = 12
MAX_SYMBOLS = (1 << 16) - 1  # of the entropy coder


def _compact(weight: NDArray[np.int16]) -> NDArray[Any]:
    """As int8 where that holds the values."""
    return weight.astype(np.int8) if np.abs(weight.astype(np.int32)).max() <= 127 else weight


def put_network(network: IntegerNetwork, name: str, tensors: dict[str, NDArray[Any]]) -> Json:
    """Add a network's tensors under `name`; returns its description."""
    tensors[f"{name}.low"], tensors[f"{name}.high"] = network.low, network.high
    layers = []
    for number, layer in enumerate(network.layers):
        prefix = f"{name}.{number}"
        tensors[f"{prefix}.weight"] = _compact(layer.weight)
        for field in ("bias", "shift", "low", "high"):
            tensors[f"{prefix}.{field}"] = getattr(layer, field)
        description: Json = {
            "name": layer.name,
            "kind": layer.kind,
            "stride": layer.stride,
            "padding": layer.padding,
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
    layers = []
    for number, entry in enumerate(entries):
        prefix = f"{name}.{number}"
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
            weight=tensor(tensors, f"{prefix}.weight", np.int16, 4),
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


def put_codes(search: CodeSearch, table: CodeTable, tensors: dict[str, NDArray[Any]]) -> None:
    """Add the codeword search and the code table."""
    tensors["search.weight"], tensors["search.bias"] = search.weight, search.bias
    tensors["codes.values"], tensors["codes.low"], tensors["codes.high"] = table.values, table.low, table.high


def get_codes(tensors: Tensors) -> tuple[CodeSearch, CodeTable]:
    """The codeword search and the code table; still to be checked."""
    search = CodeSearch(
        tensor(tensors, "search.weight", np.int16, 3), tensor(tensors, "search.bias", np.int32, 2)
    )
    low, high = (tensor(tensors, f"codes.{bound}", np.int16, 1) for bound in ("low", "high"))
    return search, CodeTable(tensor(tensors, "codes.values", np.int16, 3), low, high)


def describe_prior(prior: PriorTables) -> Json:
    """A prior's description; its counts are packed apart, by `pack_counts`."""
    return {
        "bits": prior.bits,
        "groups": prior.groups,
        "codebook_size": prior.codebook_size,
        "offsets": [list(offset) for offset in prior.offsets],
    }


def pack_counts(prior: PriorTables) -> NDArray[np.uint8]:
    """Counts minus one, as a plane of low bytes and one of high bytes, deflated."""
    planes = (prior.counts - 1).astype("<u2").view(np.uint8).reshape(-1, 2).T
    return np.frombuffer(zlib.compress(planes.tobytes(), 6), np.uint8)


def get_prior(description: object, tensors: Tensors) -> PriorTables:
    """The prior's counts, inflated to exactly the size that the description implies; checked."""
    bits = integer(description, "bits", 8, 16)
    groups = integer(description, "groups", 1, 256)
    size = integer(description, "codebook_size", 2, min(1 << bits, MAX_SYMBOLS))
    offsets = triples(member(description, "offsets", list), MAX_ORDER, "prior.offsets")
    rows = groups * (size + 1) ** len(offsets)
    if rows * size > MAX_TABLE_ENTRIES:
        raise damaged("the prior's tables are too large")
    inflate = zlib.decompressobj()
    try:
        data = inflate.decompress(tensor(tensors, "prior.counts", np.uint8, 1).tobytes(), 2 * rows * size + 1)
    except zlib.error as error:
        raise damaged("the prior's tables do not inflate") from error
    if len(data) != 2 * rows * size or not inflate.eof or inflate.unused_data:
        raise damaged("the prior's tables have the wrong size")
    planes = np.frombuffer(data, np.uint8).reshape(2, rows, size)
    counts = planes[1].astype(np.uint32)
    counts <<= 8
    counts += planes[0]
    counts += 1
    prior = PriorTables(counts, bits, groups, size, offsets)
    if not prior.sums_fit():
        raise damaged("a row of the prior's tables does not sum to 2^bits")
    return prior


def put_pixels(pixels: PixelTables, tensors: dict[str, NDArray[Any]]) -> Json:
    """Add the pixel tables."""
    for field in ("cdf", "mean_lut", "bias"):
        tensors[f"pixels.{field}"] = getattr(pixels, field)
    if pixels.weights.size:  # safetensors has no use for empty tensors
        tensors["pixels.weights"] = pixels.weights
    return {"taps": [[list(tap) for tap in taps] for taps in pixels.taps]}


def get_pixels(description: object, tensors: Tensors) -> PixelTables:
    """The pixel tables; the entropy coder's PixelModel checks their rules when it is made from them."""
    entries = member(description, "taps", list)
    if len(entries) != 3:
        raise damaged("taps are not given for three colours")
    taps = tuple(triples(entry, MAX_TAPS, "taps") for entry in entries)
    total = sum(len(entry) for entry in taps)
    weights = tensor(tensors, "pixels.weights", np.int32, 1) if total else np.zeros(0, np.int32)
    cdf = tensor(tensors, "pixels.cdf", np.uint16, 2)
    lut = tensor(tensors, "pixels.mean_lut", np.int16, 1)
    bias = tensor(tensors, "pixels.bias", np.int32, 1)
    fits = cdf.shape[1] == 2 * REACH + 1 and len(cdf) <= 256 and len(lut) == LOGITS
    if not fits or len(bias) != 3 or len(weights) != total:
        raise damaged("the pixel tables have the wrong shapes")
    if (np.diff(cdf.astype(np.int32), axis=1) < 0).any() or cdf.max() > 65536 - 256 or FINE != 1020:
        raise damaged("a pixel cdf decreases or leaves no room for one count each")
    return PixelTables(cdf, lut, taps, weights, bias)
