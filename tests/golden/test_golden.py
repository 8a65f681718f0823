"""A pinned model and pinned blobs: if one changes, every file written so far becomes unreadable."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from fsar_lab import zoo
from fsar_lab.codec.codec import Codec
from fsar_lab.codec.model import CodecModel

FOLDER = Path(__file__).parent
EARLIER_CONTEXT = FOLDER / "earlier" / "context_without_textures.fsb"


def _maker() -> ModuleType:
    """make_golden.py, which is a script beside this file."""
    spec = importlib.util.spec_from_file_location("make_golden", FOLDER / "make_golden.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


maker = _maker()


@pytest.fixture(scope="module")
def golden_model() -> CodecModel:
    return CodecModel.load(FOLDER / maker.MODEL)


def test_the_formulas_still_give_the_model(golden_model: CodecModel, tmp_path: Path) -> None:
    made = maker.model()
    assert made.id == golden_model.id
    golden_model.save(tmp_path / "again.fsarm")
    assert CodecModel.load(tmp_path / "again.fsarm").id == made.id


@pytest.mark.parametrize("engine", ["c", "torch"])
@pytest.mark.parametrize("name", list(maker.CASES))
def test_blobs(golden_model: CodecModel, name: str, engine: str) -> None:
    codec = Codec(golden_model, threads=1, engine=engine)
    images, data = maker.images(name), (FOLDER / f"{name}.fsb").read_bytes()
    decoded = codec.decode(data)
    assert type(decoded) is type(images) and len(decoded) == len(images)
    assert all(np.array_equal(a, b) and a.dtype == b.dtype for a, b in zip(decoded, images))
    assert codec.encode(images) == data


@pytest.mark.parametrize("name", list(maker.CODECS))
def test_codecs_of_the_zoo_and_pairs(name: str) -> None:
    codec = Codec.load(maker.CODECS[name], threads=1)
    images = maker.images("wave") + maker.images("poster")
    data = (FOLDER / "zoo" / f"{name}.fsb").read_bytes()
    assert all(np.array_equal(a, b) for a, b in zip(codec.decode(data), images, strict=True))
    assert codec.encode(images) == data


@pytest.mark.parametrize("name", ["context", "small", "made"])
def test_blobs_without_stored_groups_and_waves(name: str) -> None:
    """As they were written before there were any."""
    paths = {"made": FOLDER / maker.MODEL, "context": FOLDER / "earlier" / "context.fsarm"}
    codec = Codec.load(paths.get(name, zoo.codec_path("small")), threads=1)
    decoded = codec.decode((FOLDER / "earlier" / f"{name}.fsb").read_bytes())
    assert all(np.array_equal(a, b) for a, b in zip(decoded, maker.images("mixed"), strict=True))


def test_contexts_before_they_had_textures() -> None:
    codec = Codec.load(FOLDER / "earlier" / "context.fsarm", threads=1)
    images, data = maker.images("wave") + maker.images("poster"), EARLIER_CONTEXT.read_bytes()
    assert all(np.array_equal(a, b) for a, b in zip(codec.decode(data), images, strict=True))
    assert codec.encode(images) == data


def test_a_lone_image_before_it_had_a_container_of_its_own(golden_model: CodecModel) -> None:
    data = (FOLDER / "earlier" / "list_of_one.fsb").read_bytes()
    assert (
        Codec(golden_model, threads=1).decode(data)[0].tobytes() == maker.images("list_of_one")[0].tobytes()
    )


def test_the_cases_use_most_of_the_model(golden_model: CodecModel) -> None:
    codec = Codec(golden_model, threads=1)
    indices = codec.analyse(maker.images("batch"))
    _, scales = codec.synthesise(indices)
    assert min(len(np.unique(indices[:, group])) for group in range(maker.GROUPS)) > maker.SYMBOLS // 3
    assert len(np.unique(scales)) > maker.SCALES // 2
