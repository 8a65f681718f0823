"""Entropy coding: integers in, bytes out. Needs numpy and the compiled C library, nothing else.

Interleaved rANS with one state per image, vectorised (AVX-512, AVX2, SSE4, NEON) over the 32 images of a
group; see docs/FORMAT-entropy.md for the bytes and entropy_c/include/entropy_c.h for the contract of the C
library.

A Markov source on a 16x16 grid, where each symbol tends to repeat the one above or to its left:

>>> import numpy as np
>>> from fsar_lab import entropy
>>> rng = np.random.default_rng(0)
>>> grid = np.repeat(np.repeat(rng.integers(0, 4, (100, 1, 4, 4)), 4, 2), 4, 3).astype(np.uint16)
>>> weights = np.ones((5, 5, 4), np.uint64)  # states: 0 outside, 1..4 the symbols above and to the left
>>> for k in range(4):
...     weights[k + 1, :, k] += 20
...     weights[:, k + 1, k] += 20
>>> tables = entropy.Tables(entropy.counts_from_weights(weights.reshape(25, 4), 12), bits=12)
>>> model = entropy.FSARModel(tables, offsets=[(0, -1, 0), (0, 0, -1)], groups=1, symbols=4)
>>> encoder = entropy.Encoder(num_images=100)
>>> encoder.push_fsar(model, grid)
>>> streams = encoder.finish()  # one for every 32 images
>>> bool(sum(map(len, streams)) < grid.size / 4 / 2)  # less than one bit a symbol, where two would be plain
True
>>> decoder = entropy.Decoder(streams, num_images=100)
>>> bool((decoder.pop_fsar(model, grid.shape) == grid).all())
True
>>> decoder.finish()  # raises if the streams were altered
"""

from __future__ import annotations

from fsar_lab.entropy._groups import LANES
from fsar_lab.entropy.build import Merged, counts_from_weights, merge_contexts
from fsar_lab.entropy.causal import CausalModel, CausalShape
from fsar_lab.entropy.context import ContextModel
from fsar_lab.entropy.convolution import ConvolutionModel
from fsar_lab.entropy.decoder import Decoder
from fsar_lab.entropy.encoder import Encoder
from fsar_lab.entropy.fsar import FSARModel
from fsar_lab.entropy.pixels import PixelModel
from fsar_lab.entropy.serial import load_fsar, load_tables, save_fsar, save_tables
from fsar_lab.entropy.stack import Stack
from fsar_lab.entropy.tables import Tables, isa
from fsar_lab.entropy.tans import TANS
from fsar_lab.entropy.wave import WaveDecoder, WaveEncoder, count_colours

__all__ = [
    "LANES",
    "TANS",
    "CausalModel",
    "CausalShape",
    "ContextModel",
    "ConvolutionModel",
    "Decoder",
    "Encoder",
    "FSARModel",
    "Merged",
    "PixelModel",
    "Stack",
    "Tables",
    "WaveDecoder",
    "WaveEncoder",
    "counts_from_weights",
    "isa",
    "merge_contexts",
    "load_fsar",
    "load_tables",
    "save_fsar",
    "save_tables",
    "count_colours",
]
