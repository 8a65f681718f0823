"""A compressor without the codes that its prior has dropped."""

from __future__ import annotations

import copy

from torch import nn

from fsar_lab.models.compressor import Compressor
from fsar_lab.models.priors.catreduce import CatReduce


def reduced(compressor: Compressor) -> Compressor:
    """The same model over the kept codes alone, numbered 0..K'-1: what is exported (METHOD 5).

    Models without a `CatReduce` prior are returned as they are.
    """
    if not isinstance(compressor.prior, CatReduce):
        return compressor
    result = copy.deepcopy(compressor)
    prior, kept = compressor.prior.reduced()
    result.prior, quantizer = prior.to(kept.device), result.quantizer
    quantizer.codebooks = nn.Parameter(quantizer.codebooks.detach()[:, kept])
    quantizer.codebook_size = len(kept)
    return result.eval()
