"""Working memory of the C calls, kept for the next call: for a single image, asking for it anew takes longer
than coding it.
"""

from __future__ import annotations

import threading
from typing import Any

from fsar_lab.entropy._entropy_c import ffi

KEPT = 16 << 20  # bytes of a piece; more is given back after the call. Pages never written take no memory
_BYTES = ffi.typeof("uint8_t[]")
_new = ffi.new_allocator(should_clear_after_alloc=False)  # pages that are not used are not touched


class _Arena(threading.local):
    """Of every thread: scratch memory, and a buffer that nobody has borrowed."""

    def __init__(self) -> None:
        self.scratch = _new(_BYTES, 1 << 12)
        self.buffer: Any = _new(_BYTES, 1 << 12)


_ARENA = _Arena()


def take(size: int) -> Any:
    """At least `size` bytes, aligned for any number: not to be used after the call ends."""
    kept = _ARENA.scratch
    if size <= len(kept):
        return kept
    fresh = _new(_BYTES, size)
    if size <= KEPT:
        _ARENA.scratch = fresh
    return fresh


def borrow(size: int) -> Any:
    """At least `size` bytes that stay the caller's until they are given back, or dropped."""
    kept = _ARENA.buffer
    if kept is None or len(kept) < size:
        return _new(_BYTES, size)
    _ARENA.buffer = None
    return kept


def give_back(buffer: Any) -> None:
    """The end of `borrow`: the next one may have it."""
    kept = _ARENA.buffer
    if len(buffer) <= KEPT and (kept is None or len(kept) < len(buffer)):
        _ARENA.buffer = buffer
