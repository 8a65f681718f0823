"""Every quantizer, trained a little, becomes an integer codec and codes losslessly at the estimated rate."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from little_training import trained

from fsar_lab.codec.codec import Codec
from fsar_lab.codec.model import CodecModel
from fsar_lab.config import options
from fsar_lab.data.fake import smooth_images
from fsar_lab.export import export
from fsar_lab.exporting.estimates import estimated_bits, float_bits

ELSEWHERE = ("none", "gaussian", "mcquic")  # no latents; bits-back and several levels have tests of their own
QUANTIZERS = [name for name in options.groups()["quantizer"] if name not in ELSEWHERE]
REPRESENTATIVES = ("v2dvq", "soft_to_hard", "vqvae_ema", "entropy_bottleneck")
OWN_DENSITY = {"entropy_bottleneck": ["prior=none", "quantizer.groups=8", "quantizer.codebook_size=16"]}
VECTORS = ["prior=fsar_o1s", "quantizer.groups=2", "quantizer.dim=4", "quantizer.codebook_size=16"]


@pytest.mark.parametrize(
    "name",
    [pytest.param(n, marks=[] if n in REPRESENTATIVES else pytest.mark.slow) for n in QUANTIZERS],
)
def test_codes_losslessly_at_the_estimated_rate(name: str) -> None:
    model = trained(f"quantizer={name}", *OWN_DENSITY.get(name, VECTORS))
    codec = Codec(export(model, smooth_images(64, 16, seed=1), {}), threads=1)
    images = np.ascontiguousarray(smooth_images(32, 16, seed=2).permute(0, 2, 3, 1).numpy())
    encoded = codec.encode_parts(images)
    assert np.array_equal(codec.decode(encoded.data), images)

    latent, pixel = estimated_bits(model, codec, images)
    assert encoded.pixels == pytest.approx(pixel, rel=0.01)
    assert encoded.latents < 1.01 * latent  # less is possible: tables have seen more images than the network
    assert latent + pixel == pytest.approx(sum(float_bits(model, images)), rel=0.02)


def test_the_bottleneck_has_one_static_table_for_each_kind_of_channel() -> None:
    model = trained("quantizer=entropy_bottleneck", *OWN_DENSITY["entropy_bottleneck"])
    with torch.no_grad():  # channel 0 stays at one value; channel 1 spreads over four
        model.quantizer.density.log_scale[0] = -3.0
        model.quantizer.density.mean[0] = 0.0
        model.backbone.analysis[-1].weight[0] = 0.0
        model.backbone.analysis[-1].bias[0] = 0.2
    exported: CodecModel = export(model, smooth_images(64, 16, seed=1), {})
    assert exported.prior is not None and exported.prior.groups == 8
    codec = Codec(exported, threads=1)
    images = np.ascontiguousarray(smooth_images(8, 16, seed=2).permute(0, 2, 3, 1).numpy())
    indices = codec.analyse(images)
    assert (indices[:, 0] == 8).all()  # zero in the middle of 16 values
    own = exported.prior.counts[exported.prior.context_map[:, 0]]  # type: ignore[attr-defined]
    assert own.sum(1).tolist() == [1 << 16] * 8
    assert own[0, 8] > 65000 > own[1].max()
    assert np.array_equal(codec.decode(codec.encode(images)), images)
