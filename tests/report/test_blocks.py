"""Means, deviations and paired differences are what they are called; what cannot be compared stands apart."""

from __future__ import annotations

import json
import statistics
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from fsar_lab.errors import ConfigError
from fsar_lab.report.blocks import KEYS, blocks_of, rows_of
from fsar_lab.report.runs import Run, read_run

from .conftest import Make, maker


def test_seeds_are_averaged_and_paired(make: Make) -> None:
    ours, theirs = {0: 4.40, 1: 4.55, 2: 4.47, 5: 9.0}, {0: 4.50, 1: 4.61, 2: 4.56, 7: 1.0}
    runs = [read_run(make("ours", seed, bpd, decode_MBps=seed + 1.0)) for seed, bpd in ours.items()]
    runs += [read_run(make("theirs", seed, bpd)) for seed, bpd in theirs.items()]
    rows = {row["experiment"]: row for row in rows_of(runs, baseline="theirs")}
    row = rows["ours"]
    assert all(set(row) == set(KEYS) for row in rows.values())
    assert row["seeds"] == "0 1 2 5" and row["n"] == 4
    assert row["bpd"] == pytest.approx(np.mean(list(ours.values())))
    assert row["bpd_std"] == pytest.approx(np.std(list(ours.values()), ddof=1))
    assert row["decode_MBps"] == pytest.approx((1 + 2 + 3 + 6) / 4)
    paired = [100 * (ours[seed] / theirs[seed] - 1) for seed in (0, 1, 2)]  # 5 and 7 have no partner
    assert row["difference"] == pytest.approx(sum(paired) / 3) and row["difference_n"] == 3
    assert row["difference_std"] == pytest.approx(statistics.stdev(paired))
    # Not the difference of the means, which the seeds without a partner would decide.
    assert abs(row["difference"] - 100 * (row["bpd"] / rows["theirs"]["bpd"] - 1)) > 5
    assert rows["theirs"]["difference"] == 0.0
    # A classical codec has no seeds: it is compared with every one.
    against = [100 * (4.0 / bpd - 1) for bpd in theirs.values()]
    assert (
        rows["jxl_e7"]["difference"] == pytest.approx(np.mean(against))
        and rows["jxl_e7"]["difference_n"] == 4
    )


def test_one_seed_has_no_deviation_and_none_no_difference(make: Make) -> None:
    runs = [read_run(make("a", 0, 4.0)), read_run(make("b", 1, 4.2)), read_run(make("c", 0, None))]
    rows = {row["experiment"]: row for row in rows_of(runs, baseline="b")}
    assert rows["a"]["bpd_std"] is None
    assert rows["a"]["difference"] is None and rows["a"]["difference_n"] == 0
    assert rows["c"]["bpd"] is None and rows["c"]["n"] == 0 and rows["c"]["running"] == 1
    assert list(rows)[-1] == "c"


def test_what_failed_counts_for_nothing_but_is_counted(make: Make) -> None:
    runs = [read_run(make("a", 0, 4.0)), read_run(make("a", 1, 9.0, status="failed"))]
    runs += [read_run(make("b", 0, 9.0, status="failed"))]
    rows = {row["experiment"]: row for row in rows_of(runs)}
    assert rows["a"]["bpd"] == 4.0 and rows["a"]["n"] == 1 and rows["a"]["failed"] == 1
    assert rows["b"]["bpd"] is None and rows["b"]["failed"] == 1


def test_other_images_are_another_block(make: Make) -> None:
    runs = [
        read_run(make("a", 0, 4.0)),
        read_run(make("a", 0, 3.0, "dataset.side=16", image_shape=[16, 16, 3])),
        read_run(make("b", 0, 3.5, images=32)),
    ]
    blocks, rest = blocks_of(runs)
    assert [[row["bpd"] for row in block.sections[0].rows] for block in blocks] == [[4.0], [3.0], [3.5]]
    assert [row["experiment"] for block in blocks for row in block.sections[0].rows] == [
        "a (a-0)",
        "a (dataset.side=16)",
        "b",
    ]
    assert not rest
    assert [block.images for block in blocks] == [64, 64, 32]


