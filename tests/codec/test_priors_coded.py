"""Every prior of tables, trained a little, becomes integers and codes losslessly at the estimated rate."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from little_training import trained

from fsar_lab.bundle import validation_figures
from fsar_lab.codec.codec import Codec
from fsar_lab.codec.model import CodecModel
from fsar_lab.codec.prior import PriorTables
from fsar_lab.data.fake import smooth_images
from fsar_lab.export import export
from fsar_lab.exporting.estimates import estimated_bits, float_bits
from fsar_lab.models.compressor import Compressor
from fsar_lab.models.reduced import reduced
from fsar_lab.tables import latents, prior_tables

SIZES = ["quantizer.groups=4", "quantizer.dim=2", "quantizer.codebook_size=16"]
# More contexts than the limit, so that classes are made; the others are enumerated.
CLASSES = ("fsar_o3s", "fsar_clt", "fsar_c2lt")
REPRESENTATIVES = ("code_freq", "fsar_cl", "fsar_o3s")
PRIORS = ("code_freq", "fsar_o2s", "fsar_l2", "fsar_c", "fsar_c2", "fsar_cl", *CLASSES)


def with_prior(prior: str, *overrides: str) -> Compressor:
    return trained(*SIZES, f"prior={prior}", *overrides)


def images(count: int, seed: int) -> np.ndarray:
    return np.ascontiguousarray(smooth_images(count, 16, seed=seed).permute(0, 2, 3, 1).numpy())


def check(model: Compressor, exported: CodecModel) -> Codec:
    """Lossless, and at the rate that the float model says."""
    codec, x = Codec(exported, threads=1), images(32, 2)
    encoded = codec.encode_parts(x)
    assert np.array_equal(codec.decode(encoded.data), x)
    latent, pixel = estimated_bits(model, codec, x)
    # Less is possible: the tables have seen more images than the network.
    assert encoded.latents < 1.02 * latent and encoded.pixels == pytest.approx(pixel, rel=0.01)
    assert latent + pixel == pytest.approx(sum(float_bits(model, x)), rel=0.02)
    return codec


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=[] if n in REPRESENTATIVES else pytest.mark.slow) for n in PRIORS]
)
def test_codes_losslessly_at_the_estimated_rate(
    name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(prior_tables, "MAX_ENUMERATED", 4 * 17**2 * 16)
    monkeypatch.setattr(prior_tables, "COARSE_COUNTS", 2000 * 16)
    monkeypatch.setattr(latents, "MAX_CONTEXTS", 8000)
    model = with_prior(name)
    exported = export(model, smooth_images(64, 16, seed=1), {})
    assert isinstance(exported.prior, PriorTables)
    assert (exported.prior.classes is not None) == (name in CLASSES)
    codec = check(model, exported)
    exported.save(tmp_path / "codec.fsarm")
    loaded = CodecModel.load(tmp_path / "codec.fsarm")
    assert loaded.id == exported.id
    x = images(5, 3)
    assert Codec(loaded, threads=1).encode(x) == codec.encode(x)
    figures = validation_figures(model, exported, images(9, 4))
    assert -50 < figures["latent_table_loss_percent"] < 2


@pytest.mark.parametrize("quantizer", ["v2dvq", "vqvae", "sqvae"])
def test_dropped_codes_are_not_in_the_codec(quantizer: str) -> None:
    """METHOD 5 and 9.1-2: the codec's choice is the evaluated one, among the kept codes alone."""
    model = with_prior("fsar_o2s_catreduce15", f"quantizer={quantizer}")
    with torch.no_grad():
        model.prior.theta[::3] = -5.0
        model.prior.theta[1::3] += torch.linspace(-0.5, 0.5, 5)  # the weights differ, not only the mask
    kept = model.prior.kept()
    assert 2 <= len(kept) < 16
    exported = export(model, smooth_images(64, 16, seed=1), {})
    assert isinstance(exported.prior, PriorTables) and exported.networks is not None
    assert exported.prior.codebook_size == exported.networks.codebook_size == len(kept)
    assert exported.prior.context_map.shape[1] == (len(kept) + 1) ** 2
    codec, x = check(model, exported), images(32, 2)
    with torch.no_grad():
        evaluated = model(torch.from_numpy(x).permute(0, 3, 1, 2)).indices
        plain = model.quantizer(
            model.backbone.analysis(model.centred(torch.from_numpy(x).permute(0, 3, 1, 2)))
        )
    chosen = kept[torch.from_numpy(codec.analyse(x).astype(np.int64))]
    assert (chosen == evaluated).float().mean() > 0.98  # but for the rounding of integers
    assert (plain.indices == evaluated).float().mean() < 0.9


def test_a_reduced_model_is_the_same_model() -> None:
    model = with_prior("fsar_o2s_catreduce15")
    with torch.no_grad():
        model.prior.theta[::3] = -5.0
    small, x = reduced(model), smooth_images(8, 16, seed=2)
    kept = model.prior.kept()
    with torch.no_grad():
        one, other = model(x), small(x)
    assert torch.equal(kept[other.indices], one.indices)
    torch.testing.assert_close(other.latent_nats, one.latent_nats, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(other.pixel_nats, one.pixel_nats)
    assert reduced(small) is small
    assert model.quantizer.codebook_size == 16, "the original stays"


def test_two_codes_are_left_at_least() -> None:
    model = with_prior("fsar_o2s_catreduce15")
    with torch.no_grad():
        model.prior.theta.fill_(-9.0)
        model.prior.theta[3], model.prior.theta[7] = 5.0, 0.0
    assert model.prior.kept().tolist() == [3]
    exported = export(model, smooth_images(16, 16, seed=1), {})
    assert exported.prior is not None and exported.prior.codebook_size == 2
    codec, x = Codec(exported, threads=1), images(4, 2)
    assert np.array_equal(codec.decode(codec.encode(x)), x)
    assert (codec.analyse(x) == 0).all()
