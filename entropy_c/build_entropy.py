"""Builds `fsar_lab.entropy._entropy_c` (cffi API mode, abi3). Run through setup.py from the root."""

from __future__ import annotations

from pathlib import Path

import cffi

SOURCES = ["coder.c", "tables.c", "indexed.c", "fsar.c", "pixels_model.c", "pixels.c"]
HEADERS = ["include/entropy_c.h", "src/rans.h", "src/models.h"]
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
