"""The package is light: nothing heavy on import, and coding works from the wheel without torch."""

from __future__ import annotations

import shutil
import subprocess
import sys
import textwrap
import tomllib
import venv
import zipfile
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement

from fsar_lab import zoo

HEAVY = ("torch", "torchvision", "lightning", "pytorch_lightning", "hydra", "omegaconf", "wandb", "numpy")


def python(executable: Path | str, code: str, cwd: Path) -> str:
    """Runs code in a fresh interpreter and gives what it printed."""
    command = [str(executable), "-c", textwrap.dedent(code)]
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.strip()


def test_import_loads_nothing_heavy(root: Path) -> None:
    code = """
        import sys, fsar_lab, fsar_lab.errors
        assert "Codec" in dir(fsar_lab) and fsar_lab.__version__
        try:
            fsar_lab.nonsense
        except AttributeError as error:
            assert "nonsense" in str(error)
        print(*{name.split(".")[0] for name in sys.modules})
    """
    assert not set(HEAVY) & set(python(sys.executable, code, root).split())


def test_coding_side_does_not_import_torch(root: Path) -> None:
    modules = "fsar_lab.entropy, fsar_lab.codec.engine_c, fsar_lab.baselines, fsar_lab.report"
    code = f"import sys, {modules}; print(*sys.modules)"
    loaded = {name.split(".")[0] for name in python(sys.executable, code, root).split()}
    assert not set(HEAVY) - {"numpy"} & loaded


def core_distributions(root: Path) -> set[str]:
    """Names of the core dependencies and of everything that these need, from the installed metadata."""
    found: set[str] = set()
    waiting = list(tomllib.loads((root / "pyproject.toml").read_text())["project"]["dependencies"])
    while waiting:
        requirement = Requirement(waiting.pop())
        wanted = requirement.marker is None or requirement.marker.evaluate({"extra": ""})
        if wanted and requirement.name not in found:
            found.add(requirement.name)
            waiting += metadata.requires(requirement.name) or ()
    return found


def copy_distribution(name: str, site_packages: Path) -> None:
    """Copies an installed distribution as its RECORD lists it; no registry is asked."""
    for file in metadata.files(name) or ():
        if ".." not in file.parts and "__pycache__" not in file.parts:
            target = site_packages / file
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(str(file.locate()), target)


ROUND_TRIP = """
    import importlib.util
    import numpy as np
    assert all(importlib.util.find_spec(name) is None for name in ("torch", "hydra", "lightning", "pytest"))
    import fsar_lab
    from fsar_lab import baselines, entropy, report
    rng = np.random.default_rng(0)
    counts = np.full((5, 16), 1, np.uint32)
    counts[:, 0] = (1 << 12) - 15
    tables = entropy.Tables(counts, 12)
    symbols = rng.integers(0, 16, (40, 99)).astype(np.uint16)
    index = rng.integers(0, 5, (40, 99)).astype(np.uint32)
    encoder = entropy.Encoder(40)
    encoder.push_indexed(tables, symbols, index)
    decoder = entropy.Decoder(encoder.finish(), 40)
    assert (decoder.pop_indexed(tables, index) == symbols).all()
    decoder.finish()
    from fsar_lab.codec import engine_c
    assert engine_c.isa("scalar") == "scalar"
    from fsar_lab import zoo
    for name in zoo.codec_names():
        codec = fsar_lab.Codec.load(zoo.codec_path(name), threads=1)
        images = [rng.integers(0, 256, (height, 9, 3), np.uint8) for height in (5, 32)]
        decoded = codec.decode(codec.encode(images))
        assert all((a == b).all() for a, b in zip(decoded, images, strict=True))
    (row,) = baselines.measure(["webp"], rng.integers(0, 256, (2, 8, 8, 3), np.uint8))
    report.print_result({"baselines": [row]})
    print(fsar_lab.__version__, fsar_lab.__file__, *zoo.codec_names())
"""


def test_wheel_codes_without_torch(root: Path, tmp_path: Path) -> None:
    source = tmp_path / "source"
    made = ("*.so", "__pycache__", "*.o", "build", "*.egg-info", "_entropy_c.c", "_network_c.c")
    unwanted = shutil.ignore_patterns(*made)
    for name in ("fsar_lab", "entropy_c", "conf", "tests"):  # the last two must stay out of the wheel
        shutil.copytree(root / name, source / name, ignore=unwanted)
    for name in ("setup.py", "pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(root / name, source)
    build = [
        sys.executable,
        "-m",
        "build",
        "--wheel",
        "--no-isolation",
        "--outdir",
        str(tmp_path),
        str(source),
    ]
    done = subprocess.run(build, capture_output=True, text=True, timeout=900)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]

    (wheel,) = tmp_path.glob("*.whl")
    assert "-cp311-abi3-" in wheel.name
    with zipfile.ZipFile(wheel) as opened:
        names = opened.namelist()
    assert {name.split("/")[0].split("-")[0] for name in names} == {"fsar_lab"}
    assert {"fsar_lab/py.typed", "fsar_lab/report/page.css", "fsar_lab/report/page.js"} <= set(names)
    for name in zoo.codec_names():
        assert {f"fsar_lab/zoo/codecs/{name}.fsarm", f"fsar_lab/zoo/codecs/{name}.md"} <= set(names)
    for module in ("entropy/_entropy_c", "codec/_network_c"):
        assert f"fsar_lab/{module}.abi3.so" in names
    assert any(name.endswith("/LICENSE") for name in names)

    venv.create(tmp_path / "venv", with_pip=False)
    clean = tmp_path / "venv" / "bin" / "python"
    site_packages = Path(python(clean, "import sysconfig; print(sysconfig.get_path('platlib'))", tmp_path))
    core = core_distributions(root)
    assert {"numpy", "cffi", "pillow", "safetensors", "rich"} <= core and "torch" not in core
    for name in sorted(core):
        copy_distribution(name, site_packages)
    pip = [sys.executable, "-m", "pip", "--python", str(clean), "install", "--no-index", "-q", str(wheel)]
    done = subprocess.run(
        pip, capture_output=True, text=True, timeout=120
    )  # fails if a core dependency lacks
    assert done.returncode == 0, done.stdout + done.stderr

    printed = python(clean, ROUND_TRIP, tmp_path)
    assert str(site_packages) in printed and printed.splitlines()[-1].split()[2:] == zoo.codec_names()
