"""Convolution priors in integers: against a loop in whole numbers, against the float network, and coded."""

from __future__ import annotations

import itertools
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from safetensors import safe_open
from safetensors.numpy import save_file

from fsar_lab import entropy
from fsar_lab.codec.codec import Codec
from fsar_lab.codec.convolution_prior import ConvolutionPrior
from fsar_lab.codec.fixed_point import softmax_counts
from fsar_lab.codec.integer_network import NetworkError
from fsar_lab.codec.model import KEY, CodecModel
from fsar_lab.config.schema import ConvolutionConfig
from fsar_lab.errors import DamagedStreamError, ExportError, SymbolRangeError
from fsar_lab.exporting.estimates import estimated_latent_bits
from fsar_lab.models.compressor import Compressor
from fsar_lab.models.priors.convolution import Convolution
from fsar_lab.tables.convolution import convolution_prior

GROUPS, K, D = 3, 5, 3
KINDS = list(itertools.product(("raster", "checkerboard"), (3, 5)))
PLANES = list(itertools.product(("raster3d",), (3, 5)))


def make_float(
    mask: str, kernel: int, groups: int = GROUPS, k: int = K, d: int = D, std: float = 0.6
) -> Convolution:
    """A prior whose neighbours matter: what codes cost is far from uniform."""
    with torch.random.fork_rng():
        torch.manual_seed(1)
        prior = Convolution(ConvolutionConfig(mask=mask, kernel=kernel), groups, k, d)
        torch.nn.init.normal_(prior.convolution.weight, std=std)
        if prior.static is not None:
            torch.nn.init.normal_(prior.static)
    return prior


def make(mask: str, kernel: int) -> ConvolutionPrior:
    codebooks = torch.randn(GROUPS, K, D, generator=torch.Generator().manual_seed(2))
    return convolution_prior(make_float(mask, kernel), codebooks[:1] if mask == "raster3d" else codebooks)


def symbols(number: int, height: int, width: int) -> NDArray[np.uint16]:
    rng = np.random.default_rng(3)
    return rng.integers(0, K, (number, GROUPS, height, width)).astype(np.uint16)


def naive_counts(prior: ConvolutionPrior, indices: NDArray[np.uint16]) -> NDArray[np.uint32]:
    """Counts of every symbol [N, G, h, w, K], as docs/FORMAT-bundle.md has it, in Python's integers."""
    number, _, height, width = indices.shape
    weight, vectors, reach = prior.weight.tolist(), prior.vectors.tolist(), prior.kernel // 2
    planes, groups = (GROUPS, 1) if prior.mask == "raster3d" else (1, GROUPS)
    window = list(itertools.product(range(-reach if planes > 1 else 0, 1), *2 * [range(-reach, reach + 1)]))
    taps = [tap for tap in window if (sum(tap) % 2 if prior.mask == "checkerboard" else tap < (0, 0, 0))]
    counts = np.zeros((number, GROUPS, height, width, K), np.uint32)
    for n, z, y, x in itertools.product(range(number), range(planes), range(height), range(width)):
        logits = [int(b) for b in prior.bias.reshape(-1)]
        if prior.static is not None and (y + x) % 2:
            logits = [int(b) for b in prior.static.reshape(-1)]
        else:
            for (t, (dz, dy, dx)), g in itertools.product(enumerate(taps), range(groups)):
                if z + dz >= 0 and 0 <= y + dy < height and 0 <= x + dx < width:
                    vector = vectors[g][indices[n, z + dz + g, y + dy, x + dx]]
                    for o in range(groups * K):
                        total = sum(vector[d] * weight[t][g][d][o] for d in range(D))
                        logits[o] += (total + (1 << (prior.shift - 1))) >> prior.shift
        counts[n, z : z + groups, y, x] = softmax_counts(np.array(logits).reshape(groups, K), prior.bits)
    return counts


@pytest.mark.parametrize(("mask", "kernel"), KINDS + PLANES)
@pytest.mark.parametrize(
    ("number", "height", "width"), [(3, 4, 6), (1, 1, 1), (2, 5, 1), (2, 1, 2), (35, 3, 3)]
)
def test_codes_with_the_distributions_of_the_specification(
    mask: str, kernel: int, number: int, height: int, width: int
) -> None:
    """The stream is that of explicit rows with these counts, in the order of decoding."""
    prior, indices = make(mask, kernel), symbols(number, height, width)
    counts = naive_counts(prior, indices)
    starts = (np.cumsum(counts, -1, np.uint32) - counts).astype(np.uint16)
    positions = list(itertools.product(range(height), range(width)))
    order = [(g, y, x) for y, x in positions for g in range(GROUPS)]
    if mask == "checkerboard":
        anchors = [(g, y, x) for g in range(GROUPS) for y, x in positions if (y + x) % 2]
        order = anchors + [(g, y, x) for g, y, x in order if (y + x) % 2 == 0]
    elif mask == "raster3d":
        order = sorted(order)
    expected = entropy.Encoder(number)
    for place in reversed(order):
        expected.push_rows(starts[:, *place].copy(), prior.bits, indices[:, *place].copy())

    coder, encoder = prior.make_coder(), entropy.Encoder(number)
    coder.push(encoder, indices)
    stream = encoder.finish()
    assert stream == expected.finish()
    decoder = entropy.Decoder(stream, number)
    assert np.array_equal(coder.pop(decoder, indices.shape), indices)
    decoder.finish()


