"""The benchmark of training data: real, made and missing data sets each have their row."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.slow
def test_rows_without_data(root: Path, tmp_path: Path) -> None:
    chosen = ["--only", "cifar10", "photos", "imagenet32", "--seconds", "0.1", "--batch", "8"]
    done = subprocess.run(
        [sys.executable, root / "scripts" / "bench_data.py", *chosen],
        env={**os.environ, "PYTHONPATH": str(root), "FSAR_DATA": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in done.stdout.splitlines()[3:]]
    assert [row[:2] for row in rows] == [
        ["cifar10", f"no {tmp_path}/cifar10"],
        ["photos", "real"],
        ["imagenet32", "made"],
    ]
    for row in rows[1:]:
        assert float(row[4].replace(",", "")) > 0
        assert float(row[6].replace(",", "")) > 0
