"""The one place where status codes of the C library become exceptions."""

from __future__ import annotations

from fsar_lab.entropy._entropy_c import lib
from fsar_lab.errors import (
    CapacityError,
    CodingError,
    DamagedStreamError,
    SymbolRangeError,
    TableError,
    UnsupportedVersionError,
)

_ERRORS: dict[int, tuple[type[Exception], str]] = {
    lib.EC_ERR_ARGUMENT: (ValueError, "a size or count is outside what entropy_c.h documents"),
    lib.EC_ERR_TABLE: (
        TableError,
        "the tables break their rules: rows must sum to exactly 2^bits (no symbol holding all of 2^16), "
        "a row of starts must begin with 0, not decrease and stay within 2^bits, "
        "a cdf must not decrease nor exceed 2^16 - 256, prediction weights must fit 32-bit sums, "
        "and an FSAR model needs groups * (K+1)^order tables",
    ),
    lib.EC_ERR_CAUSALITY: (
        TableError,
        "an offset does not point to something decoded earlier; "
        "every offset must come before (0, 0, 0) in coding order",
    ),
    lib.EC_ERR_SYMBOL: (
        SymbolRangeError,
        "a symbol is outside the alphabet, has no count in its table or does not fit its bits; "
        "give every symbol that may occur a count",
    ),
    lib.EC_ERR_INDEX: (
        SymbolRangeError,
        "a table index or scale is not below the number of tables or scales",
    ),
    lib.EC_ERR_CAPACITY: (CapacityError, "the output buffer is smaller than its bound (see entropy_c.h)"),
    lib.EC_ERR_TRUNCATED: (
        DamagedStreamError,
        "the bytes end too early: they are truncated or of another model",
    ),
    lib.EC_ERR_DAMAGED: (
        DamagedStreamError,
        "the bytes are altered, have extra bytes at the end, or are of another model or kind",
    ),
    lib.EC_ERR_VERSION: (
        UnsupportedVersionError,
        "the bytes were written by a newer version of fsar_lab; update it to read them",
    ),
    lib.EC_ERR_MEMORY: (MemoryError, "the model does not fit into memory"),
}


def check(status: int, what: str) -> None:
    """Raises the exception that belongs to a status.

    Args:
        status: what a function of the C library returned.
        what: the operation, for the message.
    """
    if status == lib.EC_OK:
        return
    error, remedy = _ERRORS.get(status, (CodingError, f"unknown status {status}"))
    raise error(f"{what}: {remedy}")
