"""Builds `fsar_lab.codec._network_c`; see extension.py."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))  # setup.py runs this file, it does not import it
from extension import extension

SOURCES = [
    "check.c",
    "create.c",
    "edges.c",
    "isa.c",
    "kernels_avx2.c",
    "kernels_avx2_vnni.c",
    "kernels_avx512.c",
    "kernels_avx512_vnni.c",
    "kernels_scalar.c",
    "pack.c",
    "run.c",
]

ffibuilder = extension("fsar_lab.codec._network_c", "integer_net.h", "src/net", SOURCES)
