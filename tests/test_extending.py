"""The options of docs/extending.md, taken from the page as they stand, are trained and coded."""

from __future__ import annotations

import json
import re
import shutil
from importlib import import_module
from pathlib import Path

import pytest

from fsar_lab import run_files
from fsar_lab.config import options
from fsar_lab.config.compose import compose
from fsar_lab.train import main
from tests.training.conftest import TINY

PAGE = (Path(__file__).parents[1] / "docs" / "extending.md").read_text()
FILES = dict(re.findall(r"<!-- (\S+) -->\n```\w+\n(.*?)```", PAGE, re.DOTALL))
OWN = ["quantizer=rotation", "prior=additive"]


@pytest.fixture
def config_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """conf/ with the page's YAML files; its modules can be imported from their packages."""
    conf = tmp_path / "conf"
    shutil.copytree(options.CONFIG_DIR, conf)
    for name, text in FILES.items():
        target = tmp_path / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)
        if name.endswith(".py"):
            package = import_module(".".join(Path(name).parent.parts))
            monkeypatch.setattr(package, "__path__", [*package.__path__, str(target.parent)])
    return conf


def test_the_examples_are_short() -> None:
    yaml = [text for name, text in FILES.items() if name.endswith(".yaml")]
    assert len(FILES) == 4 and len(yaml) == 2
    assert all(len(text.splitlines()) <= 12 for text in yaml)


def test_a_quantizer_and_a_prior_of_one_file_each(config_dir: Path, tmp_path: Path) -> None:
    config = compose([*TINY, *OWN], config_dir)
    run_dir = tmp_path / "run"
    run_dir.mkdir()
    bpd = main(config, run_dir)
    result = json.loads((run_dir / run_files.RESULT).read_text())
    assert (result["status"], result["lossless"], result["bpd"]) == ("ok", True, bpd)
    assert result["bpd_latents"] < 0.98 * 64 * 4 / (3 * 256), "the prior has learned"
    assert result["parameters"]["prior"] == 2 * 17 * 16


def test_the_rotated_gradient(config_dir: Path) -> None:
    """The value is the codeword; a change of y along y itself becomes one along the codeword."""
    import torch

    rotation = import_module("fsar_lab.models.quantizers.rotation")
    torch.manual_seed(0)
    quantizer = rotation.Rotation(compose([*TINY, *OWN], config_dir).quantizer)
    y = torch.randn(2, 8, 3, 3, requires_grad=True)
    quantized = quantizer(y)
    words = quantizer.lookup(quantized.indices)
    assert torch.allclose(quantized.vectors, words, atol=1e-6)
    change = torch.autograd.functional.jvp(lambda x: quantizer(x).vectors, y, y.detach())[1]
    assert torch.allclose(change, words, atol=1e-6)  # d/dt z((1 + t) y) = z, with R and lengths constant
