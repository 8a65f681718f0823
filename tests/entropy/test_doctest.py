"""The example of the package's docstring does what it says."""

from __future__ import annotations

import doctest

from fsar_lab import entropy


def test_example():
    result = doctest.testmod(entropy)
    assert result.attempted > 10
    assert result.failed == 0
