"""The C extensions; everything else about the package is in pyproject.toml."""

from setuptools import setup

setup(
    cffi_modules=["entropy_c/build_entropy.py:ffibuilder", "entropy_c/build_network.py:ffibuilder"],
    options={"bdist_wheel": {"py_limited_api": "cp311"}},
)
