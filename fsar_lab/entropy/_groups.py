"""Batches in groups of 32 lanes, and the threads that work on them."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from fsar_lab.entropy._entropy_c import lib

LANES: int = lib.EC_LANES


def group_ranges(num_images: int) -> list[tuple[int, int]]:
    """First and past-the-last image of every group; cuts are at fixed multiples of 32."""
    return [(first, min(first + LANES, num_images)) for first in range(0, num_images, LANES)]


def for_each_group(work: Callable[[int], None], groups: int, threads: int) -> None:
    """Calls `work(group)` for every group, in `threads` threads (the C library runs without the GIL)."""
    if threads <= 1 or groups <= 1:
        for group in range(groups):
            work(group)
        return
    with ThreadPoolExecutor(max_workers=min(threads, groups)) as pool:
        for _ in pool.map(work, range(groups)):
            pass
