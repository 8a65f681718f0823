"""The tables are the trained network's probabilities in every state, borders included."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch

from fsar_lab.config.schema import FSARConfig
from fsar_lab.errors import ExportError
from fsar_lab.models.priors.fsar import FSAR
from fsar_lab.tables.latents import all_states, code_length, contexts_of, fsar_counts
from fsar_lab.tables.normalise import normalise

GROUPS, K, D = 2, 7, 3


def make(offsets: list[list[int]]) -> tuple[FSAR, torch.Tensor]:
    torch.manual_seed(0)
    prior = FSAR(FSARConfig(offsets=offsets), GROUPS, K, D).eval()
    for parameter in prior.parameters():
        parameter.data.mul_(4)  # far from uniform
    return prior, torch.randn(GROUPS, K, D)


@pytest.mark.parametrize("offsets", [[[0, -1, 0]], [[0, -1, 0], [0, 0, -1]], [[-1, 0, 0], [0, 0, -1]]])
def test_every_state(offsets: list[list[int]]) -> None:
    prior, codebooks = make(offsets)
    counts = fsar_counts(prior, codebooks, 14)
    order = len(offsets)
    assert counts.shape == (GROUPS * (K + 1) ** order, K) and (counts.sum(1) == 1 << 14).all()
    for group in range(GROUPS):
        for number, states in enumerate(itertools.product(range(K + 1), repeat=order)):
            logits = prior.logits(torch.tensor([states]), group, codebooks)
            expected = torch.softmax(logits.double(), -1)[0].detach().numpy()
            row = counts[group * (K + 1) ** order + number] / (1 << 14)
            # one count of rounding, and what the floor of one count takes from the others
            assert np.abs(row - expected).max() < (K + 1) / (1 << 14)
    assert np.array_equal(counts, fsar_counts(prior, codebooks, 14))


def test_tables_follow_the_training_loss() -> None:
    """The rows that the coder's numbering picks are those whose probabilities training saw."""
    from fsar_lab.entropy import FSARModel, Tables
    from fsar_lab.models.quantizers.base import Quantized

    prior, codebooks = make([[0, -1, 0], [0, 0, -1]])
    counts = fsar_counts(prior, codebooks, 16)
    indices = torch.randint(K, (5, GROUPS, 4, 6))
    zero = torch.zeros(())
    quantized = Quantized(indices, zero, zero, None, zero, zero)
    nats = prior.nats(quantized, codebooks).detach().numpy()
    model = FSARModel(Tables(counts, 16), prior.offsets, GROUPS, K)
    symbols = indices.numpy().astype(np.uint16)
    chosen = counts[model.table_ids(symbols), symbols] / 65536
    common = np.exp(-nats) > 0.01
    assert np.allclose(-np.log(chosen)[common], nats[common], atol=5e-3)


def test_numbering_has_the_first_offset_slowest() -> None:
    assert all_states(2, 3, 0, 16).tolist() == [list(s) for s in itertools.product(range(4), repeat=2)]
    assert all_states(2, 3, 5, 7).tolist() == [[1, 1], [1, 2]]


def test_too_many_states_are_refused() -> None:
    prior = FSAR(FSARConfig(offsets=[[0, -1, 0], [0, 0, -1], [0, -1, -1]]), 1, 256, 2)
    with pytest.raises(ExportError, match="16,974,593 contexts"):
        fsar_counts(prior, torch.zeros(1, 256, 2))


def test_a_broken_network_is_refused() -> None:
    prior, codebooks = make([[0, -1, 0]])
    for parameter in prior.parameters():
        parameter.data.fill_(float("nan"))
    with pytest.raises(ExportError, match="not finite"):
        fsar_counts(prior, codebooks)


@pytest.mark.parametrize(
    "offsets", [((0, -1, 0), (0, 0, -1)), ((-1, 0, 0), (0, -1, 1)), ((-1, 2, -1),), ((0, -9, 0),), ()]
)
def test_contexts_are_numbered_as_the_coder_does(offsets: tuple[tuple[int, int, int], ...]) -> None:
    from fsar_lab.entropy import FSARModel, Tables

    rng = np.random.default_rng(0)
    indices = rng.integers(0, K, (3, GROUPS, 4, 5)).astype(np.uint16)
    contexts = GROUPS * (K + 1) ** len(offsets)
    model = FSARModel(Tables(normalise(np.ones((contexts, K)), 14), 14), offsets, GROUPS, K)
    assert np.array_equal(contexts_of(indices, offsets, K), model.table_ids(indices))


def test_code_length() -> None:
    counts = np.asarray([[128, 64, 64], [1, 1, 254]], np.uint32)
    assert code_length(counts, np.asarray([0, 0, 1]), np.asarray([0, 1, 0])) == pytest.approx(1 + 2 + 8)