def test_images_of_one_name_in_two_places_are_another_block(
    plain_config: dict[str, Any], tmp_path: Path
) -> None:
    def run(place: str, seed: int, bpd: float | None, **told: str) -> Run:
        path = maker(tmp_path / place, plain_config)("a", seed, bpd, **told)
        config = yaml.safe_load((path / "config.yaml").read_text())
        config["dataset"]["root"] = f"/{place}/images"
        (path / "config.yaml").write_text(yaml.safe_dump(config))
        return read_run(path)

    a, b = run("a", 0, 4.0, images_hash="aa"), run("b", 0, 3.0, images_hash="bb")
    others = [run("a", 1, 4.2), run("b", 1, None)]  # an earlier result, and one that is to come
    blocks, rest = blocks_of([a, b, *others])
    assert [[row["bpd"] for row in block.sections[0].rows] for block in blocks] == [[4.1], [3.0]]
    assert [[e.runs for e in block.experiments] for block in blocks] == [[[a, others[0]]], [[b, others[1]]]]
    (block,), rest = blocks_of([a, run("c", 2, 4.4)])  # an earlier result from another machine
    assert block.rows[0]["n"] == 2 and not rest


def test_what_is_done_to_training_images_alone_makes_no_other_block(make: Make) -> None:
    runs = [read_run(make("a", 0, 4.0)), read_run(make("b", 0, 4.2, "dataset.flip=false"))]
    (block,), _ = blocks_of(runs, baseline="a")
    assert [row["experiment"] for row in block.sections[0].rows] == ["a", "b"]
    assert block.rows[1]["difference"] == pytest.approx(5.0)


def test_the_smallest_is_not_measured_by_what_was_not_trained(make: Make) -> None:
    runs = [read_run(make(name, 0, bpd, baselines=[])) for name, bpd in (("a", 4.0), ("b", 4.2))]
    runs.append(read_run(make("smoke", 0, 5.0, "trainer.train_images=2_000", baselines=[])))
    (block,), _ = blocks_of(runs)
    assert any(note.startswith("Smallest") for note in block.notes)
    assert "smoke" not in " ".join(block.notes)


CONTEXT = "coder._target_=fsar_lab.models.coders.context.Context"
NOT_TRAINED = "not trained: too few training images to be ranked, coded to show that they are lossless"


def test_other_numbers_of_training_images_are_another_section(make: Make) -> None:
    runs = [
        read_run(make("a", 0, 4.0)),
        read_run(make("b", 0, 3.9, train_images=50_100)),  # whole batches
        read_run(make("c", 0, 3.0, "trainer.train_images=100_000")),
        read_run(make("smoke", 0, 2.0, "trainer.train_images=2_000")),
        read_run(make("smaller smoke", 0, 5.0, "trainer.train_images=1_000")),
        read_run(make("context", 0, 1.0, CONTEXT, train_images=64)),
    ]
    (block,), _ = blocks_of(runs, baseline="a")
    found = [(s.title, [row["experiment"] for row in s.rows], s.ranked) for s in block.sections]
    assert found == [
        ("100,000 training images", ["c"], True),
        ("50,100 training images", ["b", "a"], True),
        (NOT_TRAINED, ["smaller smoke", "smoke"], False),
        ("nothing to train: classical codecs and fitted models", ["context", "jxl_e7", "png"], False),
    ]
    rows = {row["experiment"]: row for row in block.rows}
    assert rows["b"]["difference"] == pytest.approx(100 * (3.9 / 4.0 - 1))
    assert rows["c"]["difference"] is None and rows["smoke"]["difference"] is None
    assert rows["smoke"]["standing"] == "not trained"


def test_a_share_of_the_best_budget_is_not_trained_either(make: Make) -> None:
    long = "trainer.train_images=50_000_000"
    runs = [read_run(make("a", 0, 4.0, long)), read_run(make("standard", 0, 6.0))]
    (block,), _ = blocks_of(runs)
    assert {row["experiment"]: row["standing"] for row in block.rows}["standard"] == "not trained"


