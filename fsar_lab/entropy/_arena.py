"""Working memory of the C calls, kept for the next call: for a single image, asking for it anew takes longer
than coding it.
"""

from __future__ import annotations

import threading
from typing import Any

from fsar_lab.entropy._entropy_c import ffi

KEPT = 16 << 20  # bytes of a piece; more is given back after the call. Pages never written take no memory
_BYTES = ffi.typeof("uint8_t[]")


class _Arena(threading.local):
    """Two pieces for every thread."""

    def __init__(self) -> None:
        self.pieces = [ffi.new(_BYTES, 1 << 12), ffi.new(_BYTES, 1 << 12)]


_ARENA = _Arena()
_new = ffi.new_allocator(should_clear_after_alloc=False)  # pages that are not used are not touched


def take(piece: int, size: int) -> Any:
    """At least `size` bytes, aligned for any number, in piece 0 or 1: not to be used after the call ends."""
    kept = _ARENA.pieces[piece]
    if size <= len(kept):
        return kept
    fresh = _new(_BYTES, size)
    if size <= KEPT:
        _ARENA.pieces[piece] = fresh
    return fresh
