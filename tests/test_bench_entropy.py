"""The benchmark of the entropy coder: rows are complete and checked, a peer that fails costs one row."""

from __future__ import annotations

import importlib.util
import json
import math
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

KEYS = {
    "workload",
    "coder",
    "isa",
    "threads",
    "lanes",
    "table_bits",
    "MBps_encode",
    "MBps_decode",
    "bits_per_symbol",
    "excess_percent",
    "overhead_bytes_per_image",
}

# Stands for a peer that decodes something else.
WRONG = """
import types
import numpy as np

class AnsCoder:
    def __init__(self, words=None):
        self.words = np.zeros(100, np.uint32)

    def encode_reverse(self, symbols, model):
        pass

    def get_compressed(self):
        return self.words

    def decode(self, model, number):
        return np.zeros(number, np.int32)

stream = types.SimpleNamespace(
    stack=types.SimpleNamespace(AnsCoder=AnsCoder),
    model=types.SimpleNamespace(Categorical=lambda row, perfect: row),
)
"""


def bench(root: Path, tmp_path: Path, *arguments: str, first: Path | None = None) -> list[dict[str, Any]]:
    """Rows of a quick run; modules in `first` are found before all others."""
    path = os.pathsep.join(str(folder) for folder in (first, root) if folder is not None)
    result = tmp_path / "rows" / "entropy.json"
    done = subprocess.run(
        [sys.executable, root / "scripts" / "bench_entropy.py", "--quick", "--json", result, *arguments],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    rows: list[dict[str, Any]] = json.loads(result.read_text())
    assert all(row["workload"] in done.stdout and row["coder"] in done.stdout for row in rows)
    return rows


def test_rows_and_dump(root: Path, tmp_path: Path) -> None:
    names = ["static", "fsar_o2_k32_single_image", "linear_ar3"]
    rows = bench(root, tmp_path, "--only", *names, "--dump", str(tmp_path / "dump"))
    assert [name for name in names if any(row["workload"] == name for row in rows)] == names
    for row in rows:
        assert set(row) >= KEYS
        peer = {"constriction": "constriction", "torch_ans": "torch_ans"}.get(row["coder"])
        if peer and importlib.util.find_spec(peer) is None:
            assert f"{peer} is not installed" in row["error"] and row["MBps_encode"] is None
            continue
        assert row["error"] is None  # so the symbols came back
        for key in KEYS - {"workload", "coder", "isa"}:
            assert math.isfinite(row[key])
        assert row["MBps_encode"] > 0 and row["MBps_decode"] > 0 and row["overhead_bytes_per_image"] > 0

    ours = {row["workload"]: row for row in rows if row["coder"] == "fsar_lab"}
    scalar = {row["workload"]: row for row in rows if row["coder"] == "fsar_lab_scalar"}
    for name in names:
        assert scalar[name]["isa"] == "scalar"
        assert scalar[name]["bits_per_symbol"] == ours[name]["bits_per_symbol"]
    assert abs(ours["static"]["excess_with_states_percent"]) < 0.15  # few symbols: the limit is 0.1

    for name in names[:2]:
        symbols, index, tables = (
            np.load(tmp_path / "dump" / name / f"{array}.npy") for array in ("symbols", "index", "tables")
        )
        ideal = -np.log2(tables[index, symbols].astype(np.float64)).sum()
        bits = ours[name]["bits_per_symbol"] * symbols.size
        assert ours[name]["excess_percent"] == pytest.approx(100 * (bits / ideal - 1))


def test_failing_peers_are_rows_with_an_error(root: Path, tmp_path: Path) -> None:
    stubs = tmp_path / "stubs"
    stubs.mkdir()
    (stubs / "constriction.py").write_text(WRONG)
    (stubs / "torch.py").write_text("import os; os._exit(3)")
    rows = bench(root, tmp_path, "--only", "static", first=stubs)
    errors = {row["coder"]: row["error"] for row in rows}
    assert "decoded other symbols" in errors["constriction"]
    assert "exit code 3" in errors["torch_ans"]
    assert errors["fsar_lab"] is None and errors["fsar_lab_10bit"] is None


def test_a_coder_that_hangs_is_given_up(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(root / "scripts")
    from entropy_bench.processes import CoderError, CoderProcess

    start = time.monotonic()
    with pytest.raises(CoderError, match="no answer within 2 s"):
        CoderProcess(time.sleep, 600, {}, os.sched_getaffinity(0), limit=2)
    assert time.monotonic() - start < 300


def test_goals(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(root / "scripts")
    from entropy_bench.measure import Row
    from entropy_bench.report import goals_table, sizes

    ours = Row("static", "fsar_lab", MBps_encode=900, MBps_decode=1500, excess_percent=0.05)
    theirs = Row("static", "constriction", MBps_encode=150, MBps_decode=30)
    (line,) = goals_table([ours, theirs]).splitlines()[2:]
    assert "6.00x" in line and "50.00x" in line and "goal, must" in line
    (line,) = goals_table([ours, Row("static", "constriction", error="hung")]).splitlines()[2:]
    assert "not measured" in line
    assert "reached" in sizes([ours])[0]
    assert (
        "MISSED" in sizes([Row("static", "fsar_lab", excess_percent=0.05, excess_with_states_percent=0.2)])[0]
    )
