"""Where the encoder's words are does not show, and neither do threads."""

from __future__ import annotations

import threading

import entropy_reference as ref
import numpy as np
import pytest

from fsar_lab import entropy
from fsar_lab.entropy import _arena, _groups
from fsar_lab.entropy import encoder as encoder_module

IMAGES = 70  # three groups
BITS = 9


def push(encoder: entropy.Encoder, tables: entropy.Tables, positions: int) -> None:
    rng = np.random.default_rng(positions)
    encoder.push_indexed(tables, rng.integers(0, tables.symbols, (IMAGES, positions)).astype(np.uint16))


@pytest.fixture
def tables() -> entropy.Tables:
    return entropy.Tables(ref.random_counts(np.random.default_rng(3), 1, 20, BITS), BITS)


@pytest.mark.parametrize("lengths", [(300, 2), (2, 300), (5, 0, 5), (0,), (), (100, 90, 2000, 1)])
@pytest.mark.parametrize("threads", [1, 3])
def test_words_in_place_or_taken_away(tables, lengths, threads, monkeypatch):
    """Pushes after which there is room for the next, or is not; and batches too large to stay in place."""

    def code() -> tuple[list[bytes], list[float]]:
        encoder = entropy.Encoder(IMAGES, threads)
        bits = []
        for positions in lengths:
            push(encoder, tables, positions)
            bits.append(encoder.information())
        return encoder.finish(), bits

    streams, bits = code()
    monkeypatch.setattr(encoder_module, "KEPT", 0)
    assert code() == (streams, bits)
    decoder = entropy.Decoder(streams, IMAGES)
    for positions in reversed(lengths):
        expected = np.random.default_rng(positions).integers(0, tables.symbols, (IMAGES, positions))
        assert np.array_equal(decoder.pop_indexed(tables, positions), expected)
    decoder.finish()


def test_finish_is_not_the_end(tables):
    encoder, other = entropy.Encoder(IMAGES), entropy.Encoder(IMAGES)
    push(encoder, tables, 50)
    first = encoder.finish()
    assert encoder.finish() == first
    push(encoder, tables, 60)
    push(other, tables, 50)
    push(other, tables, 60)
    assert encoder.finish() == other.finish() != first


def test_encoders_side_by_side_do_not_share_words(tables):
    def alone(positions: int) -> list[bytes]:
        encoder = entropy.Encoder(IMAGES)
        push(encoder, tables, positions)
        return encoder.finish()

    expected = [alone(40), alone(41)]
    encoders = [entropy.Encoder(IMAGES), entropy.Encoder(IMAGES)]
    for encoder, positions in zip(encoders, (40, 41), strict=True):
        push(encoder, tables, positions)
    assert [encoder.finish() for encoder in encoders] == expected


def test_a_buffer_given_back_is_lent_again_and_large_ones_are_not_kept():
    buffer = _arena.borrow(100_000)
    assert _arena.borrow(100_000) is not buffer
    _arena.give_back(buffer)
    assert _arena.borrow(90_000) is buffer
    large = _arena.borrow(_arena.KEPT + 1)
    _arena.give_back(large)
    assert _arena.borrow(_arena.KEPT + 1) is not large


@pytest.mark.parametrize(("groups", "threads"), [(1, 4), (2, 2), (7, 2), (313, 2), (100, 5)])
def test_threads_take_every_group_once(groups, threads):
    taken: list[int] = []
    lock = threading.Lock()

    def work(first: int, last: int) -> None:
        with lock:
            taken.extend(range(first, last))

    _groups.in_shares(work, groups, threads)
    assert sorted(taken) == list(range(groups))


def test_the_first_failure_is_raised_and_nothing_runs_after_it():
    running, failed = [], threading.Event()

    def work(first: int, last: int) -> None:
        running.append(first)
        try:
            if first <= 70 < last:
                failed.set()
                raise KeyError(70)
            if first > 70:
                failed.wait(10)
                raise KeyError(first)
        finally:
            running.remove(first)

    with pytest.raises(KeyError, match="70"):
        _groups.in_shares(work, 200, 3)
    assert running == []
