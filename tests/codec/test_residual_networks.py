"""Quantization at several resolutions in integers: arithmetic, both engines, the file and its refusals."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from network_reference import run, search
from numpy.typing import NDArray

from fsar_lab.codec.codec import Codec
from fsar_lab.codec.engine_residual import Analysis, Synthesis, fold_indices, unfold_indices
from fsar_lab.codec.integer_network import NetworkError
from fsar_lab.codec.level_prior import LevelPrior
from fsar_lab.codec.model import CodecModel
from fsar_lab.codec.residual_networks import ResidualNetworks
from fsar_lab.config.compose import compose
from fsar_lab.errors import DamagedStreamError, SymbolRangeError
from fsar_lab.export import export
from fsar_lab.exporting.estimates import estimated_bits, float_bits
from fsar_lab.models.build import build_compressor
from fsar_lab.models.compressor import Compressor
from fsar_lab.tables.counted import counted_tables

SIZES = (24, 12, 6)
OVERRIDES = [
    *("backbone=shallow_c32", "coder=gaussian_linear_ar", "quantizer=mcquic", "prior=none"),
    *("dataset=fake", "backbone.width=8", "quantizer.groups=2"),
    *("quantizer.dim=4", f"quantizer.codebook_sizes=[{','.join(map(str, SIZES))}]"),
]


Images = Callable[..., NDArray[np.uint8]]


@pytest.fixture(scope="module")
def float_model(made_images: Images) -> Compressor:
    x = torch.from_numpy(made_images(64)).permute(0, 3, 1, 2)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = build_compressor(compose(OVERRIDES))
        model.initialise(x)
        for module in model.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                module.momentum = None
                torch.nn.init.normal_(module.bias, std=0.3)
        with torch.no_grad():
            model.train()(x)  # running statistics
    return model.eval()


@pytest.fixture(scope="module")
def exported(float_model: Compressor, made_images: Images) -> CodecModel:
    images = torch.from_numpy(made_images(64, seed=3)).permute(0, 3, 1, 2).contiguous()
    return export(float_model, images, {})


@pytest.fixture(scope="module")
def networks(exported: CodecModel) -> ResidualNetworks:
    assert isinstance(exported.networks, ResidualNetworks)
    return exported.networks


def test_engines_compute_what_the_format_says(
    exported: CodecModel, networks: ResidualNetworks, made_images: Images
) -> None:
    images = made_images(3, seed=8)
    rest = images.astype(np.int64) * 2 - 255
    indices = []
    for number, level in enumerate(networks.levels):
        z = run(level.down, rest)
        indices.append(search(level.search, z))
        if level.words is not None:
            words = np.concatenate([level.words[g][indices[-1][:, g]] for g in range(2)], 3)
            following = networks.levels[number + 1].down
            rest = np.clip(z - words, following.low, following.high)
    folded = fold_indices(indices)

    side: Any = 0
    for level, index in zip(networks.levels[::-1], indices[::-1], strict=True):
        added = sum(level.table.values[g].astype(np.int64)[index[:, g]] for g in range(2))
        side = run(level.up, np.clip(added + side, level.table.low, level.table.high))

    for engine in ("c", "torch"):
        codec = Codec(exported, threads=1, engine=engine)
        assert np.array_equal(codec.analyse(images), folded)
        logits, scales = codec.synthesise(folded)
        planes = side.transpose(0, 3, 1, 2)
        assert np.array_equal(logits, planes[:, 0::2]) and np.array_equal(scales, planes[:, 1::2])
    assert len(np.unique(folded)) > 8 and len(np.unique(side)) > 20


def test_lossless_on_both_engines_and_from_the_file(
    exported: CodecModel, tmp_path: Path, made_images: Images
) -> None:
    exported.save(tmp_path / "codec.fsarm")
    loaded = CodecModel.load(tmp_path / "codec.fsarm")
    assert loaded.id == exported.id
    loaded.save(tmp_path / "again.fsarm")
    assert (tmp_path / "again.fsarm").read_bytes() == (tmp_path / "codec.fsarm").read_bytes()
    images = made_images(35, seed=9)
    c, other = Codec(loaded, threads=1), Codec(exported, threads=2, engine="torch")
    data = c.encode(images)
    assert other.encode(images) == data
    assert np.array_equal(c.decode(data), images) and np.array_equal(other.decode(data), images)
    odd = [made_images(1, 37)[0], made_images(1, 5)[0]]  # padded to multiples of 16
    assert all(np.array_equal(*pair) for pair in zip(odd, c.decode(c.encode(odd)), strict=True))


def test_what_it_costs(float_model: Compressor, exported: CodecModel, made_images: Images) -> None:
    images = made_images(64, seed=3)
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
    float_model: Compressor, exported: CodecModel, made_images: Images
) -> None:
    images = made_images(64, seed=11)
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


def test_counted_tables_are_the_frequencies() -> None:
    rng = np.random.default_rng(1)
    counts = rng.integers(0, 4000, (2, 300)) * rng.integers(0, 2, (2, 300))
    tables = counted_tables(counts, 8)
    tables.check()
    assert tables.context_map.ravel().tolist() == [0, 0, 0, 0, 1, 1, 1, 1]
    smooth = (counts + 0.5) / (counts.sum(1, keepdims=True) + 150)
    got = tables.counts / 65536
    divergence = (smooth * np.log2(smooth / got)).sum(1)
    assert (np.abs(got - smooth) < 3e-4).all() and (divergence < 0.01).all()
    single = counted_tables(counts[:1], 3).counts.astype(np.int64)
    assert np.abs(single - tables.counts[:1].astype(np.int64)).max() <= 4  # logits in steps of 2^-8 bit


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda n: replace(n, levels=()), "levels"),
        (lambda n: replace(n, levels=n.levels[::-1]), r"level 0: .*|factors|leaves nothing"),
        (lambda n: replace(n, levels=n.levels[:2]), "only the coarsest leaves nothing"),
        (lambda n: _with(n, 0, words=n.levels[0].words[:, :-1]), "codewords do not fit"),
        (lambda n: _with(n, 1, up=n.levels[0].up), "factors|does not fit|do not fit"),
        (lambda n: _with(n, 1, table=n.levels[0].table), "disagree"),
        (lambda n: _with(n, 0, down=replace(n.levels[0].down, high=-n.levels[0].down.low - 1)), "RGB"),
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


def test_codes_beyond_a_codebook_are_refused(
    networks: ResidualNetworks, exported: CodecModel, made_images: Images
) -> None:
    codec = Codec(exported, threads=1)
    indices = codec.analyse(made_images(1))
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


def test_nothing_depends_on_how_images_are_batched(networks: ResidualNetworks, made_images: Images) -> None:
    from fsar_lab.codec import engine_c

    images = made_images(9, seed=5)
    analyse = Analysis(networks, lambda network: engine_c.Network(network))
    synthesise = Synthesis(networks, lambda network: engine_c.Network(network))
    together = analyse(images)
    apart = np.concatenate([analyse(image[None]) for image in images])
    assert np.array_equal(together, apart)
    logits, _ = synthesise(together)
    assert np.array_equal(logits[3:4], synthesise(together[3:4])[0])
