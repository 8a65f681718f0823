"""The bundle: everything that images, bytes and their bits depend on, in one safetensors file.

docs/FORMAT-bundle.md specifies the file to the byte.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save_file

from fsar_lab.codec import bits_back, kinds, tensor_file, tiling
from fsar_lab.codec.causal_net import CausalNetTables
from fsar_lab.codec.fields import Tensors, damaged, deflate, integer, member
from fsar_lab.codec.integer_network import NetworkError
from fsar_lab.codec.level_prior import LevelPrior
from fsar_lab.codec.mean_scale import MeanScaleTables
from fsar_lab.codec.networks import Networks
from fsar_lab.codec.parts import Pack, PixelPart, PriorPart
from fsar_lab.codec.posterior import Posterior
from fsar_lab.codec.prior import PriorTables, uniform_tables
from fsar_lab.codec.residual_networks import ResidualNetworks
from fsar_lab.codec.tiling import Cut
from fsar_lab.entropy import LANES
from fsar_lab.errors import UnsupportedVersionError
from fsar_lab.tables.latents import BITS

FORMAT = 2  # of the file and of the arithmetic it describes
KEY = "fsarm"  # metadata key that holds the description


@dataclass(frozen=True)
class CodecModel:
    """An integer-only model.

    Attributes:
        networks: image to indices and back to the pixels' distribution; None if pixels are coded from
            pixels alone.
        prior: tables of the indices; None without networks.
        pixels: tables of the pixels.
        facts: plain data about training; decides no bit and is not part of the id.
    """

    networks: Networks | ResidualNetworks | None
    prior: PriorPart | None
    pixels: PixelPart
    facts: dict[str, Any] = field(default_factory=dict)

    @property
    def factor(self) -> int:
        """Image side over latent side."""
        return self.networks.factor if self.networks else 1

    @property
    def chained(self) -> bool:
        """Tiles are coded one upon the other, bits-back; else each by itself, as a lane of its group."""
        return self.networks is not None and isinstance(self.networks.search, Posterior)

    @property
    def waves(self) -> bool:
        """The rows of a large image can be lanes; latents are coded of tiles alone."""
        return self.networks is None and isinstance(self.pixels, CausalNetTables)

    @property
    def cut(self) -> Cut:
        """How images are cut into lanes."""
        lanes = bits_back.CHAIN if self.chained else LANES
        return Cut(tiling.WAVE_TILE if self.waves else tiling.TILE, self.factor, lanes, self.waves)

    def check(self) -> None:
        """Raise NetworkError unless every part is exact and they fit each other."""
        if self.networks is None or self.prior is None:
            if self.networks or self.prior:
                raise NetworkError("networks and prior only go together")
            self.pixels.check(None)
            return
        self.networks.check()
        self.prior.check()
        if _alphabets(self.prior) != _alphabets(self.networks):
            raise NetworkError("codeword search, code table and prior disagree on groups or codebook size")
        self.pixels.check(self.networks.synthesis.layers[-1])
        if self.chained:
            bits_back.check_chained(self.prior, self.pixels)

    def make_chain_coder(self) -> bits_back.ChainCoder | None:
        """The coder of bits-back coding, if that is how tiles are coded."""
        if self.networks is None or not isinstance(self.networks.search, Posterior):
            return None
        assert isinstance(self.prior, PriorTables) and isinstance(self.pixels, MeanScaleTables)
        return bits_back.ChainCoder(self.networks.search, self.prior, self.pixels, self.factor)

    def with_uniform_prior(self) -> CodecModel:
        """The sibling that codes the same indices with log2 K bits each; for models with a prior."""
        assert self.prior is not None
        if isinstance(self.prior, LevelPrior):
            return replace(self, prior=self.prior.with_uniform_tables())
        return replace(self, prior=uniform_tables(self.prior.groups, self.prior.codebook_size, BITS))

    def _describe(self, pack: Pack) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
        """The JSON description and the tensors of all that decides a bit; `pack` stores the large ones."""
        tensors: dict[str, NDArray[Any]] = {}
        description: dict[str, Any] = {"format": FORMAT}
        if self.networks:
            description |= self.networks.put(tensors, pack)
        if self.prior:
            description["prior"] = kinds.put(self.prior, kinds.PRIORS, tensors, pack)
        description["pixels"] = kinds.put(self.pixels, kinds.PIXELS, tensors, pack)
        return description, tensors

    @cached_property
    def id(self) -> bytes:
        """64 bits, from SHA-256, over everything that decides a bit, however it is packed."""
        description, tensors = self._describe(lambda values: values)
        digest = hashlib.sha256(json.dumps(description, sort_keys=True).encode())
        for name in sorted(tensors):
            value = np.ascontiguousarray(tensors[name])
            little = value.dtype.newbyteorder("<")
            digest.update(f"{name} {little.str} {value.shape}".encode())
            digest.update(value.astype(little, copy=False).tobytes())
        return digest.digest()[:8]

    def save(self, path: str | Path) -> None:
        """Write the file under a temporary name, then rename it; its directory must exist.

        The same model gives the same file.
        """
        self.check()
        description, tensors = self._describe(deflate)
        description |= {"id": self.id.hex(), "facts": self.facts}
        path = Path(path)
        temporary = path.with_name(path.name + ".partial")
        contiguous = {name: np.ascontiguousarray(tensors[name]) for name in sorted(tensors)}
        temporary.touch()
        mode = temporary.stat().st_mode  # as the user's umask has it: save_file would leave it to its owner
        save_file(contiguous, temporary, {KEY: json.dumps(description, sort_keys=True, allow_nan=False)})
        temporary.chmod(mode)
        temporary.replace(path)

    @staticmethod
    def load(path: str | Path) -> CodecModel:
        """Read and validate a file that `save` wrote.

        Raises:
            FileNotFoundError: no such file.
            UnsupportedVersionError: written by a newer fsar_lab, or by one of the first.
            DamagedStreamError: anything else that is not a codec file as it should be.
        """
        metadata, tensors = tensor_file.read(path)
        description = _parse(metadata.get(KEY))
        model = CodecModel(
            networks=_networks(description, tensors),
            prior=kinds.get(description["prior"], kinds.PRIORS, tensors) if "prior" in description else None,
            pixels=kinds.get(description.get("pixels"), kinds.PIXELS, tensors),
            facts=member(description, "facts", dict),
        )
        try:
            model.check()
        except NetworkError as error:
            raise damaged(str(error)) from error
        if model.id.hex() != member(description, "id", str):
            raise damaged("its contents do not match its id")
        return model


def _alphabets(part: PriorPart | Networks | ResidualNetworks) -> tuple[int, ...]:
    """K of every group."""
    if isinstance(part, LevelPrior | ResidualNetworks):
        return part.codebook_sizes
    return (part.codebook_size,) * part.groups


def _networks(description: dict[str, Any], tensors: Tensors) -> Networks | ResidualNetworks | None:
    if "levels" in description:
        return ResidualNetworks.get(description, tensors)
    return Networks.get(description, tensors)


def _parse(text: str | None) -> dict[str, Any]:
    """The description, of a version that is understood."""
    if text is None:
        raise damaged("no description")
    description = tensor_file.parse_json(text)
    version = integer(description, "format", 1, 1 << 30)
    if version != FORMAT:
        remedy = "update it" if version > FORMAT else "export the model again"
        raise UnsupportedVersionError(
            f"the codec file has format {version}, this fsar_lab reads {FORMAT}; {remedy}"
        )
    return description
