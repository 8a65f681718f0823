"""Names of the classical codecs."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from fsar_lab.baselines import imagecodecs_codecs as others
from fsar_lab.baselines import pillow_codecs
from fsar_lab.baselines.base import Baseline
from fsar_lab.baselines.context_codec import ContextCodec
from fsar_lab.errors import ConfigError

# From fast and plain to slow and strong. Nothing is loaded before one is asked for.
_MAKERS: dict[str, Callable[[], Baseline]] = {
    "qoi": others.qoi,
    "png": pillow_codecs.png,
    "webp": pillow_codecs.webp,
    "jpegls": others.JpegLS,
    "jxl_e3": lambda: others.JpegXL(3),
    "jxl_e7": lambda: others.JpegXL(7),
    "jxl_e9": lambda: others.JpegXL(9),
    "context": ContextCodec,  # ours
}


def names() -> list[str]:
    """Every name that `get` knows."""
    return list(_MAKERS)


def get(name: str) -> Baseline:
    """Makes the codec of this name.

    Raises:
        ConfigError: If there is none of this name, or imagecodecs is needed and not installed.
    """
    if name not in _MAKERS:
        raise ConfigError(f"there is no classical codec {name!r}; there are: {', '.join(_MAKERS)}.")
    return _MAKERS[name]()


def available(wanted: Sequence[str] | None = None) -> list[Baseline]:
    """Makes those of the wanted codecs (all by default) whose library is installed.

    Raises:
        ConfigError: If a wanted name does not exist.
    """
    made = []
    for name in names() if wanted is None else wanted:
        if name not in _MAKERS:
            get(name)
        try:
            made.append(_MAKERS[name]())
        except ConfigError:
            continue
    return made
