"""The benchmark of whole codecs: every row is complete and checked, what is missing is said."""

from __future__ import annotations

import importlib.util
import json
import math
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

KEYS = {
    "dataset", "codec", "engine", "threads", "batch", "bpd", "MBps_encode", "MBps_decode", "images",
    "lossless", "overhead_bytes_per_image",
}  # fmt: skip


@pytest.mark.slow
def test_rows_without_data(root: Path, tmp_path: Path) -> None:
    result = tmp_path / "rows" / "codec.json"
    script = root / "scripts" / "bench_codec.py"
    done = subprocess.run(
        [sys.executable, script, "--quick", "--json", result, "--codecs", "png", "jxl_e3", "nonsense"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(root), "FSAR_DATA": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "val_data.npz: 40 tiles of" in done.stdout and "no photographs in" in done.stdout
    rows = json.loads(result.read_text())
    cores = len(os.sched_getaffinity(0))
    coded = []
    for row in rows:
        assert set(row) >= KEYS
        if row["codec"] == "nonsense":
            assert "no classical codec 'nonsense'" in row["error"] and row["MBps_encode"] is None
        elif row["threads"] > cores:
            assert "need 2 cores" in row["error"]
        elif row["codec"] == "jxl_e3" and importlib.util.find_spec("imagecodecs") is None:
            assert "imagecodecs" in row["error"]
        else:
            assert row["error"] is None
            assert row["MBps_encode"] > 0 and row["MBps_decode"] > 0
            assert (row["bpd"] is None) == (row["lossless"] is None) == (row["codec"].startswith("float32"))
            coded.append(row)
    ours = [row for row in coded if row["codec"] == "fsar_lab"]
    assert {row["engine"] for row in ours} == {"c", "torch"}
    for dataset in ("tiles", "photographs"):
        sizes = {row["bpd"] for row in ours if row["dataset"] == dataset and row["batch"] != 1}
        assert len(sizes) <= 1  # engines, instruction sets and threads give the same bytes
    assert all(0 < row["overhead_bytes_per_image"] < 200 and math.isfinite(row["bpd"]) for row in ours)


def test_goals(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(root / "scripts")
    from codec_bench.measure import FLOAT, OURS, Row
    from codec_bench.report import goals_table

    def row(codec: str, encode: float, decode: float, **more: object) -> Row:
        fields = {"MBps_encode": encode, "MBps_decode": decode} | more
        return Row(
            more.pop("dataset", "cifar10"), codec, **{k: v for k, v in fields.items() if k != "dataset"}
        )

    rows = [
        row(OURS, 16, 9, engine="c", batch=1000, MBps_wall_encode=16, MBps_wall_decode=9),
        row(OURS, 3, 3, engine="c", batch=1000, isa="scalar"),
        row(OURS, 28, 14, engine="c", batch=1000, threads=2, MBps_wall_encode=28, MBps_wall_decode=14),
        row(FLOAT, 2, 3, engine="torch eager", batch=1),
        row(FLOAT, 4, 4, engine="torch eager", batch=64),
        row("jxl_e7", 2, 9),
        row(OURS, 14, 4, engine="c", dataset="kodak"),
    ]
    lines = goals_table(rows).splitlines()[2:]
    cells = {line.split("|")[1].strip(): [cell.strip() for cell in line.split("|")[3:-1]] for line in lines}
    assert cells["small images, MB/s"] == ["16.00", "9.00", "goal, must"]
    assert cells["times float32 networks, one a call"] == ["8.00x", "3.00x", "goal, MISSED"]
    assert cells["times float32 networks, best batch"] == ["4.00x", "2.25x", "goal, MISSED"]
    assert cells["times JPEG XL e7"] == ["8.00x", "-", "MISSED"]
    assert cells["two threads : one, small images, wall"] == ["1.75x", "1.56x", "must, MISSED"]
    assert cells["one photograph a call : small images"] == ["0.88x", "0.44x", "goal, MISSED"]
    assert cells["two threads : one, one photograph a call, wall"][-1] == "not measured"


def test_data_and_what_stands_in(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(root / "scripts")
    monkeypatch.setenv("FSAR_DATA", str(tmp_path))
    from codec_bench.images import cifar10, kodak

    planes = np.arange(5 * 3072, dtype=np.uint32).astype(np.uint8).reshape(5, 3, 32, 32)
    (tmp_path / "cifar10").mkdir()
    np.savez(tmp_path / "cifar10" / "val_data.npz", data=planes.reshape(5, -1))
    images = cifar10(3)
    assert images.name == "cifar10" and np.array_equal(images.pixels, planes[:3].transpose(0, 2, 3, 1))
    assert kodak(2).name == "photographs" and len(kodak(2).pixels) == 2


def test_the_zoo_beside_classical_codecs(root: Path, tmp_path: Path) -> None:
    script = root / "scripts" / "bench_frontier.py"
    few = ["--only", "cifar10", "--images", "40", "--repeats", "1", "--codecs", "png", "--zoo", "context"]
    done = subprocess.run(
        [sys.executable, script, *few],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(root), "FSAR_DATA": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    rows = [
        [cell.strip() for cell in line.split("|")[1:-1]] for line in done.stdout.splitlines() if "|" in line
    ]
    assert [row[0] for row in rows[2:]] == ["context", "png"]  # smallest files first
    assert float(rows[2][1]) < float(rows[3][1]) < 8 and rows[2][4] == "14,703"
