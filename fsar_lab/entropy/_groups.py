"""Batches in groups of 32 lanes, and the threads that work on them."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from functools import cache
from itertools import count

from fsar_lab.entropy._entropy_c import lib

LANES: int = lib.EC_LANES
PIECES = 8  # for each thread: a thread that comes late takes fewer of them


def groups_of(num_images: int) -> int:
    """Cuts are at fixed multiples of 32; the last group may hold fewer."""
    return -(-num_images // LANES)


def in_shares(work: Callable[[int, int], None], groups: int, threads: int) -> None:
    """Calls `work(first, last)` for runs of groups, which the threads take one after the other.

    The C library works without the GIL, on many groups in one call. If runs fail, the first one's exception
    is raised here, when nothing runs any more.
    """
    threads = min(threads, groups)
    if threads < 2:
        work(0, groups)
        return
    run = -(-groups // (PIECES * threads))
    run += run % 2  # two groups may be coded side by side
    numbers = count()  # next() is atomic
    errors: dict[int, BaseException] = {}

    def take_runs() -> None:
        while not errors and (first := run * next(numbers)) < groups:
            try:
                work(first, min(first + run, groups))
            except BaseException as error:
                errors[first] = error

    others = [_helpers().submit(take_runs) for _ in range(threads - 1)]
    try:
        take_runs()
    finally:
        wait([other for other in others if not other.cancel()])  # whoever has not begun need not
    if errors:
        raise errors[min(errors)]


@cache
def _helpers() -> ThreadPoolExecutor:
    """Threads that stay: starting them and their working memory anew would take longer than a small batch."""
    return ThreadPoolExecutor(os.cpu_count(), "fsar_lab-entropy")


if hasattr(os, "register_at_fork"):  # threads do not survive a fork
    os.register_at_fork(after_in_child=_helpers.cache_clear)
