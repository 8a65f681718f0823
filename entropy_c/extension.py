"""What the builds of the cffi extensions (API mode, abi3) share. They run through setup.py from the root."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import cffi

HERE = Path(__file__).resolve().parent
# Portable code: no -march=native, no -ffast-math. Partial redundancy elimination makes gcc 12 keep every sum
# twice and move it around in the inner loops.
FLAGS = ["-std=c11", "-O3", "-fno-tree-pre", "-fvisibility=hidden"]


def declarations(header: str) -> str:
    """The part of a header that cffi can read: between the two markers."""
    body = header.split("/* cffi: begin", 1)[1].split("*/", 1)[1]
    return body.split("/* cffi: end", 1)[0]


def extension(module: str, header: str, folder: str, sources: Iterable[str]) -> cffi.FFI:
    """The builder of one extension.

    Args:
        module: its full name.
        header: in include/; the extension offers what stands between its markers.
        folder: of the sources, in this one; they may see the headers in include/, src/ and there.
        sources: names of the C files.
    """
    # setuptools wants paths relative to the working directory, which is the repository root.
    root = HERE.name
    folders = sorted({"include", "src", folder})
    headers = [path for where in folders for path in sorted((HERE / where).glob("*.[hi]*"))]
    builder = cffi.FFI()
    builder.cdef(declarations((HERE / "include" / header).read_text()))
    builder.set_source(
        module,
        f'#include "{header}"',
        sources=[f"{root}/{folder}/{name}" for name in sources],
        depends=[f"{root}/{path.relative_to(HERE)}" for path in headers],
        include_dirs=[f"{root}/include"],
        extra_compile_args=FLAGS,
    )
    return builder
