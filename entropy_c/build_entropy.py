"""Builds `fsar_lab.entropy._entropy_c`; see extension.py."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))  # setup.py runs this file, it does not import it
from extension import extension

SOURCES = [
    "causal.c",
    "causal_model.c",
    "coder.c",
    "compact.c",
    "context.c",
    "convolution.c",
    "counts.c",
    "describe.c",
    "dispatch.c",
    "escapes.c",
    "flows.c",
    "fsar.c",
    "fsar_model.c",
    "geometry.c",
    "indexed.c",
    "kernels_avx2.c",
    "kernels_avx2_vnni.c",
    "kernels_avx512.c",
    "kernels_gather.c",
    "kernels_neon.c",
    "kernels_scalar.c",
    "kernels_sse4.c",
    "merge.c",
    "merge_rows.c",
    "mixture.c",
    "pixels.c",
    "pixels_model.c",
    "recall.c",
    "rows.c",
    "serial.c",
    "stack.c",
    "tables.c",
    "tans.c",
    "tans_model.c",
]

ffibuilder = extension("fsar_lab.entropy._entropy_c", "entropy_c.h", "src", SOURCES)
