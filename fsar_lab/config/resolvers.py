"""The two OmegaConf resolvers that conf/train.yaml uses."""

from __future__ import annotations

import hashlib

from omegaconf import OmegaConf

from fsar_lab.config import options


def register() -> None:
    """Register `fsar.digest` and `fsar.options`; calling it twice does no harm."""
    OmegaConf.register_new_resolver("fsar.digest", _digest, replace=True)
    OmegaConf.register_new_resolver("fsar.options", options.listing, replace=True)


def _digest(text: object) -> str:
    """Eight hexadecimal digits that stand for the overrides of a run in its directory's name."""
    return hashlib.sha256(str(text).encode()).hexdigest()[:8]
