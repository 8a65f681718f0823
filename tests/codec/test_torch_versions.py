"""Another version of torch computes the same bytes: the golden files, coded there."""

from __future__ import annotations

import subprocess
import venv
from pathlib import Path

import pytest

OTHER = (
    "2.11.0"  # the oldest that fsar_lab is kept working with; a download of several GB with CUDA's libraries
)
CODE = """
import numpy as np, sys, torch
from pathlib import Path
from fsar_lab.codec.codec import Codec

assert torch.__version__.split("+")[0] == sys.argv[1], torch.__version__
golden = Path(sys.argv[2])
done = 0
for threads in (1, 2):
    codec = Codec.load(golden / "made.fsarm", threads=threads, engine="torch")
    for path in sorted(golden.glob("*.fsb")):
        blob = path.read_bytes()
        assert codec.encode(codec.decode(blob)) == blob, path
        done += 1
print(done)
"""


@pytest.mark.slow
def test_another_torch_gives_the_golden_bytes(root: Path, tmp_path: Path) -> None:
    venv.create(tmp_path / "venv", with_pip=True)
    python = str(tmp_path / "venv" / "bin" / "python")
    install = [python, "-m", "pip", "install", "-q", f"torch=={OTHER}", "numpy", "safetensors", "cffi"]
    subprocess.run(install, check=True, timeout=1500)
    golden = root / "tests" / "golden"
    done = subprocess.run(
        [python, "-c", CODE, OTHER, str(golden)], cwd=root, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) == 2 * len(list(golden.glob("*.fsb"))) > 0
