"""What a sweep does with single jobs, without a training."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

import pytest
import yaml
from rich.console import Console

from fsar_lab import result_files, sweep
from fsar_lab.config.build import config_hash
from fsar_lab.config.compose import compose
from fsar_lab.config.schema import TrainConfig
from fsar_lab.errors import ConfigError
from fsar_lab.sweep import SweepJob, outcome, report, run_job


@pytest.fixture(scope="module")
def config() -> TrainConfig:
    return compose(["dataset=fake"])


@pytest.fixture
def run_dir(tmp_path: Path) -> Path:
    """Of a job of a sweep, with no other sweep beside it to take results from."""
    made = tmp_path / "sweeps" / "one" / "job"
    made.mkdir(parents=True)
    return made


def job(run_dir: Path, config: TrainConfig, *overrides: str) -> SweepJob:
    return SweepJob(list(overrides), run_dir, config)


def test_a_result_stands_whatever_comes_after_it(run_dir: Path, config: TrainConfig) -> None:
    def task(config: TrainConfig, run_dir: Path) -> float:
        done = {"status": "ok", "bpd": 4.5, "config_hash": config_hash(config)}
        done |= {"coding_speed": {}, "siblings": [{}]}
        result_files.write_result(run_dir, done)
        raise OSError("W&B does not answer")

    run_job(task, config, run_dir)
    assert outcome(job(run_dir, config)).bpd == 4.5

    def never(config: TrainConfig, run_dir: Path) -> float:
        raise AssertionError("it is finished")

    assert run_job(never, config, run_dir) == 4.5


def test_a_job_that_another_begins_meanwhile_has_not_failed(
    run_dir: Path, config: TrainConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    def late(config: TrainConfig, run_dir: Path) -> float:
        result_files.begin_attempt(run_dir, config_hash(config))
        last = result_files.read_attempts(run_dir)[-1]
        monkeypatch.setattr(result_files, "is_running", lambda run_dir: last)
        result_files.begin_attempt(run_dir, config_hash(config))
        raise AssertionError("it was begun twice")

    run_job(late, config, run_dir)
    assert result_files.read_result(run_dir) == {}
    assert outcome(job(run_dir, config)).why.startswith("not finished: process")


def test_the_last_failure_is_told(run_dir: Path, config: TrainConfig) -> None:
    def fails(why: str) -> sweep.Task:
        def task(config: TrainConfig, run_dir: Path) -> float:
            raise ValueError(why)

        return task

    run_job(fails("first"), config, run_dir)
    run_job(fails("second"), config, run_dir)
    assert outcome(job(run_dir, config)).why == "ValueError: second"


def test_what_is_being_tried_has_not_failed_yet(
    run_dir: Path, config: TrainConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    hashed = config_hash(config)
    for status in ("failed", "failed"):
        result_files.begin_attempt(run_dir, hashed)
        result_files.end_attempt(run_dir, status, "why")
    result_files.begin_attempt(run_dir, hashed)
    last = result_files.read_attempts(run_dir)[-1]
    monkeypatch.setattr(result_files, "is_running", lambda run_dir: last)
    process = f"process {last['pid']} on {last['host']}"
    assert outcome(job(run_dir, config)).why == f"not finished: {process} is at it"


def test_brackets_are_text(run_dir: Path, config: TrainConfig, capsys: pytest.CaptureFixture[str]) -> None:
    jobs = [job(run_dir / str(seed), config, f"seed={seed}", "a=[png,webp]") for seed in (1, 2)]
    for one in jobs:
        one.run_dir.mkdir()
        sweep.record_failure(one.run_dir, ValueError("[/red] pip install 'x[bench]'"), config)
    assert report(jobs, ["-m", "a=[png,webp]"], Console(width=200)) == 1
    said = capsys.readouterr().out
    assert "[/red] pip install 'x[bench]'" in said
    assert "fsar_lab.train -m 'a=[png,webp]'" in said


def finished_run(run_dir: Path, config: TrainConfig, **result: Any) -> Path:
    """A finished job, as a sweep leaves it."""
    (run_dir / ".hydra").mkdir(parents=True, exist_ok=True)
    about = {"hydra": {"runtime": {"cwd": str(Path.cwd())}}}
    (run_dir / ".hydra" / "hydra.yaml").write_text(yaml.safe_dump(about))
    (run_dir / "compressor.safetensors").write_text("trained")
    result_files.save_config(run_dir, config)
    done = {"status": "ok", "bpd": 4.5, "name": config.name, "config_hash": config_hash(config)}
    result_files.write_result(run_dir, done | {"coding_speed": {}, "siblings": [{}]} | result)
    return run_dir


def in_folder(root: Path | str) -> TrainConfig:
    settings = [f"dataset.root={root}", "logger=none"]
    return compose(["dataset=folder", *settings])


@pytest.mark.parametrize(("root", "same"), [("/a/images", True), ("/b/images", False)])
def test_a_job_is_taken_over_only_if_its_data_lay_in_the_same_place(
    run_dir: Path, root: str, same: bool
) -> None:
    finished_run(run_dir.parents[1] / "other" / "job", in_folder("/a/images"))
    trained = []

    def task(config: TrainConfig, run_dir: Path) -> float:
        trained.append(run_dir)
        return 3.0

    assert config_hash(in_folder(root)) == config_hash(in_folder("/a/images"))
    assert run_job(task, in_folder(root), run_dir) == (4.5 if same else 3.0)
    assert trained == ([] if same else [run_dir])


PNG = [{"codec": "png"}]


@pytest.mark.parametrize(
    ("asked", "there", "enough"),
    [
        ("callbacks.coding.baselines=[png]", {}, False),
        ("callbacks.coding.baselines=[png]", {"baselines": PNG}, True),
        ("callbacks.coding.baselines=[]", {"baselines": PNG}, True),
        ("callbacks.coding_speed.enabled=true", {"coding_speed": None}, False),
        ("callbacks.coding_speed.enabled=false", {"coding_speed": None}, True),
        ("callbacks.coding.siblings=true", {"siblings": None}, False),
        ("callbacks.coding.siblings=true", {"siblings": []}, True),
    ],
)
@pytest.mark.parametrize("place", ["own", "beside"])
def test_what_lacks_a_measurement_is_coded_again(
    run_dir: Path, asked: str, there: dict[str, Any], enough: bool, place: str
) -> None:
    config = compose(["dataset=fake", "logger=none", asked])
    where = run_dir if place == "own" else run_dir.parents[1] / "other" / "job"
    result = finished_run(where, config, **there)
    told = result_files.read_result(result).items()
    kept = {key: value for key, value in told if (key, value) != ("coding_speed", None)}
    result_files.write_result(result, kept)
    again = []

    def task(config: TrainConfig, run_dir: Path) -> float:
        assert (run_dir / "compressor.safetensors").is_file()  # only to be coded
        again.append(run_dir)
        return 3.0

    assert outcome(job(run_dir, config)).ok == (enough and place == "own")
    assert run_job(task, config, run_dir) == (4.5 if enough else 3.0)
    assert again == ([] if enough else [run_dir])


def test_a_finished_job_is_begun_anew_on_request(run_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    finished_run(run_dir, config := compose(["dataset=fake", "logger=none", "trainer.resume=false"]))
    assert run_job(lambda config, run_dir: 3.0, config, run_dir) == 3.0
    sweep.record_failure(run_dir, ValueError("why"), other := compose(["dataset=fake", "seed=7"]))
    jobs = [job(run_dir, config), job(run_dir, other)]
    assert report(jobs, ["-m", "seed=0,7", "trainer.resume=false"], Console(width=200)) == 1
    assert "fsar_lab.train -m seed=0,7\n" in capsys.readouterr().out  # finished jobs are kept


@pytest.mark.parametrize("failures", [2, 3])
def test_how_to_go_on_is_said_only_if_a_job_would(
    run_dir: Path, config: TrainConfig, capsys: pytest.CaptureFixture[str], failures: int
) -> None:
    for _ in range(failures):
        result_files.begin_attempt(run_dir, config_hash(config))
        result_files.end_attempt(run_dir, "failed", "why")
    assert report([job(run_dir, config)], ["-m", "seed=0"], Console(width=200)) == 1
    assert ("goes on with the others" in capsys.readouterr().out) == (failures == 2)


@pytest.mark.parametrize("key", [True, False])
def test_without_a_key_nothing_is_logged_online(monkeypatch: pytest.MonkeyPatch, key: bool) -> None:
    monkeypatch.setattr("fsar_lab.wandb_run.has_key", lambda: key)
    refused = (
        contextlib.nullcontext() if key else pytest.raises(ConfigError, match=r"logger.mode.*wandb login")
    )
    with refused:
        compose(["dataset=fake", "logger=wandb"], resources=True)
