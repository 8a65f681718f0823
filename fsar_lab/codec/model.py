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

from fsar_lab.codec import serialise, tensor_file
from fsar_lab.codec.fields import damaged, deflate, integer, member
from fsar_lab.codec.integer_network import (
    ENLARGING,
    CodeSearch,
    CodeTable,
    IntegerNetwork,
    NetworkError,
    check_network,
    check_search,
    check_table,
    magnitude,
)
from fsar_lab.codec.prior import PriorTables, uniform_tables
from fsar_lab.errors import UnsupportedVersionError
from fsar_lab.tables.pixels import PixelTables

FORMAT = 2  # of the file and of the arithmetic it describes
KEY = "fsarm"  # metadata key that holds the description
INPUT_LIMIT = 255  # the analysis network sees 2x - 255


@dataclass(frozen=True)
class CodecModel:
    """An integer-only model.

    Attributes:
        analysis: image to y. search: y to indices.
        table: indices to the synthesis network's input. synthesis: to (logit, scale) per sub-pixel.
        prior: tables of the indices. pixels: tables of the pixels.
        facts: plain data about training; decides no bit and is not part of the id.
    """

    analysis: IntegerNetwork
    search: CodeSearch
    table: CodeTable
    synthesis: IntegerNetwork
    prior: PriorTables
    pixels: PixelTables
    facts: dict[str, Any] = field(default_factory=dict)

    @cached_property
    def factor(self) -> int:
        """Image side over latent side."""
        return int(np.prod([layer.stride for layer in self.analysis.layers]))

    def check(self) -> None:
        """Raise NetworkError unless every part is exact and they fit each other."""
        check_network(self.analysis, "analysis")
        check_network(self.synthesis, "synthesis")
        self.prior.check()
        check_table(self.table)
        last = self.analysis.layers[-1]
        check_search(self.search, magnitude(last.low, last.high))
        groups, size, channels = self.table.values.shape
        if (
            self.search.bias.shape != (groups, size)
            or self.prior.groups != groups
            or self.prior.codebook_size != size
        ):
            raise NetworkError("codeword search, code table and prior disagree on groups or codebook size")
        same = np.array_equal(self.table.low, self.synthesis.low) and np.array_equal(
            self.table.high, self.synthesis.high
        )
        if channels != len(self.synthesis.low) or not same:
            raise NetworkError("code table and synthesis network do not fit")
        limit = np.full(3, INPUT_LIMIT, np.int16)
        if not np.array_equal(self.analysis.high, limit) or not np.array_equal(self.analysis.low, -limit):
            raise NetworkError("the analysis network does not take RGB images")
        ups = [2 for layer in self.synthesis.layers if layer.kind in ENLARGING]
        plain = [layer.stride for layer in self.synthesis.layers if layer.kind not in ENLARGING]
        if any(layer.kind in ENLARGING for layer in self.analysis.layers) or max(plain, default=1) > 1:
            raise NetworkError("analysis must shrink and synthesis must enlarge")
        if int(np.prod(ups)) != self.factor or self.factor > 64:
            raise NetworkError("analysis and synthesis networks change the size by different factors")
        head = self.synthesis.layers[-1]
        scales = len(self.pixels.cdf)
        if len(head.low) != 6 or head.low[1::2].min() < 0 or head.high[1::2].max() >= scales:
            raise NetworkError("the synthesis network's outputs do not fit the pixel tables")
        if head.low[0::2].min() < -2048 or head.high[0::2].max() > 2047:
            raise NetworkError("the synthesis network's logits exceed the mean look-up")

    def with_uniform_prior(self) -> CodecModel:
        """The sibling that codes the same indices with log2 K bits each."""
        prior = self.prior
        return replace(self, prior=uniform_tables(prior.groups, prior.codebook_size, prior.bits))

    def _describe(self, pack: serialise.Pack) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
        """The JSON description and the tensors of all that decides a bit; `pack` stores the large ones."""
        tensors: dict[str, NDArray[Any]] = {}
        description = {
            "format": FORMAT,
            **serialise.put_codes(self.search, self.table, tensors, pack),
            "analysis": serialise.put_network(self.analysis, "analysis", tensors, pack),
            "synthesis": serialise.put_network(self.synthesis, "synthesis", tensors, pack),
            "prior": serialise.put_prior(self.prior, tensors, pack),
            "pixels": serialise.put_pixels(self.pixels, tensors, pack),
        }
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
        search, table = serialise.get_codes(description, tensors)
        model = CodecModel(
            analysis=serialise.get_network(description.get("analysis"), "analysis", tensors),
            search=search,
            table=table,
            synthesis=serialise.get_network(description.get("synthesis"), "synthesis", tensors),
            prior=serialise.get_prior(description.get("prior"), tensors),
            pixels=serialise.get_pixels(description.get("pixels"), tensors),
            facts=member(description, "facts", dict),
        )
        try:
            model.check()
        except NetworkError as error:
            raise damaged(str(error)) from error
        if model.id.hex() != member(description, "id", str):
            raise damaged("its contents do not match its id")
        return model


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