def test_close_rows_call_for_more_seeds(make: Make) -> None:
    runs = [read_run(make("a", 0, 4.000)), read_run(make("b", 0, 4.012)), read_run(make("c", 0, 4.2))]
    (block,), _ = blocks_of(runs)
    (note,) = [note for note in block.notes if note.startswith("Too close")]
    assert "a and b (0.30 %)" in note and "c" not in note.partition(":")[2]
    runs += [read_run(make(name, seed, bpd)) for name, bpd in (("a", 4.0), ("b", 4.012)) for seed in (1, 2)]
    (block,), _ = blocks_of(runs)
    assert not any(note.startswith("Too close") for note in block.notes)


def test_with_a_baseline_rows_are_in_the_order_of_paired_differences(make: Make) -> None:
    runs = [read_run(make("base", seed, bpd)) for seed, bpd in ((0, 4.0), (1, 5.0), (2, 4.5))]
    runs += [read_run(make("better", seed, bpd)) for seed, bpd in ((1, 4.8), (2, 4.4))]  # mean 4.6
    runs += [read_run(make("worse", 0, 4.1)), read_run(make("alone", 7, 3.0))]
    (block,), _ = blocks_of(runs, baseline="base")
    assert [r["experiment"] for r in block.sections[0].rows] == ["better", "base", "worse", "alone"]
    assert not any(note.startswith(("Smallest", "Too close")) for note in block.notes)


def test_what_leads_too_closely_is_not_called_the_smallest(make: Make) -> None:
    runs = [read_run(make("a", 0, 4.000)), read_run(make("b", 0, 4.012)), read_run(make("c", 0, 4.2))]
    for baseline in (None, "b"):
        (block,), _ = blocks_of(runs, baseline)
        assert [note.split()[0] for note in block.notes] == ["Too"]
    (block,), _ = blocks_of([runs[0], runs[2]])
    assert block.notes[0].startswith("Smallest")


def test_remarks_on_code_and_repetitions(make: Make) -> None:
    path = make("a", 0, 4.0)
    other = {"commit": "abcdef0123", "dirty": True}
    runs = [read_run(path), read_run(path), read_run(make("b", 0, 4.5, git=other))]
    (block,), _ = blocks_of(runs)
    assert any("0123456 (1 runs), abcdef0+ (1 runs)" in note for note in block.notes)
    assert block.notes[0].startswith("Smallest after 50,000 training images: a, 4.0000 bpd; 0.0 % ")
    assert not any("machines" in note for note in block.notes)
    for name, host in (("a", "here"), ("b", "there")):
        attempt = {"started": "2026-11-26T10:00:00", "ended": "2026-11-26T11:00:00", "host": host}
        (path.parent / f"{name}-0" / "attempts.json").write_text(json.dumps([attempt]))
    (block,), _ = blocks_of([read_run(run.path) for run in runs])
    assert any(note.endswith("speeds do not compare: here, there.") for note in block.notes)
    again = make("a", 0, 4.1, "trainer.threads=2")  # which does not decide the outcome
    (block,), _ = blocks_of([*runs, read_run(again)])
    assert any("a: a seed was run more than once" in note for note in block.notes)


def test_names_and_baselines(make: Make) -> None:
    runs = [
        read_run(make("a", 0, 4.0, "optimizer.lr=0.1", "trainer.threads=3")),
        read_run(make("a", 1, 4.0, "optimizer.lr=0.1")),
        read_run(make("a", 0, 4.5, "optimizer.lr=0.2")),
    ]
    rows = rows_of(runs, baseline="a (optimizer.lr=0.2)")
    assert [(row["experiment"], row["n"]) for row in rows[:2]] == [
        ("a (optimizer.lr=0.1)", 2),
        ("a (optimizer.lr=0.2)", 1),
    ]
    assert rows[0]["difference"] == pytest.approx(100 * (4.0 / 4.5 - 1))
    assert rows_of(runs, baseline="png")[0]["difference"] == pytest.approx(100 * (4.0 / 5.8 - 1))
    with pytest.raises(ConfigError, match="one of 'a"):
        rows_of(runs, baseline="a")
    with pytest.raises(ConfigError, match=r"no such experiment here -> one of a .optimizer.lr=0.1"):
        rows_of(runs, baseline="z")