@pytest.mark.parametrize(("mask", "kernel"), KINDS)
def test_integers_cost_what_the_float_network_says(made_compressor: Any, mask: str, kernel: int) -> None:
    compressor: Compressor = made_compressor(width=32, groups=2, k=64)
    prior = make_float(mask, kernel, 2, 64, 16, 0.2)
    compressor = Compressor(compressor.backbone, compressor.quantizer, prior, compressor.coder).eval()
    part = convolution_prior(prior, compressor.quantizer.codebooks)
    indices = np.random.default_rng(0).integers(0, 64, (40, 2, 8, 8)).astype(np.uint16)
    sampled = part.make_coder().pop(noise(40), indices.shape)  # typical of the prior itself
    for latents, tolerance in ((sampled, 1e-3), (indices, 0.02)):
        encoder = entropy.Encoder(40)
        start = encoder.information()
        part.make_coder().push(encoder, latents)
        bits = encoder.information() - start
        assert bits == pytest.approx(estimated_latent_bits(compressor, latents), rel=tolerance)
    # What is not typical costs more than uniform indices; its least likely symbols have a count all the same.
    assert bits > 1.1 * 6 * indices.size


def noise(number: int) -> entropy.Decoder:
    """A stream of random words: decoding it draws samples from the distribution."""
    rng = np.random.default_rng(5)
    streams = []
    for first in range(0, number, entropy.LANES):
        lanes = min(entropy.LANES, number - first)
        states = rng.integers(1 << 16, 1 << 32, lanes, np.uint32).astype("<u4").tobytes()
        streams.append(states + rng.integers(0, 1 << 16, lanes * 200, np.uint16).astype("<u2").tobytes())
    return entropy.Decoder(streams, number)


def test_changed_indices_are_refused() -> None:
    indices = symbols(2, 3, 3)
    indices[1, 0, 2, 2] = K
    with pytest.raises(SymbolRangeError):
        make("raster", 3).make_coder().push(entropy.Encoder(2), indices)


@pytest.mark.parametrize("mask", ["raster", "checkerboard"])
def test_codes_images_in_a_bundle(
    mask: str, model: CodecModel, compressor: Compressor, made_images: Any, tmp_path: Path
) -> None:
    assert model.networks is not None
    prior = convolution_prior(make_float(mask, 3, 2, 16, 4), compressor.quantizer.codebooks)
    other = replace(model, prior=prior)
    other.save(tmp_path / "codec.fsarm")
    loaded = CodecModel.load(tmp_path / "codec.fsarm")
    assert loaded.id == other.id != model.id
    assert isinstance(loaded.prior, ConvolutionPrior)
    assert np.array_equal(loaded.prior.rows, prior.rows)
    images = [made_images(1, 16)[0], made_images(1, 48)[0, :, :37], made_images(1, 96)[0]]
    blobs = [Codec(each, threads).encode(images) for each, threads in ((other, 1), (loaded, 2))]
    assert blobs[0] == blobs[1]
    for image, decoded in zip(images, Codec(loaded, 1).decode(blobs[0]), strict=True):
        assert np.array_equal(image, decoded)
    damaged = bytearray(blobs[0])
    damaged[40] ^= 16
    with pytest.raises(DamagedStreamError):
        Codec(loaded, 1).decode(bytes(damaged))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"kind": "convolutions"}, "unknown kind"),
        ({"mask": "other"}, "an unknown mask"),
        ({"mask": 3}, "no str 'mask'"),
        ({"mask": "checkerboard"}, "prior.static is missing"),
        ({"mask": "raster3d"}, "size that its description implies"),
        ({"kernel": 4}, "size that its description implies|unknown mask"),
        ({"kernel": 17}, "kernel = 17"),
        ({"kernel": 5}, "size that its description implies"),
        ({"groups": 1}, "size that its description implies"),
        ({"groups": 257}, "groups = 257"),
        ({"groups": 256}, "too many weights"),
        ({"codebook_size": 65535, "bits": 16}, "size that its description implies"),
        ({"dim": 256}, "size that its description implies"),
        ({"dim": 0}, "dim = 0"),
        ({"shift": 1}, "128 bits"),
        ({"shift": 41}, "shift = 41"),
        ({"bits": 9}, "do not match its id"),
        ({"bits": 17}, "bits = 17"),
    ],
    ids=str,
)
def test_bundles_from_strangers(
    change: dict[str, Any],
    message: str,
    model: CodecModel,
    compressor: Compressor,
    tmp_path: Path,
) -> None:
    path = tmp_path / "codec.fsarm"
    prior = convolution_prior(make_float("raster", 3, 2, 16, 4), compressor.quantizer.codebooks)
    replace(model, prior=prior).save(path)
    with safe_open(str(path), framework="numpy") as file:
        description = json.loads(file.metadata()[KEY])
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    description["prior"] |= change
    save_file(tensors, path, {KEY: json.dumps(description)})
    with pytest.raises(DamagedStreamError, match=message):
        CodecModel.load(path)


