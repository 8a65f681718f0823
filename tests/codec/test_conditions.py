"""A causal network that sees latents: what the synthesis network says is coded with and decoded alike."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from conftest import smooth_images
from little_training import trained

from fsar_lab import entropy
from fsar_lab.codec.causal_net import CausalNetTables
from fsar_lab.codec.codec import Codec
from fsar_lab.codec.integer_network import NetworkError
from fsar_lab.codec.model import CodecModel
from fsar_lab.codec.networks import Networks
from fsar_lab.data import fake
from fsar_lab.errors import DamagedStreamError
from fsar_lab.export import export
from fsar_lab.exporting.estimates import estimated_latent_bits, float_bits
from fsar_lab.models.compressor import Compressor

CODER = [
    "coder=causal_net",
    "coder.radius=2",
    "coder.width=8",
    "coder.blocks=1",
    "coder.inner=8",
    "coder.hidden=8",
    "coder.mixtures=2",
]
VECTORS = ["prior=fsar_o2s", "quantizer.groups=2", "quantizer.dim=4", "quantizer.codebook_size=16"]


@pytest.fixture(scope="module")
def compressor() -> Compressor:
    return trained(*CODER, "coder.round_from=0.5", *VECTORS)


@pytest.fixture(scope="module")
def model(compressor: Compressor) -> CodecModel:
    return export(compressor, fake.smooth_images(64, 16, seed=1), {})


def check(compressor: Compressor, codec: Codec, tolerance: float) -> None:
    """Lossless, at the rate that the compressor says."""
    images = smooth_images(40, 16, seed=2)
    encoded = codec.encode_parts(images)
    assert np.array_equal(codec.decode(encoded.data), images)
    _, pixels = float_bits(compressor, images)
    assert encoded.pixels == pytest.approx(pixels, rel=tolerance)
    assert 0 < encoded.latents < 1.02 * estimated_latent_bits(compressor, codec.analyse(images))


def test_coded_as_it_was_trained(compressor: Compressor, model: CodecModel) -> None:
    assert compressor.coder.rounding.active
    check(compressor, Codec(model), 0.005)


@pytest.mark.parametrize(
    "quantizer",
    [
        ["quantizer=entropy_bottleneck", "prior=none", "quantizer.groups=8", "quantizer.codebook_size=16"],
        [
            "quantizer=mcquic",
            "prior=none",
            "quantizer.groups=2",
            "quantizer.dim=4",
            "quantizer.codebook_sizes=[16,8]",
        ],
    ],
    ids=["entropy_bottleneck", "mcquic"],
)
def test_other_quantizers_and_a_network_that_was_never_rounded(quantizer: list[str]) -> None:
    compressor = trained(*CODER, "coder.round_from=1.0", "coder.conditions=4", *quantizer)
    assert not compressor.coder.rounding.active
    check(compressor, Codec(export(compressor, fake.smooth_images(64, 16, seed=1), {})), 0.03)


def test_latents_are_seen(model: CodecModel) -> None:
    """With what other indices say, the same pixels cost other bits, and what was coded is not decoded."""
    codec, images = Codec(model), smooth_images(2, 16)
    indices = codec.analyse(images)
    own, other = codec.synthesise(indices), codec.synthesise((indices + 1) % 16)
    assert own[0].min() >= 0 and own[0].max() <= 255 and len(np.unique(own[0])) > 10
    streams = []
    for said in (own, other):
        encoder = entropy.Encoder(2)
        codec.pixel_coder.push(encoder, images, said)
        streams.append(encoder.finish())
    assert streams[0] != streams[1]
    right, wrong = (
        codec.pixel_coder.pop(entropy.Decoder(streams[0], 2), said, (2, 16, 16)) for said in (own, other)
    )
    assert np.array_equal(right, images) and not np.array_equal(wrong, images)


def test_sizes_engines_threads_and_damage(model: CodecModel) -> None:
    codec = Codec(model, threads=1)
    sizes = [(1, 1), (70, 3), (17, 65), (66, 66), (1, 1)]
    images = [image[:h, :w] for image, (h, w) in zip(smooth_images(5, 70), sizes, strict=True)]
    data = codec.encode(images)
    assert all(np.array_equal(a, b) for a, b in zip(codec.decode(data), images, strict=True))
    assert np.array_equal(codec.decode(data, only=2), images[2])
    assert Codec(model, threads=2).encode(images) == data
    on_torch = Codec(model, engine="torch")
    for few in (images[:1], smooth_images(3, 8)):  # all pixels are PyTorch's, step by step
        assert on_torch.encode(few) == codec.encode(few)
        decoded = on_torch.decode(codec.encode(few))
        assert all(np.array_equal(a, b) for a, b in zip(decoded, few, strict=True))
    for place in (-30, -len(data) // 3):
        bad = bytearray(data)
        bad[place] ^= 64
        with pytest.raises(DamagedStreamError):
            codec.decode(bytes(bad))


def test_file_and_what_does_not_fit(model: CodecModel, tmp_path: Path) -> None:
    model.save(tmp_path / "a.fsarm")
    loaded = CodecModel.load(tmp_path / "a.fsarm")
    images = smooth_images(3)
    assert loaded.id == model.id
    assert Codec(loaded).encode(images) == Codec(model).encode(images)
    part, networks = model.pixels, model.networks
    assert isinstance(part, CausalNetTables) and isinstance(networks, Networks)
    assert part.shape.conditions == 8
    first = part.arrays["first"][:, :-4]
    with pytest.raises(NetworkError, match="disagree"):
        fewer = replace(part, shape=replace(part.shape, conditions=4), arrays={**part.arrays, "first": first})
        replace(model, pixels=fewer).check()
    with pytest.raises(NetworkError, match="disagree"):
        replace(model, networks=None, prior=None).check()
    *layers, head = networks.synthesis.layers
    for low, high in ((-1, 255), (0, 256)):
        wide = replace(head, low=np.full_like(head.low, low), high=np.full_like(head.high, high))
        synthesis = replace(networks.synthesis, layers=(*layers, wide))
        with pytest.raises(NetworkError, match="no bytes"):
            replace(model, networks=replace(networks, synthesis=synthesis)).check()
