"""Trained codecs that come with the package: `Codec.load(zoo.codec_path("cifar10"))`.

Each `codecs/NAME.fsarm` has a card beside it, `codecs/NAME.md`: training data, recipe, figures and limits.
"""

from __future__ import annotations

from pathlib import Path

from fsar_lab.errors import ConfigError

_FOLDER = Path(__file__).parent / "codecs"

__all__ = ["codec_names", "codec_path"]


def codec_names() -> list[str]:
    """Names of the codecs that are here, sorted."""
    return sorted(file.stem for file in _FOLDER.glob("*.fsarm"))


def codec_path(name: str) -> Path:
    """The file of the codec of this name.

    Raises:
        ConfigError: there is none; the message names those that there are.
    """
    names = codec_names()
    if name not in names:
        raise ConfigError(f"there is no codec {name!r} in the zoo; there are: {', '.join(names)}")
    return _FOLDER / f"{name}.fsarm"
