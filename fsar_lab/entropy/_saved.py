"""C models as bytes; what `save_tables`, `save_fsar` and the `nbytes` of the models share."""

from __future__ import annotations

from typing import Any

import numpy as np

from fsar_lab.entropy._arrays import pointer
from fsar_lab.entropy._entropy_c import ffi, lib
from fsar_lab.entropy._status import check


def saved_tables(model: Any) -> bytes:
    """The bytes of an `ec_tables *`."""
    return _saved(lib.ec_tables_save, lib.ec_tables_save_bound(model), model)


def saved_fsar(model: Any) -> bytes:
    """The bytes of an `ec_fsar *`, its tables included."""
    return _saved(lib.ec_fsar_save, lib.ec_fsar_save_bound(model), model)


def _saved(save: Any, bound: int, model: Any) -> bytes:
    out = np.empty(bound, np.uint8)
    size = ffi.new("size_t *")
    check(save(model, pointer(out), bound, size), "saving a model")
    return out[: size[0]].tobytes()
