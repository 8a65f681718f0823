from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from fsar_lab.callbacks.coding_speed import (
    Plan,
    TimedCodec,
    as_metrics,
    equal_images,
    load_images,
    measure_coding_speed,
    measure_in_new_process,
    plan,
    save_images,
)
from fsar_lab.codec import blob
from fsar_lab.codec.codec import Codec
from fsar_lab.config.schema import CodingSpeedConfig, GaussianConfig, ShallowConfig, STHQConfig, UniformConfig
from fsar_lab.data.fake import smooth_images
from fsar_lab.errors import CodingError, LosslessError
from fsar_lab.export import export
from fsar_lab.models.backbones.shallow import Shallow
from fsar_lab.models.coders.gaussian import Gaussian
from fsar_lab.models.compressor import Compressor
from fsar_lab.models.priors.uniform import Uniform
from fsar_lab.models.quantizers.sthq import STHQ

SPEEDS = [f"{side}{part}_MBps" for side in ("encode", "decode") for part in ("", "_coder", "_network")]


@pytest.fixture(scope="module")
def images() -> NDArray[np.uint8]:
    made: NDArray[np.uint8] = smooth_images(40, 16, seed=0).permute(0, 2, 3, 1).contiguous().numpy()
    return made


@pytest.fixture(scope="module")
def codec(images: NDArray[np.uint8]) -> Codec:
    torch.manual_seed(0)
    coder = Gaussian(GaussianConfig())
    backbone = Shallow(ShallowConfig(width=8), out_channels=coder.out_channels)
    prior = Uniform(UniformConfig(), groups=2, codebook_size=8, dim=4)
    model = Compressor(backbone, STHQ(STHQConfig(codebook_size=8, dim=4, groups=2)), prior, coder)
    return Codec(export(model, torch.from_numpy(images).permute(0, 3, 1, 2), {}), threads=1)


