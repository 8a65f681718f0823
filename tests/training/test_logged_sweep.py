"""What the jobs of a sweep leave in the offline files of W&B and in those of TensorBoard."""

from __future__ import annotations

import csv
import json
import struct
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.training.conftest import LoggedSweep


def logged(records: dict[str, list[Any]]) -> dict[str, Any]:
    """Every key of a run's history with its last value."""
    return {key: value for row in records["history"] for key, value in row["item"].items()}


def test_each_job_is_one_run_of_the_sweep_s_group(logged_sweep: LoggedSweep) -> None:
    ids = set()
    for prior, records in logged_sweep.records.items():
        (run,) = records["run"]
        ids.add(run["run_id"])
        assert run["run_group"] == "both"
        assert {"mine", f"prior={prior}", "quantizer=v2dvq", "dataset=fake"} <= set(run["tags"])
        config = run["config"]["update"]
        assert len(config["config_hash"]) == 16
        assert config["prior"]["_target_"].startswith("fsar_lab.")
        assert [end["exit_code"] for end in records["exit"]] == [0]
    assert len(ids) == 2


def test_figures_tables_and_pictures_are_there(
    logged_sweep: LoggedSweep,
) -> None:
    for prior, records in logged_sweep.records.items():
        result = json.loads((logged_sweep.jobs[prior] / "result.json").read_text())
        summary: dict[str, Any] = {}
        for record in records["summary"]:
            summary |= record.get("update", {})
        for key in ("bpd", "bpd_latents", "bpd_pixels", "encode_MBps", "decode_MBps", "table_bytes"):
            assert summary[f"test/{key}"] == pytest.approx(result[key])
        history = logged(records)
        key = "val/bpd_estimated"
        curve = [row["item"][key] for row in records["history"] if key in row["item"]]
        with (logged_sweep.jobs[prior] / "logs" / "version_0" / "metrics.csv").open() as file:
            assert curve == [pytest.approx(float(row[key])) for row in csv.DictReader(file) if row[key]]
        assert len(curve) == 2
        assert history["val/codebook_use._type"] == "histogram"
        assert sum(history["val/codebook_use.values"]) == 16  # every code counts once
        (folder,) = logged_sweep.jobs[prior].glob("wandb/offline-run-*/files")
        assert len(list(folder.glob("media/images/val/bit_maps_*.png"))) == 2
        table = json.loads((folder / history["test/comparison.path"]).read_text())
        bpd, codec = table["columns"].index("bpd"), table["columns"].index("codec")
        assert table["data"][0][codec] == "both"
        assert table["data"][0][bpd] == pytest.approx(result["bpd"])
        png = next(row for row in result["baselines"] if row["codec"] == "png")
        assert [row[bpd] for row in table["data"] if row[codec] == "png"] == [pytest.approx(png["bpd"])]
        parts = json.loads((folder / history["test/parts.path"]).read_text())
        assert [row[0] for row in parts["data"]] == ["latents", "pixels", "overhead", "total"]


def test_the_bundle_is_an_artifact_that_lies_in_the_run_directory(
    logged_sweep: LoggedSweep,
) -> None:
    for prior, records in logged_sweep.records.items():
        folder = logged_sweep.jobs[prior]
        result = json.loads((folder / "result.json").read_text())
        (bundle,) = (record for record in records["artifact"] if record["type"] == "model")
        assert bundle["name"] == f"both-{result['config_hash']}"
        figures = json.loads(bundle["metadata"])
        assert figures["bpd"] == pytest.approx(result["bpd"])
        assert figures["lossless"] is True
        files = {entry["path"]: entry for entry in bundle["manifest"]["contents"]}
        assert {path: entry["local_path"] for path, entry in files.items()} == {
            name: str(folder / name) for name in ("codec.fsarm", "result.json")
        }
        assert int(files["codec.fsarm"]["size"]) == (folder / "codec.fsarm").stat().st_size


def events(folder: Path) -> Iterator[Any]:
    """The events in TensorBoard's files: records of (length, its checksum, data, its checksum)."""
    from tensorboardX.proto.event_pb2 import Event

    for path in sorted(folder.glob("events.out.tfevents.*")):
        data, position = path.read_bytes(), 0
        while position < len(data):
            (length,) = struct.unpack_from("<Q", data, position)
            yield Event.FromString(data[position + 12 : position + 12 + length])
            position += 12 + length + 4


def test_tensorboard_has_curves_pictures_and_results(logged_sweep: LoggedSweep) -> None:
    pytest.importorskip("tensorboardX", reason="pip install 'fsar_lab[tensorboard]'")
    for folder in logged_sweep.jobs.values():
        result = json.loads((folder / "result.json").read_text())
        values = defaultdict(list)
        for event in events(folder / "tensorboard"):
            for value in event.summary.value:
                values[value.tag].append((event.step, value))
        assert [step for step, _ in values["val/bpd_estimated"]] == sorted(
            {step for step, _ in values["val/bpd_estimated"]}
        )
        assert len(values["val/bpd_estimated"]) == 2
        ((step, value),) = values["test/bpd"]
        assert step == 40
        assert value.simple_value == pytest.approx(result["bpd"], rel=1e-6)
        assert [value.image.encoded_image_string[:4] for _, value in values["val/bit_maps"]] == [
            b"\x89PNG"
        ] * 2
        assert [value.histo.num for _, value in values["val/codebook_use"]] == [16, 16]
        (text,) = (
            value for tag, found in values.items() if tag.startswith("test/comparison") for _, value in found
        )
        assert "| png |" in text.tensor.string_val[0].decode()
