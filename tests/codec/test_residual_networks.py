"""Quantization at several resolutions in integers: the arithmetic, both engines, the file, and what it refuses."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import made_normalisation, smooth_images
from network_reference import run_network
from numpy.typing import NDArray

from fsar_lab.codec.codec import Codec
from fsar_lab.codec.engine_residual import Analysis, Synthesis, fold_indices, unfold_indices
from fsar_lab.codec.integer_network import NetworkError
from fsar_lab.codec.level_prior import LevelPrior
from fsar_lab.codec.model import CodecModel
from fsar_lab.codec.residual_networks import Level, ResidualNetworks
from fsar_lab.config.compose import compose
from fsar_lab.errors import DamagedStreamError, SymbolRangeError
from fsar_lab.export import estimated_bits, export, float_bits
from fsar_lab.models.build import build_compressor
from fsar_lab.models.compressor import Compressor
from fsar_lab.tables.static import static_tables

SIZES = (24, 12, 6)
OVERRIDES = [
    *("quantizer=mcquic", "prior=none", "dataset=fake", "backbone.width=8", "quantizer.groups=2"),
    *("quantizer.dim=4", f"quantizer.codebook_sizes=[{','.join(map(str, SIZES))}]"),
]


@pytest.fixture(scope="module")
def float_model() -> Compressor:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = build_compressor(compose(OVERRIDES))
    made_normalisation(model, torch.Generator().manual_seed(2))
    model.initialise(torch.from_numpy(smooth_images(64)).permute(0, 3, 1, 2))
    return model.eval()


@pytest.fixture(scope="module")
def exported(float_model: Compressor) -> CodecModel:
    images = torch.from_numpy(smooth_images(64, seed=3)).permute(0, 3, 1, 2).contiguous()
    return export(float_model, images, {})


@pytest.fixture(scope="module")
def networks(exported: CodecModel) -> ResidualNetworks:
    assert isinstance(exported.networks, ResidualNetworks)
    return exported.networks


def nearest(level: Level, z: NDArray[np.int64]) -> NDArray[np.int64]:
    """Indices [G, h, w] of z [C, h, w], position by position."""
    groups, _, dim = level.search.weight.shape
    _, h, w = z.shape
    found = np.empty((groups, h, w), np.int64)
    for group in range(groups):
        for row in range(h):
            for column in range(w):
                vector = z[group * dim : (group + 1) * dim, row, column]
                scores = level.search.weight[group].astype(np.int64) @ vector + level.search.bias[group]
                found[group, row, column] = scores.argmax()
    return found


def test_engines_compute_what_the_format_says(exported: CodecModel, networks: ResidualNetworks) -> None:
    image = smooth_images(1, seed=8)
    rest = image[0].astype(np.int64).transpose(2, 0, 1) * 2 - 255
    indices = []
    for number, level in enumerate(networks.levels):
        z = run_network(level.down, rest)
        index = nearest(level, z)
        indices.append(index)
        if level.words is not None:
            words = np.concatenate([level.words[g][index[g]] for g in range(2)], 2).transpose(2, 0, 1)
            bounds = networks.levels[number + 1].down
            low, high = (b.astype(np.int64)[:, None, None] for b in (bounds.low, bounds.high))
            rest = np.clip(z - words, low, high)
    folded = fold_indices([index[None].astype(np.uint16) for index in indices])

    side: Any = 0
    for level, index in zip(networks.levels[::-1], indices[::-1], strict=True):
        added = sum(level.table.values[g].astype(np.int64)[index[g]] for g in range(2)).transpose(2, 0, 1)
        low, high = (b.astype(np.int64)[:, None, None] for b in (level.table.low, level.table.high))
        side = run_network(level.up, np.clip(added + side, low, high))

    for engine in ("c", "torch"):
        codec = Codec(exported, threads=1, engine=engine)
        assert np.array_equal(codec.analyse(image), folded)
        logits, scales = codec.synthesise(folded)
        assert np.array_equal(logits[0], side[0::2]) and np.array_equal(scales[0], side[1::2])
        assert len(np.unique(folded)) > 8 and len(np.unique(logits)) > 20


def test_lossless_on_both_engines_and_from_the_file(exported: CodecModel, tmp_path: Path) -> None:
    exported.save(tmp_path / "codec.fsarm")
    loaded = CodecModel.load(tmp_path / "codec.fsarm")
    assert loaded.id == exported.id
    loaded.save(tmp_path / "again.fsarm")
    assert (tmp_path / "again.fsarm").read_bytes() == (tmp_path / "codec.fsarm").read_bytes()
    images = smooth_images(35, seed=9)
    c, other = Codec(loaded, threads=1), Codec(exported, threads=2, engine="torch")
    data = c.encode(images)
    assert other.encode(images) == data
    assert np.array_equal(c.decode(data), images) and np.array_equal(other.decode(data), images)
    odd = [smooth_images(1, 37)[0], smooth_images(1, 5)[0]]  # padded to multiples of 16
    assert all(np.array_equal(*pair) for pair in zip(odd, c.decode(c.encode(odd)), strict=True))


def test_what_it_costs(float_model: Compressor, exported: CodecModel) -> None:
    images = smooth_images(64, seed=3)
    codec = Codec(exported, threads=1)
    encoded = codec.encode_parts(images)
    latents, pixels = estimated_bits(float_model, codec, images)
    bits = 2 * sum(16 * np.log2(k) / 4**level for level, k in enumerate(SIZES))
    assert latents == pytest.approx(64 * bits)  # log2 K for each code
    assert encoded.latents < latents  # frequencies say more, of the images in which they were counted
    assert encoded.pixels == pytest.approx(pixels, rel=0.005)
    assert pixels == pytest.approx(float_bits(float_model, images)[1], rel=0.02)
    uniform = codec.with_uniform_prior()
    parts = uniform.encode_parts(images)
    assert parts.latents == pytest.approx(latents, rel=0.005)
    assert np.array_equal(uniform.decode(parts.data), images)


def test_integers_choose_nearly_the_codes_of_the_float_model(
    float_model: Compressor, exported: CodecModel
) -> None:
    images = smooth_images(64, seed=11)
    x = torch.from_numpy(images).permute(0, 3, 1, 2)
    with torch.no_grad():
        wanted = float_model(x).indices.numpy()
    found = Codec(exported, threads=1).analyse(images)
    assert (found == wanted)[:, :32].mean() > 0.95
    assert (found == wanted).mean() > 0.9


def test_folding_is_the_trained_models_and_has_an_inverse() -> None:
    from fsar_lab.models.quantizers.mcquic import fold_levels

    rng = np.random.default_rng(0)
    levels = [rng.integers(0, 99, (2, 3, 2 * 2**j, 5 * 2**j)).astype(np.uint16) for j in (3, 2, 1, 0)]
    folded = fold_indices(levels)
    torched = fold_levels([torch.from_numpy(level.astype(np.int64)) for level in levels])
    assert np.array_equal(folded, torched.numpy())
    back = unfold_indices(folded, (192, 48, 12, 3))
    assert all(np.array_equal(*pair) for pair in zip(levels, back, strict=True))


def test_static_tables_are_the_frequencies() -> None:
    rng = np.random.default_rng(1)
    counts = rng.integers(0, 4000, (2, 300)) * rng.integers(0, 2, (2, 300))
    tables = static_tables(counts, 8)
    tables.check()
    assert tables.context_map.ravel().tolist() == [0, 0, 0, 0, 1, 1, 1, 1]
    smooth = (counts + 0.5) / (counts.sum(1, keepdims=True) + 150)
    got = tables.counts / 65536
    divergence = (smooth * np.log2(smooth / got)).sum(1)
    assert (np.abs(got - smooth) < 3e-4).all() and (divergence < 0.01).all()
    single = static_tables(counts[:1], 1)
    assert np.array_equal(single.counts[0] > 1, counts[0] > 2) or single.counts.sum() == 65536


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda n: replace(n, levels=()), "levels"),
        (lambda n: replace(n, levels=n.levels[::-1]), r"level 0: .*|factors|leaves nothing"),
        (lambda n: replace(n, levels=n.levels[:2]), "only the coarsest leaves nothing"),
        (lambda n: _with(n, 0, words=n.levels[0].words[:, :-1]), "codewords do not fit"),
        (lambda n: _with(n, 1, up=n.levels[0].up), "factors|does not fit|do not fit"),
        (lambda n: _with(n, 1, table=n.levels[0].table), "disagree"),
        (lambda n: _with(n, 0, down=n.levels[1].down), "does not take RGB|factors"),
    ],
)
def test_levels_that_do_not_fit_are_refused(
    networks: ResidualNetworks, change: Callable[[ResidualNetworks], ResidualNetworks], message: str
) -> None:
    networks.check()
    with pytest.raises(NetworkError, match=message):
        change(networks).check()


def _with(networks: ResidualNetworks, number: int, **changes: Any) -> ResidualNetworks:
    levels = list(networks.levels)
    levels[number] = replace(levels[number], **changes)
    return replace(networks, levels=tuple(levels))


def test_alphabets_of_prior_and_networks_must_agree(exported: CodecModel) -> None:
    prior = exported.prior
    assert isinstance(prior, LevelPrior)
    swapped = replace(prior, parts=(prior.parts[0], *prior.parts[:0:-1]))
    with pytest.raises(NetworkError, match="disagree"):
        replace(exported, prior=swapped).check()
    with pytest.raises(NetworkError, match="0 levels"):
        LevelPrior(()).check()


def test_codes_beyond_a_codebook_are_refused(networks: ResidualNetworks, exported: CodecModel) -> None:
    codec = Codec(exported, threads=1)
    indices = codec.analyse(smooth_images(1))
    indices[0, -1] = SIZES[2]
    with pytest.raises(SymbolRangeError):
        codec.synthesise(indices)


def test_a_damaged_file_is_refused(exported: CodecModel, tmp_path: Path) -> None:
    import json

    from safetensors import safe_open
    from safetensors.numpy import save_file

    path = tmp_path / "codec.fsarm"
    exported.save(path)
    with safe_open(str(path), framework="numpy") as file:
        description = json.loads(file.metadata()["fsarm"])
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118

    def refused(**changes: Any) -> None:
        save_file(tensors, path, {"fsarm": json.dumps({**description, **changes})})
        with pytest.raises(DamagedStreamError):
            CodecModel.load(path)

    refused(levels=[])
    refused(levels=[1, 2, 3])
    refused(levels=description["levels"][:2])
    refused(levels=description["levels"] * 2)
    refused(prior={**description["prior"], "levels": []})
    refused(prior={**description["prior"], "levels": [{}]})
    del tensors["levels.0.words"]
    refused()


def test_nothing_depends_on_how_images_are_batched(networks: ResidualNetworks) -> None:
    from fsar_lab.codec import engine_c

    images = smooth_images(9, seed=5)
    analyse = Analysis(networks, lambda network: engine_c.Network(network))
    synthesise = Synthesis(networks, lambda network: engine_c.Network(network))
    together = analyse(images)
    apart = np.concatenate([analyse(image[None]) for image in images])
    assert np.array_equal(together, apart)
    logits, _ = synthesise(together)
    assert np.array_equal(logits[3:4], synthesise(together[3:4])[0])
