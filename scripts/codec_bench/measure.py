"""Rows of the benchmark: all coders take turns, pass after pass; medians are reported."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from statistics import median
from typing import Any

from entropy_bench.measure import cores_for
from entropy_bench.processes import CoderProcess, Time, take_turns

from codec_bench.coders import Classical, Facts, Own, Pass, one_pass
from codec_bench.images import Images

OURS, FLOAT, FOLDED = "fsar_lab", "float32 networks", "float32 networks, folded"
CLASSICAL = ("png", "webp", "jpegls", "jxl_e3", "jxl_e7")
FLOAT_BATCHES = (1, 8, 64)


@dataclass(frozen=True)
class Row:
    """One line of codec.json; a row with `error` has no figures.

    Attributes:
        engine: what runs our networks; None for classical codecs.
        isa: the vector instructions of our C code.
        batch: images in a call.
        bpd: bits per sub-pixel of complete files; None for networks alone.
        MBps_encode: 10^6 bytes of raw RGB a second by `clock`: CPU time with one thread, else wall time.
        lossless: every pass was decoded and compared; None for networks alone.
        overhead_bytes_per_image: headers and final states; None where not known.
        MBps_wall_encode: the same as MBps_encode by wall time in any case.
    """

    dataset: str
    codec: str
    engine: str | None = None
    threads: int = 1
    batch: int = 1
    bpd: float | None = None
    MBps_encode: float | None = None
    MBps_decode: float | None = None
    images: int = 0
    lossless: bool | None = None
    overhead_bytes_per_image: float | None = None
    isa: str | None = None
    MBps_wall_encode: float | None = None
    MBps_wall_decode: float | None = None
    clock: str = "cpu"
    repeats: int | None = None
    library: str | None = None
    error: str | None = None


@dataclass(frozen=True)
class Entry:
    """A coder and its process's environment; `make` takes the images."""

    codec: str
    engine: str | None
    make: Callable[[Images], Any]
    threads: int = 1
    batch: int = 1
    environment: dict[str, str] = field(default_factory=dict)


def entries(
    images: Images, chosen: Sequence[str], float_batches: Sequence[int] = FLOAT_BATCHES
) -> list[Entry]:
    """All that is measured on these images: `chosen` are the classical codecs."""
    most = len(images.pixels) if images.small else 1

    def own(engine: str, threads: int = 1, batch: int = most, isa: str | None = None) -> Entry:
        environment = {"OMP_NUM_THREADS": str(threads)} | ({} if isa is None else {"EC_ISA": isa})
        make = partial(Own, engine=engine, threads=threads, batch=batch)
        return Entry(OURS, engine, make, threads, batch, environment)

    one_thread = {"OMP_NUM_THREADS": "1"}
    ours = [own("c"), own("c", threads=2), own("c", isa="avx2"), own("c", isa="scalar"), own("torch")]
    if images.small:
        ours.insert(1, own("c", batch=1))
    sizes = sorted({min(size, most) for size in float_batches}) if images.small else [1]
    floats = [
        Entry(name, "torch eager", partial(float_networks, batch=size, folded=folded), 1, size, one_thread)
        for name, folded in ((FLOAT, False), (FOLDED, True))
        for size in sizes
    ]
    return [*ours, *floats, *(Entry(name, None, partial(Classical, name=name)) for name in chosen)]


def float_networks(images: Images, batch: int, folded: bool) -> Any:
    """FloatNetworks, whose module imports torch: only in its own process."""
    from codec_bench.float_networks import FloatNetworks

    return FloatNetworks(images, batch, folded)


def row(images: Images, entry: Entry, facts: Facts, passes: list[Pass]) -> Row:
    """Medians of the passes."""
    clock = "cpu" if entry.threads == 1 else "wall"
    count, samples = len(images.pixels), images.samples

    def rate(times: list[Time], by: str) -> float:
        seconds: float = median(getattr(one, by) for one in times)
        return samples / seconds / 1e6

    encode, decode = [one.encode for one in passes], [one.decode for one in passes]
    size = passes[-1].size
    return Row(
        images.name,
        entry.codec,
        engine=entry.engine,
        threads=entry.threads,
        batch=entry.batch,
        bpd=None if size is None else 8 * size / samples,
        MBps_encode=rate(encode, clock),
        MBps_decode=rate(decode, clock),
        images=count,
        lossless=None if size is None else True,
        overhead_bytes_per_image=None if facts.overhead is None else facts.overhead / count,
        isa=facts.isa,
        MBps_wall_encode=rate(encode, "wall"),
        MBps_wall_decode=rate(decode, "wall"),
        clock=clock,
        repeats=len(passes),
        library=facts.library,
    )


def measure(images: Images, chosen: Sequence[Entry], repeats: int, limit: float) -> Iterator[Row]:
    """A row for every entry, one that fails with its error; `limit` seconds for every answer."""

    def start(entry: Entry) -> CoderProcess:
        cores = cores_for(entry.threads)
        return CoderProcess(entry.make, images, entry.environment, cores, limit, one_pass)

    starts = [partial(start, entry) for entry in chosen]
    for entry, (facts, passes, error) in zip(chosen, take_turns(starts, repeats), strict=True):
        if error is not None:
            yield Row(images.name, entry.codec, entry.engine, entry.threads, entry.batch, error=error)
        else:
            yield row(images, entry, facts, passes)
