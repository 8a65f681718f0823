"""Rows of the benchmark: all coders of a workload take turns, pass after pass; medians are reported."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from statistics import median

from entropy_bench import own, peers
from entropy_bench.coder import Coder, Facts
from entropy_bench.processes import CoderError, CoderProcess, Pass, take_turns
from entropy_bench.workloads import IndexedWorkload, LatentWorkload, PixelWorkload, Workload


@dataclass(frozen=True)
class Row:
    """One line of entropy.json; a row with `error` has no figures.

    Attributes:
        isa: vector instructions in use; None where a peer does not say.
        lanes: states coded side by side.
        MBps_encode: 10^6 symbols a second by `clock`: CPU time with one thread, else wall time.
        MBps_wall_encode: the same by wall time in any case.
        bits_per_symbol: of the words; states and headers are `overhead_bytes_per_image`.
        excess_percent: bits of the words over the symbols' -log2 p under the float distributions.
        excess_with_states_percent: the same counting log2(state) - 16 bits for every final state, which
            is where the last bits of a stream are; None for peers.
        merge_loss_percent: the part of the excess that merging the distributions costs.
        mode: how a peer was used.
        seconds: median time of a pass's encoding and decoding call together, by `clock`.
    """

    workload: str
    coder: str
    isa: str | None = None
    threads: int = 1
    lanes: int | None = None
    table_bits: int | None = None
    MBps_encode: float | None = None
    MBps_decode: float | None = None
    bits_per_symbol: float | None = None
    excess_percent: float | None = None
    overhead_bytes_per_image: float | None = None
    excess_with_states_percent: float | None = None
    merge_loss_percent: float | None = None
    MBps_wall_encode: float | None = None
    MBps_wall_decode: float | None = None
    clock: str = "cpu"
    symbols: int | None = None
    repeats: int | None = None
    seconds: float | None = None
    mode: str | None = None
    error: str | None = None


def everything(workload: Workload) -> bool:
    """Any workload."""
    return True


def tabled(workload: Workload) -> bool:
    """Workloads with tables to choose the precision of."""
    return not isinstance(workload, PixelWorkload)


def batched(workload: Workload) -> bool:
    """The same, if all images are coded in one call."""
    return tabled(workload) and not workload.alone


def independent(workload: Workload) -> bool:
    """Workloads whose tables do not depend on symbols decoded before."""
    return isinstance(workload, IndexedWorkload) and not isinstance(workload, LatentWorkload)


def static(workload: Workload) -> bool:
    """The one with a single table."""
    return workload.name == "static"


def indexed(workload: Workload) -> bool:
    """Those with one of many tables for each symbol."""
    return independent(workload) and not static(workload)


def for_threads(workload: Workload) -> bool:
    """The workload that is also coded in two threads."""
    return workload.name == "fsar_o2_k32"


@dataclass(frozen=True)
class Entry:
    """A coder, the workloads it runs on, and its process's environment."""

    name: str
    make: Callable[[Workload], Coder]
    runs_on: Callable[[Workload], bool]
    threads: int = 1
    environment: dict[str, str] = field(default_factory=dict)


ENTRIES = [
    Entry("fsar_lab", own.fsar_lab, everything),
    Entry("fsar_lab", own.fsar_lab_two_threads, for_threads, threads=2),
    Entry("fsar_lab_10bit", own.fsar_lab_10bit, tabled),
    Entry("fsar_lab_scalar", own.fsar_lab, everything, environment={"EC_ISA": "scalar"}),
    Entry("fsar_lab_tans", own.OwnTANS, batched),
    Entry("constriction", peers.ConstrictionStatic, static),
    Entry("constriction", peers.ConstrictionIndexed, indexed),
    Entry("constriction_sorted", peers.ConstrictionSorted, indexed),
    Entry("torch_ans", peers.TorchANS, independent, environment={"OMP_NUM_THREADS": "1"}),
]


def cores_for(threads: int) -> set[int]:
    """The last core for one thread, else all.

    Raises:
        CoderError: fewer cores than threads.
    """
    available = os.sched_getaffinity(0)
    if len(available) < threads:
        raise CoderError(f"{threads} threads need {threads} cores; this process has {len(available)}")
    return {max(available)} if threads == 1 else available


def row(workload: Workload, entry: Entry, facts: Facts, passes: list[Pass]) -> Row:
    """Medians of the passes; sizes are those of the last."""
    clock = "cpu" if entry.threads == 1 else "wall"
    size, count = passes[-1].size, workload.symbols.size
    encode, decode = (
        {
            "cpu": median(getattr(one, direction).cpu for one in passes),
            "wall": median(getattr(one, direction).wall for one in passes),
        }
        for direction in ("encode", "decode")
    )

    def excess(bits: float) -> float:
        return 100 * (bits / workload.ideal_bits - 1)

    return Row(
        workload.name,
        entry.name,
        isa=facts.isa,
        threads=entry.threads,
        lanes=facts.lanes,
        table_bits=facts.table_bits,
        MBps_encode=count / encode[clock] / 1e6,
        MBps_decode=count / decode[clock] / 1e6,
        bits_per_symbol=8 * size.words / count,
        excess_percent=excess(8 * size.words),
        overhead_bytes_per_image=size.overhead / workload.images,
        excess_with_states_percent=None
        if size.state_bits is None
        else excess(8 * size.words + size.state_bits),
        merge_loss_percent=workload.merge_loss_percent if isinstance(workload, LatentWorkload) else None,
        MBps_wall_encode=count / encode["wall"] / 1e6,
        MBps_wall_decode=count / decode["wall"] / 1e6,
        clock=clock,
        symbols=count,
        repeats=len(passes),
        seconds=encode[clock] + decode[clock],
        mode=facts.mode,
    )


def measure(workload: Workload, repeats: int, limit: float) -> Iterator[Row]:
    """A row for every coder that runs on this workload."""
    if isinstance(workload, LatentWorkload):  # what only --dump needs stays here
        sent: Workload = replace(workload, source_tables=None, source_index=None)
    else:
        sent = workload
    entries = [entry for entry in ENTRIES if entry.runs_on(workload)]

    def start(entry: Entry) -> CoderProcess:
        return CoderProcess(entry.make, sent, entry.environment, cores_for(entry.threads), limit)

    starts = [partial(start, entry) for entry in entries]
    for entry, (facts, passes, error) in zip(entries, take_turns(starts, repeats), strict=True):
        if error is not None:
            yield Row(workload.name, entry.name, threads=entry.threads, error=error)
        else:
            yield row(workload, entry, facts, passes)
