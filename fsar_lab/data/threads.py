"""Work that goes on in threads while its results are being used, never far ahead of them."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from fsar_lab.cores import available_cores

A = TypeVar("A")
B = TypeVar("B")


def in_threads(
    work: Callable[[A], B], items: Iterable[A], threads: int | None = None, ahead: int | None = None
) -> Iterator[B]:
    """`work` of every item, in order.

    Args:
        work: what releases the interpreter's lock, e.g. decodes an image.
        items: what it is done to.
        threads: that share it; None takes as many as there are cores.
        ahead: results that wait for the one who asks for them, at most; None is two for each thread.
    """
    threads = threads or available_cores()
    most = 2 * threads if ahead is None else ahead
    with ThreadPoolExecutor(threads) as pool:
        waiting: deque[Future[B]] = deque()
        for item in items:
            waiting.append(pool.submit(work, item))
            if len(waiting) > most:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
