"""Entropy coding: integers in, bytes out. Needs numpy and the compiled C library, nothing else.

Interleaved rANS with one state per image; see docs/FORMAT-entropy.md for the bytes and
entropy_c/include/entropy_c.h for the contract of the C library.
"""

from __future__ import annotations

from fsar_lab.entropy._groups import LANES
from fsar_lab.entropy.decoder import Decoder
from fsar_lab.entropy.encoder import Encoder
from fsar_lab.entropy.fsar import FSARModel
from fsar_lab.entropy.pixels import PixelModel
from fsar_lab.entropy.tables import Tables

__all__ = ["LANES", "Decoder", "Encoder", "FSARModel", "PixelModel", "Tables"]
