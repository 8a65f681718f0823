"""The prior's tables: rules, the counts that follow from the factors, and coding with a map."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from fsar_lab import entropy
from fsar_lab.codec.fields import deflate
from fsar_lab.codec.integer_network import NetworkError
from fsar_lab.codec.prior import PriorTables, TableCoder, uniform_tables
from fsar_lab.errors import DamagedStreamError
from fsar_lab.tables import latents

K, TABLES, RANK, GROUPS = 6, 5, 3, 2
OFFSETS = ((0, -1, 0), (0, 0, -1))


def make() -> PriorTables:
    rng = np.random.default_rng(0)
    return PriorTables(
        features=rng.integers(-40, 40, (TABLES, RANK)).astype(np.int16),
        basis=rng.integers(-900, 900, (RANK, K)).astype(np.int16),
        bias=rng.integers(-9000, 9000, K).astype(np.int32),
        context_map=rng.integers(0, TABLES, (GROUPS, (K + 1) ** 2)).astype(np.uint16),
        bits=12,
        offsets=OFFSETS,
    )


def test_counts_follow_the_factors() -> None:
    prior = make()
    prior.check()
    assert prior.counts.shape == (TABLES, K) and (prior.counts.sum(1) == 1 << 12).all()
    logits = (prior.features.astype(float) @ prior.basis + prior.bias) / (1 << 14)
    p = np.exp2(logits) / np.exp2(logits).sum(1, keepdims=True)
    assert np.abs(prior.counts / (1 << 12) - p).max() < (K + 1) / (1 << 12)
    assert len(np.unique(prior.counts, axis=0)) == TABLES


def test_codes_with_the_tables_of_the_map() -> None:
    prior = make()
    indices = np.random.default_rng(1).integers(0, K, (35, GROUPS, 4, 5)).astype(np.uint16)
    coder, encoder = TableCoder(prior), entropy.Encoder(35)
    start = encoder.information()
    coder.push(encoder, indices)
    states = np.zeros((2, *indices.shape), np.int64)
    states[0, :, :, 1:] = indices[:, :, :-1].astype(np.int64) + 1
    states[1, :, :, :, 1:] = indices[:, :, :, :-1].astype(np.int64) + 1
    table = prior.context_map[np.arange(GROUPS)[:, None, None], states[0] * (K + 1) + states[1]]
    expected = 12 * indices.size - np.log2(prior.counts[table, indices]).sum()
    assert encoder.information() - start == pytest.approx(expected, rel=1e-3)
    decoder = entropy.Decoder(encoder.finish(), 35)
    assert np.array_equal(coder.pop(decoder, indices.shape), indices)
    decoder.finish()


def test_uniform() -> None:
    prior = uniform_tables(2, 256, 14)
    prior.check()
    assert (prior.counts == 64).all() and prior.groups == 2 and prior.codebook_size == 256
    assert uniform_tables(1, 3, 8).counts.max() - uniform_tables(1, 3, 8).counts.min() <= 1


@pytest.mark.parametrize(
    "change",
    [
        {"features": np.zeros((TABLES, RANK + 1), np.int16)},
        {"features": np.zeros((0, RANK), np.int16)},
        {"features": np.zeros((TABLES, RANK), np.int32)},
        {"features": np.full((TABLES, RANK), 32767, np.int16), "basis": np.full((RANK, K), 32767, np.int16)},
        {"bias": np.zeros(K - 1, np.int32)},
        {"bias": np.full(K, (1 << 24) + 1, np.int32)},
        {"bias": np.full(K, -(1 << 31), np.int32)},
        {"bits": 7},
        {"bits": 17},
        {"offsets": OFFSETS[:1]},
        {"offsets": OFFSETS * 3},
        {"context_map": np.zeros((GROUPS, K), np.uint16)},
        {"context_map": np.full((GROUPS, (K + 1) ** 2), TABLES, np.uint16)},
        {"context_map": np.zeros((GROUPS, (K + 1) ** 2), np.uint32)},
    ],
    ids=lambda change: "+".join(change),
)
def test_refused(change: dict[str, Any]) -> None:
    with pytest.raises(NetworkError, match="prior"):
        replace(make(), **change).check()


def make_classes() -> PriorTables:
    """As `make`, the neighbours' states in four and three classes."""
    rng = np.random.default_rng(2)
    counts = (4, 3)
    classes = np.stack([rng.integers(0, count, (GROUPS, K + 1)) for count in counts], 1).astype(np.uint16)
    context_map = rng.integers(0, TABLES, (GROUPS, 12)).astype(np.uint16)
    return replace(make(), context_map=context_map, classes=classes, class_counts=counts)


