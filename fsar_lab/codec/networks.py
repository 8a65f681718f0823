"""The networks of a codec in integers: image to indices, and indices to the distribution of the pixels."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fsar_lab.codec import serialise
from fsar_lab.codec.fields import Tensors
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
from fsar_lab.codec.parts import Json, Pack
from fsar_lab.codec.posterior import Posterior

INPUT_LIMIT = 255  # the analysis network sees 2x - 255


@dataclass(frozen=True)
class Networks:
    """Analysis and synthesis.

    Attributes:
        analysis: image to y. search: y to indices; or, for bits-back coding, the posterior of the indices
            that y stands for, (mean, scale) pairs.
        table: indices to the synthesis network's input. synthesis: to (logit, scale) pairs per pixel.
    """

    analysis: IntegerNetwork
    search: CodeSearch | Posterior
    table: CodeTable
    synthesis: IntegerNetwork

    @cached_property
    def factor(self) -> int:
        """Image side over latent side."""
        return int(np.prod([layer.stride for layer in self.analysis.layers]))

    @property
    def code_search(self) -> CodeSearch:
        """The search of a model that does not sample its latents."""
        assert isinstance(self.search, CodeSearch)
        return self.search

    @property
    def groups(self) -> int:
        """G."""
        return len(self.table.values)

    @property
    def codebook_size(self) -> int:
        """K."""
        return int(self.table.values.shape[1])

    def check(self) -> None:
        """Raise NetworkError unless every part is exact and they fit each other."""
        check_network(self.analysis, "analysis")
        check_network(self.synthesis, "synthesis")
        check_table(self.table)
        last = self.analysis.layers[-1]
        if isinstance(self.search, Posterior):
            self.search.check(last, self.groups, self.codebook_size)
        else:
            check_search(self.search, magnitude(last.low, last.high))
            if self.search.bias.shape != (self.groups, self.codebook_size):
                raise NetworkError("codeword search and code table disagree on groups or codebook size")
        same = np.array_equal(self.table.low, self.synthesis.low) and np.array_equal(
            self.table.high, self.synthesis.high
        )
        if self.table.values.shape[2] != len(self.synthesis.low) or not same:
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

    def put(self, tensors: dict[str, NDArray[Any]], pack: Pack) -> Json:
        """Add the tensors; returns the entries of the bundle's description."""
        return {
            **serialise.put_codes(self.search, self.table, tensors, pack),
            "analysis": serialise.put_network(self.analysis, "analysis", tensors, pack),
            "synthesis": serialise.put_network(self.synthesis, "synthesis", tensors, pack),
        }

    @staticmethod
    def get(description: Json, tensors: Tensors) -> Networks | None:
        """What `put` stored, still to be checked; None if the bundle has no networks."""
        if not {"analysis", "synthesis", "search", "codes"} & description.keys():
            return None
        search, table = serialise.get_codes(description, tensors)
        return Networks(
            analysis=serialise.get_network(description.get("analysis"), "analysis", tensors),
            search=search,
            table=table,
            synthesis=serialise.get_network(description.get("synthesis"), "synthesis", tensors),
        )
