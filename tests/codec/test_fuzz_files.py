"""The fuzzer of bundles and blobs finds nothing in a few seconds, and would notice wrong pixels."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest


@pytest.fixture
def fuzzer(root: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location("fuzz_files", root / "scripts" / "fuzz_files.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_nothing_is_found(fuzzer: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert fuzzer.main(["--seconds", "2", "--seed", "5", "--keep", str(tmp_path)]) == 0
    said = capsys.readouterr().out
    assert "blob: DamagedStreamError" in said and "bundle: DamagedStreamError" in said
    assert not list(tmp_path.iterdir())


def test_failures_are_noticed(fuzzer: ModuleType) -> None:
    images = np.zeros((2, 4, 4, 3), np.uint8)
    assert fuzzer.attempt(lambda: images.copy(), images) == "right"
    assert fuzzer.FAILED in fuzzer.attempt(lambda: images + 1, images)
    assert fuzzer.FAILED in fuzzer.attempt(lambda: images[:1], images)
    assert fuzzer.FAILED in fuzzer.attempt(lambda: 1 // 0, images)
