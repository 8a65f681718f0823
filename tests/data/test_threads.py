"""Work in threads: in order, not too far ahead, and its errors where its results are asked for."""

from __future__ import annotations

import time

import pytest

from fsar_lab.cores import available_cores
from fsar_lab.data.threads import in_threads


def test_in_order_and_all() -> None:
    def work(number: int) -> int:
        time.sleep(0.002 * (number % 3))
        return number

    for threads in (1, 3):
        assert list(in_threads(work, range(20), threads)) == list(range(20))
    assert list(in_threads(work, [])) == []
    assert available_cores() >= 1


def test_not_too_far_ahead() -> None:
    begun = 0

    def work(number: int) -> int:
        nonlocal begun
        begun += 1
        return number

    results = in_threads(work, range(100), 1, 3)
    assert next(results) == 0
    time.sleep(0.05)
    assert begun <= 4
    results.close()  # type: ignore[attr-defined]
    assert begun <= 4


def test_errors_come_in_their_place() -> None:
    results = in_threads(lambda number: 1 // number, [2, 1, 0, 3], 2)
    assert [next(results), next(results)] == [0, 1]
    with pytest.raises(ZeroDivisionError):
        next(results)
