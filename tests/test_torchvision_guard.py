"""The guard declares operator schemas only where torchvision's own import misses exactly these."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest


def run(root: Path, folder: Path, torchvision: str | None, code: str) -> subprocess.CompletedProcess[str]:
    """Runs code with a made torchvision in front of the real one (None: the real one)."""
    if torchvision is not None:
        package = folder / "torchvision"
        package.mkdir()
        (package / "__init__.py").write_text(torchvision)
        (package / "extension.py").write_text("")
    command = [sys.executable, "-c", f"import sys; sys.path[:0] = [{str(folder)!r}, {str(root)!r}]\n{code}"]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=300)


def test_healthy_build_is_left_alone(root: Path, tmp_path: Path) -> None:
    code = """
import fsar_lab._torchvision_guard as guard
assert guard.declared is None and "torch" not in sys.modules and guard.ensure()
"""
    done = run(root, tmp_path, "", code)
    assert done.returncode == 0, done.stderr


def test_not_installed_is_no_error(root: Path, tmp_path: Path) -> None:
    missing = "raise ModuleNotFoundError('gone', name='torchvision')"
    code = "import fsar_lab._torchvision_guard as guard\nassert guard.declared is None and not guard.ensure()"
    done = run(root, tmp_path, missing, code)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    "error", ["RuntimeError('operator torchvision::roi_align does not exist')", "OSError(5)"]
)
def test_other_errors_are_passed_on(root: Path, tmp_path: Path, error: str) -> None:
    done = run(root, tmp_path, f"raise {error}", "import fsar_lab._torchvision_guard")
    assert done.returncode == 1
    assert done.stderr.strip().splitlines()[-1].startswith(error.split("(")[0])


def test_missing_operators_are_declared(root: Path, tmp_path: Path) -> None:
    pytest.importorskip("torch")
    sick = """
import torch
import torchvision.extension
for name in ("nms", "qnms"):
    if not hasattr(torch.ops.torchvision, name):
        raise RuntimeError(f"operator torchvision::{name} does not exist")
torchvision.extension
"""
    code = """
import fsar_lab._torchvision_guard as guard
assert guard.declared is not None and guard.ensure()
import torch, torchvision
assert str(torch.ops.torchvision.qnms.default._schema).endswith("float iou_threshold) -> Tensor")
"""
    done = run(root, tmp_path, sick, code)
    assert done.returncode == 0, done.stderr


def test_what_is_installed_here_imports(root: Path, tmp_path: Path) -> None:
    for name in ("torchvision", "lightning", "torchmetrics"):
        if importlib.util.find_spec(name) is None:
            pytest.skip(f"{name} is not installed")
    code = "import fsar_lab._torchvision_guard, torchvision, lightning, torchmetrics"
    done = run(root, tmp_path, None, code)
    assert done.returncode == 0, done.stderr
