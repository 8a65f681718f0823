"""fsar_lab: fast, learned, lossless image compression with finite-state autoregressive priors.

Importing the package loads nothing heavy; ``fsar_lab.Codec`` is imported on first use.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fsar_lab.codec.codec import Codec

__version__ = "0.1.0"
__all__ = ["Codec", "__version__"]


def __getattr__(name: str) -> Any:
    """Imports ``Codec`` when it is first asked for (PEP 562).

    Raises:
        AttributeError: For any other name.
    """
    if name == "Codec":
        from fsar_lab.codec.codec import Codec

        return Codec
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    """Lists the lazy attribute too."""
    return sorted({*globals(), "Codec"})
