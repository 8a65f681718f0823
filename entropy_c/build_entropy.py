"""Builds `fsar_lab.entropy._entropy_c` (cffi API mode, abi3). Run through setup.py from the root."""

from __future__ import annotations

from pathlib import Path

import cffi

_SOURCE_FOLDER = Path(__file__).resolve().parent / "src"

SOURCES = [
    "coder.c",
    "compact.c",
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
    "kernels_avx512.c",
    "kernels_gather.c",
    "kernels_neon.c",
    "kernels_scalar.c",
    "kernels_sse4.c",
    "merge.c",
    "merge_rows.c",
    "pixels.c",
    "pixels_model.c",
    "rows.c",
    "serial.c",
    "stack.c",
    "tables.c",
    "tans.c",
    "tans_model.c",
]
HEADERS = ["include/entropy_c.h", *(f"src/{path.name}" for path in sorted(_SOURCE_FOLDER.glob("*.[hi]*")))]
# Portable code: no -march=native, no -ffast-math.
FLAGS = ["-std=c11", "-O3", "-fvisibility=hidden"]


def declarations(header: str) -> str:
    """The part of entropy_c.h that cffi can read: between the two markers."""
    body = header.split("/* cffi: begin", 1)[1].split("*/", 1)[1]
    return body.split("/* cffi: end", 1)[0]


# setuptools wants paths relative to the working directory, which is the repository root.
_HERE = Path(__file__).resolve().parent.name

ffibuilder = cffi.FFI()
ffibuilder.cdef(declarations((Path(__file__).resolve().parent / "include" / "entropy_c.h").read_text()))
ffibuilder.set_source(
    "fsar_lab.entropy._entropy_c",
    '#include "entropy_c.h"',
    sources=[f"{_HERE}/src/{name}" for name in SOURCES],
    depends=[f"{_HERE}/{name}" for name in HEADERS],
    include_dirs=[f"{_HERE}/include"],
    extra_compile_args=FLAGS,
)
