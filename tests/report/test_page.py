"""The page stands alone and is laid out well: looked at in headless Chromium where there is one."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from html import unescape
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from fsar_lab.report.page import page
from fsar_lab.report.panels import build_panels
from fsar_lab.report.runs import read_run

from .conftest import maker

pytest.importorskip("matplotlib", reason="charts need fsar_lab[report]")
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
needs_chromium = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here: apt-get install chromium")
WIDE, NARROW = 1280, 390
# Errors are noted from the start; what was laid out is written into the page when it is there.
BEFORE = """<script>
window.said = [];
window.addEventListener("error", (e) => window.said.push(String(e.message)), true);
</script>"""
AFTER = """<script>
const boxes = [...document.querySelectorAll(".chart > div")].filter((e) => e.offsetWidth).map((e) => {
  const box = e.getBoundingClientRect();
  return {panel: e.closest("section").id, x: box.x, y: box.y, width: box.width, height: box.height};
});
const column = (n) => [...document.querySelectorAll("#results tbody:first-of-type tr")]
  .filter((row) => row.cells.length > 1).map((row) => row.cells[n].textContent);
const orders = [column(0)];
const buttons = document.querySelectorAll("#results thead button");
for (const n of [2, 2, 2, 0]) { buttons[n].click(); orders.push(column(0)); }
const clipped = [...document.querySelectorAll(".chart text")].filter((e) => {
  const box = e.getBoundingClientRect(), frame = e.closest("svg").getBoundingClientRect();
  return box.width && (box.left < frame.left - 1 || box.right > frame.right + 1);
}).map((e) => e.textContent);
parent.postMessage(JSON.stringify({said, boxes, orders, clipped, width: innerWidth,
  scroll: document.documentElement.scrollWidth, height: document.documentElement.scrollHeight}), "*");
</script>"""
# A window has a least width, a frame in it has not.
FRAME = """<!doctype html><pre id="probe"></pre><script>
addEventListener("message", (e) => { document.getElementById("probe").textContent = e.data; });
</script><iframe src="page.html" style="width: %dpx; height: 900px; border: 0"></iframe>"""


@pytest.fixture(scope="module")
def made(plain_config: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> str:
    make = maker(tmp_path_factory.mktemp("page"), plain_config)
    runs = [
        read_run(make(name, seed, bpd, decode_MBps=speed, codec_bytes=size))
        for name, bpd, speed, size in (
            ("v2dvq_c2_fsar_o2s_catreduce15", 4.31, 16.0, 440_000),
            ("<b>vqvae_c2</b>", 4.52, 5.0, 270_000),
            ("v2dvq_c2", 4.49, 5.1, 271_000),
        )
        for seed in (0, 1)
    ]
    runs += [
        read_run(make("late", 0, None)),
        read_run(make("broken", 0, 4.0, status="failed", error="a" * 200)),
    ]
    return page("A sweep & more", "made for a test", runs, build_panels(runs, "v2dvq_c2"))


def test_the_page_stands_alone(made: str) -> None:
    links = re.findall(r'(?:src|href)="([^"]*)"', made)
    assert links and all(link.startswith(("#", "data:")) for link in links)
    assert not re.search(r"@import|url\(\s*['\"]?(?!#)", made)
    anchors = {link[1:] for link in links if link.startswith("#") and f'id="{link[1:]}"' not in made}
    assert not anchors
    ids = re.findall(r'\bid="([^"]+)"', made)
    assert len(ids) == len(set(ids))
    assert "<b>vqvae" not in made and "&lt;b&gt;vqvae_c2" in made and "A sweep &amp; more" in made


def test_what_it_says(made: str) -> None:
    text = re.sub(r"<style>.*?</style>|<script>.*?</script>", "", made, flags=re.DOTALL)
    for part in ("6 finished", "1 running", "1 failed", "4.3100 ± 0.0000", "estimated", "75%", "a" * 200):
        assert part in text, part
    assert text.count("<svg") == 2 * 8 and text.count('class="best"') == 1
    assert "data:image/png;base64," in text
    assert (
        "<title>v2dvq_c2: 4.4900 bpd, 5.1 (decoding, MB/s)</title>" in text and "<title>late</title>" in text
    )
    # Chart colours follow the page: none of a file's own is left.
    assert "#2563eb" not in text and "var(--series-0)" in text


def chromium(*arguments: str) -> str:
    assert CHROMIUM
    root = ["--no-sandbox"] if hasattr(os, "geteuid") and os.geteuid() == 0 else []
    quiet = ("--headless", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars")
    command = [CHROMIUM, *quiet, *root, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    assert "CONSOLE" not in done.stderr, done.stderr
    return done.stdout


def probed(folder: Path, html: str, width: int) -> dict[str, Any]:
    """What the page says of itself in a window of that width."""
    (folder / "page.html").write_text(
        html.replace("<head>", f"<head>{BEFORE}").replace("</body>", f"{AFTER}</body>")
    )
    frame = folder / "frame.html"
    frame.write_text(FRAME % width)
    window = ("--window-size=1400,1000", "--virtual-time-budget=5000", "--enable-logging=stderr")
    found = re.search(
        r'<pre id="probe">(.*?)</pre>', chromium(*window, "--dump-dom", frame.as_uri()), re.DOTALL
    )
    assert found
    content: dict[str, Any] = json.loads(unescape(found[1]))
    return content


def painted(path: Path, width: int, height: int, *arguments: str) -> np.ndarray[Any, np.dtype[np.uint8]]:
    picture = path.with_suffix(".png")
    chromium(f"--window-size={width},{height}", f"--screenshot={picture}", *arguments, path.as_uri())
    with Image.open(picture) as image:
        return np.asarray(image.convert("RGB"))


@needs_chromium
@pytest.mark.parametrize("width", [WIDE, NARROW])
def test_nothing_is_cut_off_or_wider_than_the_window(made: str, width: int, tmp_path: Path) -> None:
    laid_out = probed(tmp_path, made, width)
    assert laid_out["said"] == [] and laid_out["width"] == width
    assert laid_out["scroll"] <= width
    assert laid_out["clipped"] == []
    assert len(laid_out["boxes"]) == 8
    for box in laid_out["boxes"]:
        assert box["x"] >= 0 and box["x"] + box["width"] <= width and box["height"] > 100, box
    first, by_bpd, downwards, back, by_name = laid_out["orders"]
    names = ["v2dvq_c2_fsar_o2s_catreduce15", "v2dvq_c2", "<b>vqvae_c2</b>"]
    assert first == names == by_bpd and downwards == names[::-1] and back == names
    assert by_name == sorted(names)

    # Every chart has its marks where it stands, in the colours of the light and of the dark page.
    dark = "--blink-settings=preferredColorScheme=0"
    path = tmp_path / "page.html"
    path.write_text(made)
    for arguments, paper, ink in (((), (255, 255, 255), "2563eb"), ((dark,), (15, 19, 24), "6ea8fe")):
        pixels = painted(path, width, laid_out["height"], *arguments)
        assert tuple(pixels[2, 2]) == paper
        blue = (pixels == tuple(bytes.fromhex(ink))).all(-1)
        for box in laid_out["boxes"]:
            top, left = round(box["y"]), round(box["x"])
            inside = blue[top : top + round(box["height"]), left : left + round(box["width"])]
            assert inside.sum() > 20, (box, arguments)
