"""The C extensions; everything else about the package is in pyproject.toml."""

import os

from setuptools import setup

EXTENSIONS = ["entropy_c/build_entropy.py:ffibuilder", "entropy_c/build_network.py:ffibuilder"]

setup(
    # The Makefile installs the package without them: it makes them itself, and again only where C changed.
    cffi_modules=[] if "FSAR_LAB_WITHOUT_C" in os.environ else EXTENSIONS,
    options={"bdist_wheel": {"py_limited_api": "cp311"}},
)