def test_every_batch_size_and_part_is_measured(
    codec: Codec, images: NDArray[np.uint8], monkeypatch: pytest.MonkeyPatch
) -> None:
    # A model that has learned nothing would store these images, and decode them without its networks.
    monkeypatch.setattr(Codec, "_encode_part", lambda self, *groups: self._encode_groups(*groups))
    monkeypatch.setattr(blob, "stored", lambda *_: None)
    measured = measure_coding_speed(
        codec.model,
        images,
        CodingSpeedConfig(batch_sizes=[1, 8, 0], repeats=2, max_images=12, max_seconds=1e6),
    )
    table = measured["coding_speed"]
    assert not table["limited"]
    threads = {row["threads"] for row in table["rows"]}
    assert 1 in threads
    assert {(row["threads"], row["batch"]) for row in table["rows"]} == {
        (t, b) for t in threads for b in (1, 8, 12)
    }
    for row in table["rows"]:
        assert row["images"] == row["batch"] * (12 // row["batch"])
        assert all(row[name] > 0 for name in SPEEDS)
    (largest,) = (row for row in table["rows"] if row["threads"] == 1 and row["batch"] == 12)
    for name in ("encode_MBps", "decode_MBps", "encode_coder_MBps", "decode_coder_MBps"):
        assert measured[name] == largest[name]
    assert table["table_bytes"] == codec.table_bytes
    assert table["table_build_seconds"] > 0
    assert table["peak_memory_bytes"] >= table["peak_memory_bytes_before"] > 1e6
    assert json.loads(json.dumps(measured)) == measured


def test_parts_add_up(codec: Codec, images: NDArray[np.uint8]) -> None:
    (row, *_) = measure_coding_speed(codec.model, images, CodingSpeedConfig(batch_sizes=[0], repeats=1))[
        "coding_speed"
    ]["rows"]
    for side in ("encode", "decode"):
        parts = row[f"{side}_network_ms"] + row[f"{side}_coder_ms"]
        assert parts == pytest.approx(row[f"{side}_ms"], rel=1e-2)
        assert row[f"{side}_MBps"] == pytest.approx(images[0].nbytes / 1e3 / row[f"{side}_ms"], rel=1e-2)


def test_timed_codec_writes_the_same_bytes(codec: Codec, images: NDArray[np.uint8]) -> None:
    timed = TimedCodec(codec.model, 1)
    assert timed.encode(images) == codec.encode(images)
    assert 0 < timed.network_share < 1
    timed.reset()
    assert timed.network_share == 0


def test_metrics_are_flat_numbers(codec: Codec, images: NDArray[np.uint8]) -> None:
    metrics = as_metrics(
        measure_coding_speed(codec.model, images, CodingSpeedConfig(batch_sizes=[32], repeats=1))
    )
    assert metrics["coding_speed/threads1_batch32/encode_coder_ms"] > 0
    assert metrics["encode_MBps"] == metrics["coding_speed/threads1_batch32/encode_MBps"]
    assert all(isinstance(value, float) for value in metrics.values())


def test_time_limit_leaves_one_measurement_and_says_so(codec: Codec, images: NDArray[np.uint8]) -> None:
    table = measure_coding_speed(codec.model, images, CodingSpeedConfig(max_seconds=0.0))["coding_speed"]
    assert table["limited"]
    assert all(row["limited"] and row["repeats"] == 1 and row["images"] >= 1 for row in table["rows"])


@pytest.mark.parametrize(
    ("images", "batch", "repeats", "budget", "expected"),
    [
        (100, 1, 3, 1e9, Plan(100, 1, 3)),
        (100, 32, 3, 1e9, Plan(96, 32, 3)),
        (1000, 1, 3, 30.0, Plan(10, 1, 3)),
        (1000, 32, 3, 200.0, Plan(64, 32, 3)),
        (1000, 1000, 3, 2500.0, Plan(1000, 1000, 2)),
        (1000, 1000, 3, 500.0, Plan(480, 480, 1)),
        (1000, 1000, 3, 5.0, Plan(5, 5, 1)),
        (1000, 1000, 3, -1.0, Plan(1, 1, 1)),
    ],
)
def test_plan_stays_within_the_time(
    images: int, batch: int, repeats: int, budget: float, expected: Plan
) -> None:
    assert plan(images, batch, repeats, budget, seconds_each=1.0) == expected


def test_no_images_and_wrong_images_are_errors(
    codec: Codec, images: NDArray[np.uint8], monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(CodingError, match="no images"):
        measure_coding_speed(codec.model, images[:0], CodingSpeedConfig())
    monkeypatch.setattr(TimedCodec, "decode", lambda self, data: np.zeros_like(images))
    with pytest.raises(LosslessError, match="differ"):
        measure_coding_speed(codec.model, images, CodingSpeedConfig(batch_sizes=[0]))


def test_photographs_of_any_sizes(codec: Codec, images: NDArray[np.uint8], tmp_path: Path) -> None:
    photographs = [image[: 5 + i, i:] for i, image in enumerate(images[:6])]
    config = CodingSpeedConfig(batch_sizes=[4, 0], repeats=1, max_images=5)
    measured = measure_coding_speed(codec.model, photographs, config)
    for row in measured["coding_speed"]["rows"]:
        assert row["images"] == row["batch"]
        assert row["batch"] in (4, 5)
        megabytes = sum(photograph.size for photograph in photographs[: row["batch"]]) / 1e6
        assert row["encode_MBps"] * row["encode_ms"] * row["images"] / 1e3 == pytest.approx(
            megabytes, rel=0.01
        )
    for some in (images, photographs):
        save_images(tmp_path / "images", some)
        again = load_images(tmp_path / "images")
        assert type(again) is type(some)
        assert equal_images(again, some)
    assert not equal_images(photographs[:-1], photographs)
    assert not equal_images([*photographs[:-1], photographs[0]], photographs)


def test_a_new_process_measures_a_codec_file(codec: Codec, images: NDArray[np.uint8], tmp_path: Path) -> None:
    codec.model.save(tmp_path / "codec.fsarm")
    config = CodingSpeedConfig(batch_sizes=[0], repeats=1, max_images=8)
    ballast = np.ones(50_000_000)  # 400 MB of this process, not of the measured one
    measured = measure_in_new_process(tmp_path / "codec.fsarm", images, config)
    assert measured["coding_speed"]["peak_memory_bytes_before"] < ballast.nbytes
    assert {row["images"] for row in measured["coding_speed"]["rows"]} == {8}
    with pytest.raises(CodingError, match="nowhere"):
        measure_in_new_process(tmp_path / "nowhere.fsarm", images, config)
