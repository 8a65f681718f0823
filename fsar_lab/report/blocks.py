"""From experiments to the rows of results tables: differences paired, what cannot be compared kept apart.

Rows are compared only within a `Block` (same data set, same test images) and there only within a `Section`
(same number of training images); nothing else is ranked.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fsar_lab.config.build import decisive
from fsar_lab.errors import ConfigError
from fsar_lab.report import pareto
from fsar_lab.report.experiments import (
    CLASSICAL,
    FITTED,
    MEANS,
    TRAINED,
    UNTRAINED,
    Experiment,
    coded_from,
    deviation,
    differences,
    experiments_of,
    mean,
)
from fsar_lab.report.rows import Row
from fsar_lab.report.runs import Run

# All keys of a row, in the order of table.csv.
KEYS = (
    "experiment", "standing", "dataset", "images", "seeds", "n", *MEANS[:1], "bpd_std",
    "difference", "difference_std", "difference_n", "baseline", *MEANS[1:], "bpd_uniform_sibling",
    "front", "parameters", "failed", "running", "waiting", "commits",
)  # fmt: skip
SMOKE_IMAGES = 5_000  # a tenth of a pass over CIFAR-10: nothing is learned from so few
UNTRAINED_SHARE = 0.05  # of the training images of the best trained row
SAME_BUDGET = 0.02  # whole batches make equal budgets differ a little
CLOSE = 0.5  # per cent between neighbours that call for more seeds
SEEDS_WANTED = 3


@dataclass
class Section:
    """Rows that may be ranked among each other; not those whose title says so."""

    title: str
    rows: list[Row]
    ranked: bool = True


@dataclass
class Block:
    """Everything that was coded from the same test images."""

    dataset: str
    images: int | None
    experiments: list[Experiment]
    sections: list[Section]
    notes: list[str]

    @property
    def rows(self) -> list[Row]:
        """The rows of all sections."""
        return [row for section in self.sections for row in section.rows]


def rows_of(runs: Sequence[Run], baseline: str | None = None) -> list[Row]:
    """All rows of all blocks, experiments without a finished run last; every row has all of `KEYS`.

    Raises:
        ConfigError: no row is called `baseline`.
    """
    blocks, unfinished = blocks_of(runs, baseline)
    return [row for block in blocks for row in block.rows] + unfinished


def blocks_of(runs: Sequence[Run], baseline: str | None = None) -> tuple[list[Block], list[Row]]:
    """Blocks of comparable rows, and the rows of experiments of which no run has finished.

    Args:
        runs: as `read_runs` gives them.
        baseline: name of the experiment (or classical codec) that differences are taken against, in every
            section that has it.

    Raises:
        ConfigError: no row is called `baseline`, or several of one section are.
    """
    experiments = experiments_of(runs)
    together: dict[str, list[Experiment]] = defaultdict(list)
    for experiment in experiments:
        if experiment.results:
            together[_block_key(experiment)].append(experiment)
    everything = [(group, _classical(group)) for group in together.values()]
    if baseline is not None:
        _check_baseline(baseline, [*experiments, *(codec for _, codecs in everything for codec in codecs)])
    blocks = [_block(group, codecs, baseline) for group, codecs in everything]
    return blocks, [_row(experiment, None) for experiment in experiments if not experiment.results]


def _block(group: list[Experiment], codecs: list[Experiment], baseline: str | None) -> Block:
    largest = max((e.train_images for e in group if e.standing == TRAINED), default=0.0)
    for experiment in group:
        few = experiment.train_images < max(SMOKE_IMAGES, UNTRAINED_SHARE * largest)
        if few and experiment.standing == TRAINED:
            experiment.standing = UNTRAINED
    sections = []
    untrained = [e for e in group if e.standing == UNTRAINED]
    unlearned = [*(e for e in group if e.standing == FITTED), *codecs]
    for budget in _budgets([e for e in group if e.standing == TRAINED]):
        title = f"{budget[0].train_images:,.0f} training images"
        sections.append(Section(title, _rows(budget, [*budget, *unlearned], baseline)))
    if untrained:
        title = "not trained: too few training images to be ranked, coded to show that they are lossless"
        rows = _rows(untrained, [*untrained, *unlearned], baseline)
        rows.sort(key=lambda row: str(row["experiment"]))
        sections.append(Section(title, rows, ranked=False))
    if unlearned:
        # A budget's baseline says nothing about another's; with one budget it is everybody's.
        rivals = [e for e in group if e.standing != FITTED] if len(sections) == 1 else []
        title = "nothing to train: classical codecs and fitted models"
        sections.append(Section(title, _rows(unlearned, [*rivals, *unlearned], baseline), ranked=False))
    pareto.mark(row for section in sections for row in section.rows)
    first = group[0].results[next(iter(group[0].results))]
    return Block(group[0].dataset, first.get("images"), group, sections, _notes(group, sections))


def _rows(experiments: list[Experiment], rivals: list[Experiment], baseline: str | None) -> list[Row]:
    named = [e for e in rivals if baseline and _is_called(e, baseline)]
    if len(named) > 1:
        raise ConfigError(f"baseline={baseline}: one of {', '.join(repr(e.label) for e in named)}?")
    rows = [_row(experiment, named[0] if named else None) for experiment in experiments]
    return sorted(rows, key=_rank)


def _rank(row: Row) -> tuple[bool, float]:
    """By the difference paired by seed, where there is one: other seeds have other means."""
    paired = row["difference"]
    return paired is None, float(row["bpd"] if paired is None else paired)


def _lead(better: Row, worse: Row) -> float | None:
    """By how many per cent one row is smaller than the next; None if only one of them is paired."""
    ours, theirs = better["difference"], worse["difference"]
    if ours is None and theirs is None:
        return 100.0 * float(worse["bpd"] / better["bpd"] - 1.0)
    return None if ours is None or theirs is None else 100.0 * ((100.0 + theirs) / (100.0 + ours) - 1.0)


def _too_close(better: Row, worse: Row) -> bool:
    """Whether more seeds are needed to rank a row before the next."""
    gap, count = _lead(better, worse), "n" if better["difference"] is None else "difference_n"
    few = min(better[count] or 0, worse[count] or 0) < SEEDS_WANTED
    return gap is not None and gap < CLOSE and few


def _row(experiment: Experiment, baseline: Experiment | None) -> Row:
    results = list(experiment.results.values())
    states = Counter(run.status for run in experiment.runs)
    row: Row = dict.fromkeys(KEYS)
    row |= {key: mean(result.get(key) for result in results) for key in MEANS}
    row |= {
        "experiment": experiment.label,
        "standing": experiment.standing,
        "dataset": experiment.dataset,
        "images": results[0].get("images") if results else None,
        "seeds": " ".join(str(seed) for seed in sorted(s for s in experiment.results if s is not None)),
        "n": len(results) if experiment.runs else None,
        "bpd_std": deviation(result.get("bpd") for result in results),
        "bpd_uniform_sibling": mean(_uniform_sibling(result) for result in results),
        "parameters": mean(sum(r["parameters"].values()) if r.get("parameters") else None for r in results),
        "commits": " ".join(sorted({commit for result in results if (commit := commit_of(result))})),
        **{state: states[state] for state in ("failed", "running", "waiting")},
    }
    if baseline is not None:
        paired = differences(experiment, baseline)
        row |= {
            "baseline": baseline.label,
            "difference": mean(paired),
            "difference_std": deviation(paired),
            "difference_n": len(paired),
        }
    return row


def commit_of(result: Mapping[str, Any]) -> str:
    """Short commit of the code that coded, with a `+` if it had been changed since; empty if unknown."""
    git = result.get("git") or {}
    return f"{git['commit'][:7]}{'+' if git.get('dirty') else ''}" if git.get("commit") else ""


def _uniform_sibling(result: Mapping[str, Any]) -> float | None:
    return next((s.get("bpd") for s in result.get("siblings") or () if s.get("prior") == "uniform"), None)


def _classical(group: list[Experiment]) -> list[Experiment]:
    """The classical codecs that the runs measured on these images: sizes agree, speeds are averaged."""
    found: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for experiment in group:
        for result in experiment.results.values():
            for entry in result.get("baselines") or ():
                found[entry["codec"]].append(entry)
    codecs = []
    for name, entries in found.items():
        merged = {key: mean(entry.get(key) for entry in entries) for key in MEANS if key in entries[0]}
        about = {**entries[0], **merged}
        about_codec = Experiment(name, [], {None: about}, CLASSICAL, group[0].dataset)
        codecs.append(about_codec)
    return codecs


def _budgets(experiments: list[Experiment]) -> list[list[Experiment]]:
    """Experiments of (nearly) the same number of training images together, the largest first."""
    budgets: list[list[Experiment]] = []
    for experiment in sorted(experiments, key=lambda e: -e.train_images):
        if budgets and experiment.train_images >= (1 - SAME_BUDGET) * budgets[-1][0].train_images:
            budgets[-1].append(experiment)
        else:
            budgets.append([experiment])
    return budgets


def _notes(group: list[Experiment], sections: list[Section]) -> list[str]:
    notes = [remark for section in sections if section.ranked for remark in _standing(section, sections[-1])]
    pairs = [
        f"{better['experiment']} and {worse['experiment']} ({_lead(better, worse):.2f} %)"
        for section in sections
        if section.ranked
        for better, worse in zip(section.rows, section.rows[1:])
        if _too_close(better, worse)
    ]
    if pairs:
        notes.append(f"Too close to rank with fewer than {SEEDS_WANTED} seeds each: {'; '.join(pairs)}.")
    commits = Counter(commit_of(result) for e in group for result in e.results.values())
    if len(commits) > 1:
        counts = ", ".join(f"{commit or 'unknown'} ({n} runs)" for commit, n in commits.most_common())
        notes.append(f"Not all by the same version of the code (+: with changes of its own): {counts}.")
    hosts = {str(run.attempts[-1].get("host")) for e in group for run in e.runs if run.attempts}
    if len(hosts) > 1:
        notes.append(f"Run on several machines, so that speeds do not compare: {', '.join(sorted(hosts))}.")
    for experiment in group:
        if len(experiment.results) < len([run for run in experiment.runs if run.status == "ok"]):
            notes.append(f"{experiment.label}: a seed was run more than once; the last one counts.")
        if started := experiment.runs[0].config.get("start", {}).get("run"):
            notes.append(f"{experiment.label}: starts from the trained run {Path(started).name}.")
    return notes


def _standing(section: Section, unlearned: Section) -> list[str]:
    """The smallest row of a section, if that is certain, beside the classical codecs."""
    if len(section.rows) < 2 or _too_close(*section.rows[:2]):
        return []
    best = section.rows[0]
    if best["bpd"] > min(row["bpd"] for row in section.rows):  # by other seeds than the baseline's
        return []
    others = [
        f"{abs(percent):.1f} % {'larger' if percent > 0 else 'smaller'} than {row['experiment']}"
        for row in unlearned.rows
        if row["standing"] in (FITTED, CLASSICAL)
        for percent in [100.0 * (best["bpd"] / row["bpd"] - 1.0)]
    ]
    beside = f"; {', '.join(others)}" if others else ""
    return [f"Smallest after {section.title}: {best['experiment']}, {best['bpd']:.4f} bpd{beside}."]


def _check_baseline(baseline: str, experiments: list[Experiment]) -> None:
    if not any(_is_called(experiment, baseline) for experiment in experiments):
        labels = ", ".join(dict.fromkeys(experiment.label for experiment in experiments))
        raise ConfigError(f"baseline={baseline}: no such experiment here -> one of {labels}")


def _is_called(experiment: Experiment, name: str) -> bool:
    return name == experiment.label or any(run.name == name for run in experiment.runs)


def _block_key(experiment: Experiment) -> str:
    config = experiment.runs[0].config
    coded = coded_from(decisive(config)) if config else {}
    result = next(iter(experiment.results.values()))
    told = [result.get("images"), result.get("image_shape"), experiment.images_hash]
    return json.dumps([coded, *told], sort_keys=True)
