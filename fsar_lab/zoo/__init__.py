"""Trained codecs that come with the package: `Codec.load(zoo.codec_path("cifar10"))`.

Each `codecs/NAME.fsarm` has a card beside it, `codecs/NAME.md`: training data, recipe, figures and limits.
"""

from __future__ import annotations

from pathlib import Path

from fsar_lab.errors import ConfigError

_FOLDER = Path(__file__).parent / "codecs"
_WEIGHTS = Path(__file__).parent / "causal_net"

__all__ = ["causal_weights_path", "codec_names", "codec_path"]


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


def causal_weights_path(name: str) -> Path:
    """The float weights of a causal network, to start a training from.

    Raises:
        ConfigError: there are none of this name; the message names those that there are.
    """
    path = _WEIGHTS / f"{name}.safetensors"
    if not path.is_file():
        names = ", ".join(sorted(file.stem for file in _WEIGHTS.glob("*.safetensors")))
        raise ConfigError(f"there are no weights {name!r} of a causal network; there are: {names}")
    return path
