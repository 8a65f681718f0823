"""What the benchmark asks of a coder."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol


@dataclass(frozen=True)
class Size:
    """Bytes of the coded words, and of all else (final states, lengths, headers); bits left in the states."""

    words: int
    overhead: int
    state_bits: float | None = None


@dataclass(frozen=True)
class Facts:
    """What a row says of a coder besides its speed; `mode` is how it was used."""

    isa: str | None
    lanes: int
    table_bits: int
    mode: str | None = None


class Coder(Protocol):
    """One coder with the tables of one workload, built outside the timing."""

    facts: Facts

    def encode(self) -> Any:
        """Codes the workload's symbols; timed."""

    def size(self, coded: Any) -> Size:
        """What `encode` gave, in bytes."""

    def fresh(self, coded: Any) -> Any:
        """What `decode` takes: a copy, if decoding consumes it."""

    def decode(self, coded: Any) -> Any:
        """Decodes; timed."""

    def same(self, decoded: Any) -> bool:
        """Whether these are the workload's symbols."""
