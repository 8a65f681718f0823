"""Makes ``import torchvision`` work beside a CPU-only build of torch. Import this module first.

torchvision's compiled operators are built against the CUDA build of torch. Beside a CPU-only torch they do
not load, and torchvision then stops on ``operator torchvision::nms does not exist`` (next on ``qnms``) and
takes ``import lightning`` and ``import torchmetrics`` down with it. Nothing in fsar_lab uses these operators,
so on exactly that error their *schemas* are declared and the import is tried again; calling one still fails
loudly. On a healthy build the ordinary import succeeds and nothing is declared.

Whatever imports torchvision, lightning or torchmetrics imports this module before them.
"""

from __future__ import annotations

import importlib
import sys
from typing import Any

SCHEMAS = (
    "nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
)
_MISSING = tuple(f"operator torchvision::{schema.split('(')[0]} does not exist" for schema in SCHEMAS)

# The torch.library.Library that holds the declarations (its end takes them back); None on a healthy build.
declared: Any = None


def _declare() -> Any:
    """Declares the missing operator schemas in torch's ``torchvision`` namespace."""
    import torch

    make_library: Any = torch.library.Library  # untyped in torch
    library = make_library("torchvision", "FRAGMENT")
    for schema in SCHEMAS:
        library.define(schema)
    return library


def ensure() -> bool:
    """Imports torchvision, declaring the two operator schemas only if that import misses them.

    Returns:
        True if torchvision can be used now, False if torch or torchvision is not installed.

    Raises:
        Exception: Whatever else torchvision raises on import, unchanged.
    """
    global declared
    try:
        importlib.import_module("torchvision")
        return True
    except ModuleNotFoundError as error:
        if error.name in ("torch", "torchvision"):
            return False
        raise
    except RuntimeError as error:
        if declared is not None or not any(text in str(error) for text in _MISSING):
            raise
    # The failed import leaves submodules behind that are no longer attributes of a new parent package.
    for name in [name for name in sys.modules if name.split(".")[0] == "torchvision"]:
        del sys.modules[name]
    declared = _declare()
    importlib.import_module("torchvision")
    return True


ensure()
