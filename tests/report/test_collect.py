"""`python -m fsar_lab.collect`: files, console and exit codes."""

from __future__ import annotations

import csv
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from fsar_lab import collect
from fsar_lab.errors import ConfigError, FsarError
from fsar_lab.report.blocks import KEYS
from fsar_lab.report.runs import read_runs

from .conftest import Make

pytest.importorskip("matplotlib", reason="plots need fsar_lab[report]")


def test_a_sweep_that_is_still_running(
    make: Make, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, seed, bpd in (("ours", 0, 4.4), ("ours", 1, 4.5), ("vq|vae", 0, 4.6), ("vq|vae", 1, 4.62)):
        make(name, seed, bpd)
    make("late", 0, None)
    make("broken", 0, 4.0, status="failed", error="TrainingError: [boom]")
    sweep = tmp_path / "sweep"
    collect.main([str(sweep), "baseline=vq|vae"])
    out = sweep / "report"
    with (out / "table.csv").open(newline="") as file:
        rows = {row["experiment"]: row for row in csv.DictReader(file)}
    assert list(rows["ours"]) == list(KEYS)
    assert float(rows["ours"]["bpd"]) == pytest.approx(4.45) and rows["ours"]["seeds"] == "0 1"
    difference = (100 * (4.4 / 4.6 - 1) + 100 * (4.5 / 4.62 - 1)) / 2
    assert float(rows["ours"]["difference"]) == pytest.approx(difference)
    assert (rows["late"]["bpd"], rows["late"]["running"], rows["broken"]["failed"]) == ("", "1", "1")
    markdown = (out / "table.md").read_text()
    line = next(line for line in markdown.splitlines() if line.startswith("| ours | 2 | 4.4500 ± 0.0707 |"))
    assert f"| {difference:+.2f} ± 1.24 | 2 |" in line
    assert r"vq\|vae" in markdown and "jxl_e7" in markdown and "TrainingError: [boom]" in markdown
    assert "| late | 0 | running | 75% |" in markdown
    said = capsys.readouterr().out
    assert "4.4500 ± 0.0707" in said and "4 finished" in said
    assert "running: late, seed 0, 75% of the training images seen" in said and "[boom]" in said
    for key in ("rate-speed", "rate-bundle", "rate-tables", "bits", "time", "training", "perplexity"):
        with Image.open(out / "plots" / f"{key}.png") as image:
            assert image.width > 1000 and len(image.convert("RGB").getcolors(1 << 20) or ()) > 20
        assert (out / "plots" / f"{key}.svg").read_text().count("<path") > 5
    assert (out / "report.html").is_file()
    assert len(read_runs(sweep)) == 6  # its own report is no run


def test_several_folders_and_nothing_finished(
    make: Make, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    paths = [make("a", 0, None), make("b", 0, None)]
    collect.main([*map(str, paths), f"out={tmp_path / 'there'}"])
    assert "2 running" in capsys.readouterr().out
    markdown = (tmp_path / "there" / "table.md").read_text()
    assert markdown.count("running") == 2 and not (paths[0] / "report").exists()
    assert (tmp_path / "there" / "plots" / "training.png").is_file()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "name a sweep's folder"),
        (["nowhere"], "no such folder"),
        (["basline=a", "nowhere"], "basline: no such option"),
    ],
)
def test_mistakes(arguments: list[str], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match=said):
        collect.main(arguments)


def test_a_report_below_a_file_is_refused(make: Make, tmp_path: Path) -> None:
    make("a", 0, 4.0)
    (tmp_path / "file").write_text("")
    with pytest.raises(
        FsarError, match=r"out=.*no folder can be made there .Not a directory. -> another out="
    ):
        collect.main([str(tmp_path / "sweep"), f"out={tmp_path / 'file' / 'report'}"])


def test_the_exit_code(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "fsar_lab.collect", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2 and "no run of fsar_lab in it (empty)" in done.stderr
    assert "Traceback" not in done.stderr and not list(tmp_path.iterdir())