def test_codes_with_the_tables_of_the_classes() -> None:
    prior = make_classes()
    prior.check()
    indices = np.random.default_rng(1).integers(0, K, (35, GROUPS, 4, 5)).astype(np.uint16)
    coder, encoder = TableCoder(prior), entropy.Encoder(35)
    start = encoder.information()
    coder.push(encoder, indices)
    context = latents.contexts_of(indices, OFFSETS, K, prior.classes, prior.class_counts)
    expected = latents.code_length(prior.counts, prior.context_map.reshape(-1)[context], indices)
    assert encoder.information() - start == pytest.approx(expected, rel=1e-3)
    decoder = entropy.Decoder(encoder.finish(), 35)
    assert np.array_equal(coder.pop(decoder, indices.shape), indices)
    decoder.finish()


def test_classes_are_kept_and_priors_without_them_are_as_before() -> None:
    for prior in (make(), make_classes()):
        tensors: dict[str, Any] = {}
        description = prior.put(tensors, deflate)
        assert ("classes" in description) == ("prior.classes" in tensors) == (prior.classes is not None)
        back = PriorTables.get(description, tensors)
        back.check()
        assert back.class_counts == prior.class_counts
        assert np.array_equal(back.context_map, prior.context_map)
        assert prior.classes is None or np.array_equal(back.classes, prior.classes)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"classes": make_classes().classes.astype(np.int64)}, "wrong type or shape"),  # type: ignore[union-attr]
        ({"classes": make_classes().classes[:, :1]}, "wrong type or shape"),  # type: ignore[index]
        ({"class_counts": (4,)}, "one number of classes for every neighbour"),
        ({"class_counts": (4, 2)}, "a class that does not exist"),
        ({"class_counts": (4, 4)}, "one entry for every context"),
        (
            {"classes": np.zeros((GROUPS, 0, K + 1), np.uint16), "class_counts": (), "offsets": ()},
            "one number",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_wrong_classes_are_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(NetworkError, match=message):
        replace(make_classes(), **change).check()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"classes": [4]}, "not a list of 2 numbers"),
        ({"classes": [4, 0]}, "not a list of 2 numbers"),
        ({"classes": [4, 8]}, "not a list of 2 numbers in 1..7"),
        ({"classes": [4, 3.0]}, "not a list of 2 numbers"),
        ({"classes": "12"}, "no list 'classes'"),
        ({"classes": [4, 4]}, "prior.context_map does not inflate"),
    ],
    ids=str,
)
def test_hostile_descriptions_of_classes(change: dict[str, Any], message: str) -> None:
    tensors: dict[str, Any] = {}
    description = make_classes().put(tensors, deflate) | change
    with pytest.raises(DamagedStreamError, match=message):
        PriorTables.get(description, tensors)


def test_too_many_states_are_refused_before_they_are_inflated() -> None:
    tensors: dict[str, Any] = {}
    description = make_classes().put(tensors, deflate)
    description |= {"codebook_size": 60000, "bits": 16, "groups": 256, "classes": [1, 1]}
    with pytest.raises(DamagedStreamError, match="too many states"):
        PriorTables.get(description | {"tables": 1}, tensors)
