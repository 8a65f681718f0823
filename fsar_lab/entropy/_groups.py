"""Batches in groups of 32 lanes, and the threads that work on them."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from functools import cache

from fsar_lab.entropy._entropy_c import lib

LANES: int = lib.EC_LANES


def group_ranges(num_images: int) -> list[tuple[int, int]]:
    """First and past-the-last image of every group; cuts are at fixed multiples of 32."""
    return [(first, min(first + LANES, num_images)) for first in range(0, num_images, LANES)]


def in_shares(work: Callable[[int, int], None], groups: int, threads: int) -> None:
    """Calls `work(first, last)` for about equal shares of the groups, one in each thread.

    The C library works without the GIL, on many groups in one call. An exception of any share is raised here.
    """
    shares = max(1, min(threads, groups))
    if shares == 1:
        work(0, groups)
        return
    cuts = [groups * i // shares for i in range(shares + 1)]
    others = [_helpers().submit(work, *cuts[i : i + 2]) for i in range(1, shares)]
    try:
        work(*cuts[:2])
    finally:
        wait(others)
    for other in others:
        other.result()


@cache
def _helpers() -> ThreadPoolExecutor:
    """Threads that stay: starting them and their working memory anew would take longer than a small batch."""
    return ThreadPoolExecutor(os.cpu_count(), "fsar_lab-entropy")


if hasattr(os, "register_at_fork"):  # threads do not survive a fork
    os.register_at_fork(after_in_child=_helpers.cache_clear)
