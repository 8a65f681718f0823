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
    """

    label: str
    runs: list[Run] = field(default_factory=list)
    results: dict[int | None, dict[str, Any]] = field(default_factory=dict)
    standing: str = TRAINED
    dataset: str = ""

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
    for run in {run.path.resolve(): run for run in runs}.values():  # a folder may have been named twice
        groups[_experiment_key(run)].append(run)
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
        experiments.append(Experiment(label, members, results, standing, _dataset(members[0])))
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


def _experiment_key(run: Run) -> str:
    """Equal for runs that differ in their seed alone; of a run without a configuration its directory."""
    if not run.config:
        return str(run.path)
    kept = {key: value for key, value in decisive(run.config).items() if key != "seed"}
    return json.dumps([run.name, kept], sort_keys=True)


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