@pytest.mark.parametrize(
    "change",
    [
        {"mask": "other"},
        {"mask": "checkerboard"},  # without logits of anchors
        {"planes": 2},
        {"planes": 0},
        {"kernel": 4},
        {"kernel": 1},
        {"kernel": 17},
        {"kernel": 5},
        {"bits": 7},
        {"bits": 17},
        {"shift": 0},
        {"shift": 41},
        {"static": np.zeros((GROUPS, K), np.int32)},
        {"bias": np.zeros((GROUPS, K), np.int64)},
        {"bias": np.zeros((GROUPS, K + 1), np.int32)},
        {"bias": np.full((GROUPS, K), 1 << 24, np.int32)},
        {"bias": np.full((GROUPS, K), -(1 << 31), np.int32)},
        {"vectors": np.zeros((GROUPS, K, D), np.int32)},
        {"vectors": np.zeros((GROUPS, K), np.int16)},
        {"vectors": np.zeros((GROUPS, K, D + 1), np.int16)},
        {"vectors": np.zeros((GROUPS, 0, D), np.int16)},
        {"weight": np.zeros((4, GROUPS, D, GROUPS * K), np.int32)},
        {"weight": np.zeros((4, GROUPS, D, K), np.int16)},
        {"weight": np.full((4, GROUPS, D, GROUPS * K), 32767, np.int16), "shift": 1},
    ],
    ids=str,
)
def test_what_does_not_fit_is_refused(change: dict[str, Any]) -> None:
    prior = make("raster", 3)
    prior.check()
    with pytest.raises(NetworkError, match="prior"):
        replace(prior, **change).check()


@pytest.mark.parametrize(
    "change",
    [
        {"planes": 0},
        {"planes": 257},
        {"mask": "raster"},
        {"kernel": 5},
        {  # two groups in each plane
            "vectors": np.zeros((2, K, D), np.int16),
            "weight": np.zeros((13, 2, D, 2 * K), np.int16),
            "bias": np.zeros((2, K), np.int32),
        },
    ],
    ids=str,
)
def test_planes_that_do_not_fit_are_refused(change: dict[str, Any]) -> None:
    prior = make("raster3d", 3)
    prior.check()
    assert (prior.groups, prior.planes, prior.tables) == (3, 3, 13 * K)
    with pytest.raises(NetworkError, match="prior"):
        replace(prior, **change).check()


def test_large_tables_are_refused() -> None:
    huge = replace(
        make("raster", 3),
        vectors=np.zeros((16, 300, 1), np.int16),
        weight=np.zeros((4, 16, 1, 4800), np.int16),
        bias=np.zeros((16, 300), np.int32),
    )
    with pytest.raises(NetworkError, match="too large"):
        huge.check()


def test_networks_without_integers_are_refused() -> None:
    codebooks = torch.randn(GROUPS, K, D, generator=torch.Generator().manual_seed(4))
    prior = make_float("raster", 3)
    with torch.no_grad():
        prior.convolution.weight[0, 0, 0, 0] = float("nan")
        with pytest.raises(ExportError, match="finite"):
            convolution_prior(prior, codebooks)
        prior.convolution.weight[0, 0, 0, 0] = 1e9
        with pytest.raises(ExportError, match="16-bit"):
            convolution_prior(prior, codebooks)
        prior.convolution.weight[0, 0, 0, 0] = 300
        with pytest.raises(ExportError, match="128 bits"):
            convolution_prior(prior, codebooks)
        prior.convolution.weight.zero_()
    part = convolution_prior(prior, codebooks)
    assert not part.rows.any()
