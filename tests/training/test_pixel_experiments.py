"""Backbones and coders with networks, trained, exported and coded in miniature."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from fsar_lab import run_files
from fsar_lab.config.compose import compose
from fsar_lab.train import main

# Each kind of coder with another kind of backbone.
PAIRS = {
    "gaussian_mean_offset": "shallow_skip",
    "logistic_linear_ar": "nods",
    "logistic_mixture": "shallow_ps",
}


@pytest.mark.parametrize("coder", PAIRS)
def test_trained_and_coded(coder: str, tiny: list[str], tmp_path: Path) -> None:
    kept = [o for o in tiny if not o.startswith("coder.fit_images") or coder.endswith("_ar")]
    overrides = [f"coder={coder}", f"backbone={PAIRS[coder]}", "prior=uniform", "quantizer=vqvae"]
    main(compose([*kept, *overrides, "trainer.train_images=240", "dataset.test_images=32"]), tmp_path)
    result = json.loads((tmp_path / run_files.RESULT).read_text())
    assert (result["status"], result["lossless"], result["images"]) == ("ok", True, 32)
    # Hardly trained: pixels far from their mean cost less with one count in 2^16 than the cross-entropy says.
    pixels = result["bpd_estimated"] - result["bpd_latents_estimated"]
    assert result["bpd_pixels"] == pytest.approx(pixels, rel=0.02)
    assert result["bpd_estimated"] == pytest.approx(result["bpd_float_estimated"], rel=0.02)
    assert 3 < result["bpd"] < 8
