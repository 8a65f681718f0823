"""Tables and FSAR models as bytes, about one byte a count; docs/FORMAT-tables.md specifies them."""

from __future__ import annotations

from fsar_lab.entropy._arrays import BYTES
from fsar_lab.entropy._entropy_c import ffi, lib
from fsar_lab.entropy._saved import saved_fsar, saved_tables
from fsar_lab.entropy._status import check
from fsar_lab.entropy.fsar import FSARModel
from fsar_lab.entropy.tables import LAYOUTS, Layout, Tables


def save_tables(tables: Tables) -> bytes:
    """Tables as bytes with version and checksum; equal tables give equal bytes on every machine."""
    return saved_tables(tables._c)


def load_tables(data: bytes, layout: Layout = "auto") -> Tables:
    """The tables that `save_tables` was given.

    Args:
        data: all bytes, and nothing else. They need not be trusted: everything is checked.
        layout: how the decoder finds a symbol, as for `Tables`.

    Raises:
        DamagedStreamError: truncated, altered, or not tables.
        UnsupportedVersionError: written by a newer version of fsar_lab.
        ValueError: the fused layout is not possible for these tables.
    """
    out = ffi.new("ec_tables **")
    status = lib.ec_tables_load(ffi.from_buffer(BYTES, data), len(data), LAYOUTS[layout], out)
    check(status, f"loading tables from {len(data)} bytes")
    return Tables._of(out[0])


def save_fsar(model: FSARModel) -> bytes:
    """A model and its tables as bytes with version and checksum; equal models give equal bytes."""
    return saved_fsar(model._c)


def load_fsar(data: bytes, layout: Layout = "auto") -> FSARModel:
    """The model that `save_fsar` was given, with its tables.

    Args:
        data: all bytes, and nothing else. They need not be trusted: everything is checked.
        layout: how the decoder finds a symbol, as for `Tables`.

    Raises:
        DamagedStreamError: truncated, altered, or not an FSAR model.
        UnsupportedVersionError: written by a newer version of fsar_lab.
        ValueError: the fused layout is not possible for these tables.
    """
    tables, model = ffi.new("ec_tables **"), ffi.new("ec_fsar **")
    status = lib.ec_fsar_load(ffi.from_buffer(BYTES, data), len(data), LAYOUTS[layout], tables, model)
    check(status, f"loading an FSAR model from {len(data)} bytes")
    return FSARModel._of(Tables._of(tables[0]), model[0])
