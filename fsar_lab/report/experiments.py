"""Runs of one configuration that differ in their seed alone are one experiment; its statistics."""

from __future__ import annotations

import json
import statistics
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fsar_lab.config.build import decisive
from fsar_lab.config.schema import ContextConfig
from fsar_lab.report.runs import Run

# Figures of result.json that are averaged over seeds.
MEANS = (
    "bpd", "bpd_latents", "bpd_pixels", "bpd_overhead", "bpd_estimated", "bpd_float_estimated",
    "encode_MBps", "decode_MBps", "encode_coder_MBps", "decode_coder_MBps",
    "bytes", "codec_bytes", "table_bytes", "train_images", "train_seconds",
)  # fmt: skip
# Overrides that tell no experiments apart.
NOT_IN_NAMES = ("seed=", "paths.", "logger", "callbacks", "trainer.threads=", "dataset.root=")
ONLY_TRAINED = ("flip", "augment", "validation_images")  # of a data set: its test images are the same
CALIBRATION = "callbacks.coding.calibration_images="  # the one callback that does
TRAINED, UNTRAINED, FITTED, CLASSICAL = "trained", "not trained", "fitted", "classical"


@dataclass
class Experiment:
    """One row to be: runs that differ in their seed alone, or a classical codec.

    Attributes:
        label: the experiment's name, with what sets it apart if several have that name.
        runs: all of them, whatever their state.
        results: result.json's content by seed; a classical codec has one under None.
        standing: `trained`, `not trained` (too few images to be ranked), `fitted` (nothing to train by
            gradients) or `classical`.
        dataset: the data set's name.
        images_hash: what tells the coded images from others; None if no run of theirs says it.
    """

    label: str
    runs: list[Run] = field(default_factory=list)
    results: dict[int | None, dict[str, Any]] = field(default_factory=dict)
    standing: str = TRAINED
    dataset: str = ""
    images_hash: str | None = None

    @property
    def bpd(self) -> float | None:
        """Mean over seeds."""
        return mean(result.get("bpd") for result in self.results.values())

    @property
    def train_images(self) -> float:
        """Training images seen, mean over seeds; those asked for as long as no run has ended."""
        asked = self.runs[0].config.get("trainer", {}).get("train_images", 0) if self.runs else 0
        return mean(result.get("train_images") for result in self.results.values()) or float(asked)


def experiments_of(runs: Sequence[Run]) -> list[Experiment]:
    """Runs put together by configuration, in the order in which they come first."""
    groups: dict[str, list[Run]] = defaultdict(list)
    once = list({run.path.resolve(): run for run in runs}.values())  # a folder may have been named twice
    images = _images(once)
    for run in once:
        groups[_experiment_key(run, images[run.path])].append(run)
    labels = _labels(list(groups.values()))
    experiments = []
    for label, members in zip(labels, groups.values(), strict=True):
        results: dict[int | None, dict[str, Any]] = {}
        # By seed; where one was run several times, the last result counts.
        for run in sorted(members, key=lambda run: (run.seed or 0, run.written or "")):
            if run.status == "ok" and run.result.get("bpd") is not None:
                results[run.seed] = run.result
        fitted = members[0].config.get("coder", {}).get("_target_") == ContextConfig._target_
        standing = FITTED if fitted else TRAINED
        coded = images[members[0].path]
        experiments.append(Experiment(label, members, results, standing, _dataset(members[0]), coded))
    return experiments


def mean(values: Iterable[float | None]) -> float | None:
    """Mean of the values that are there; None if there are none."""
    known = [float(value) for value in values if value is not None]
    return statistics.fmean(known) if known else None


def deviation(values: Iterable[float | None]) -> float | None:
    """Standard deviation of a sample (n - 1); None of fewer than two values."""
    known = [float(value) for value in values if value is not None]
    return statistics.stdev(known) if len(known) > 1 else None


def differences(experiment: Experiment, baseline: Experiment) -> list[float]:
    """Size against the baseline's in per cent, one for every seed that both have.

    A classical codec has no seed: it is compared with every seed of the other.
    """
    ours = {seed: result["bpd"] for seed, result in experiment.results.items()}
    theirs = {seed: result["bpd"] for seed, result in baseline.results.items()}
    if None in ours:
        ours = dict.fromkeys(theirs, ours[None])
    if None in theirs:
        theirs = dict.fromkeys(ours, theirs[None])
    return [100.0 * (ours[seed] / theirs[seed] - 1.0) for seed in ours.keys() & theirs.keys()]


def coded_from(config: dict[str, Any]) -> dict[str, Any]:
    """What decides the test images, of a plain configuration or of its `decisive` part."""
    return {key: value for key, value in config.get("dataset", {}).items() if key not in ONLY_TRAINED}


def _images(runs: Sequence[Run]) -> dict[Path, str | None]:
    """What tells the images of each run from others, by the run's directory.

    Earlier results do not say it, nor do runs that have not ended: they have that of the runs of the same
    places, or of the same data set if all of its runs coded the same images.
    """
    found: dict[str, set[str]] = defaultdict(set)
    for run in runs:
        if told := run.result.get("images_hash"):
            for data in _data_sets(run):
                found[data].add(told)
    only = {data: next(iter(hashes)) for data, hashes in found.items() if len(hashes) == 1}
    return {
        run.path: run.result.get("images_hash") or next((only[d] for d in _data_sets(run) if d in only), None)
        for run in runs
    }


def _data_sets(run: Run) -> tuple[str, str]:
    """The run's test images as configured: with their place, and without."""
    if not run.config:
        return str(run.path), str(run.path)
    here, named = coded_from(run.config), coded_from(decisive(run.config))
    return "at " + json.dumps(here, sort_keys=True), json.dumps(named, sort_keys=True)


def _experiment_key(run: Run, images: str | None) -> str:
    """Equal for runs of the same images that differ in their seed alone; without a configuration the path."""
    if not run.config:
        return str(run.path)
    kept = {key: value for key, value in decisive(run.config).items() if key != "seed"}
    return json.dumps([run.name, kept, images], sort_keys=True)


def _dataset(run: Run) -> str:
    """The data set's name: its folder's, or its class's where it has none."""
    config = run.config.get("dataset", {})
    return Path(str(config.get("root") or config.get("_target_", "?").rpartition(".")[2])).name


def _labels(groups: list[list[Run]]) -> list[str]:
    """Names of the experiments; where several share one, with those overrides that they do not all have."""
    names = [members[0].name for members in groups]
    labels = []
    for name, members in zip(names, groups, strict=True):
        alike = [other for other, its in zip(groups, names, strict=True) if its == name]
        if len(alike) == 1:
            labels.append(name)
            continue
        overrides = [_overrides(other[0]) for other in alike]
        common = set.intersection(*map(set, overrides))
        own = [text for text in _overrides(members[0]) if text not in common]
        labels.append(f"{name} ({', '.join(own) or members[0].path.name})")
    again = Counter(labels)
    return [
        f"{label} ({members[0].path.name})" if again[label] > 1 else label
        for label, members in zip(labels, groups, strict=True)
    ]


def _overrides(run: Run) -> list[str]:
    return [
        text for text in run.overrides if text.startswith(CALIBRATION) or not text.startswith(NOT_IN_NAMES)
    ]
