"""What is measured: our codec, its networks in float32, and the classical codecs. Each lives in a process."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median
from typing import Any, Protocol

import numpy as np
from entropy_bench.processes import CoderError, Time

from codec_bench.images import Images, Pixels
from fsar_lab import zoo

PASS_SECONDS = 0.2  # a pass repeats its call until about this long


@dataclass(frozen=True)
class Facts:
    """What a row says of a coder besides speed and size; `overhead`: bytes in all, None where not known."""

    isa: str | None = None
    library: str | None = None
    overhead: float | None = None


@dataclass(frozen=True)
class Pass:
    """One pass over all images: encoding, decoding, bytes of all files (None: networks alone)."""

    encode: Time
    decode: Time
    size: int | None


class Coder(Protocol):
    """One coder with its images, warmed up."""

    facts: Facts

    def encode(self) -> Any:
        """Codes all images; timed."""

    def decode(self, coded: Any) -> Any:
        """Decodes; timed."""

    def size(self, coded: Any) -> int | None:
        """Bytes of all files."""

    def same(self, decoded: Any) -> bool:
        """Whether these are the images, pixel for pixel."""


def one_pass(coder: Coder) -> Pass:
    """Encodes, decodes, compares."""
    gc.collect()
    coded, encode = clocked(coder.encode)
    decoded, decode = clocked(lambda: coder.decode(coded))
    if not coder.same(decoded):
        raise CoderError("decoded other pixels than were encoded")
    return Pass(encode, decode, coder.size(coded))


def clocked(call: Callable[[], Any]) -> tuple[Any, Time]:
    """Calls once, or as often as fills a pass; the last result, and medians."""
    times: list[tuple[float, float]] = []
    result = None
    while sum(wall for _, wall in times) < PASS_SECONDS:
        wall, cpu = time.perf_counter(), time.process_time()
        result = call()
        times.append((time.process_time() - cpu, time.perf_counter() - wall))
    cpu_times, wall_times = zip(*times, strict=True)
    return result, Time(median(cpu_times), median(wall_times))


class Own:
    """The codec of the zoo, everything included: networks, entropy coder, checksums, container."""

    def __init__(self, images: Images, engine: str, threads: int, batch: int | None) -> None:
        """`batch` images in a call; None: all small ones, one photograph."""
        from fsar_lab.codec.codec import Codec
        from fsar_lab.codec.engine_c import isa
        from fsar_lab.codec.model import CodecModel

        model = CodecModel.load(zoo.codec_path(images.codec))
        self._codec = Codec(model, threads=threads, engine=engine)
        self._parts = batches(images, batch)
        overhead = sum(self._codec.encode_parts(part).overhead for part in self._parts) / 8
        self._codec.decode(self._codec.encode(self._parts[0]))
        self.facts = Facts(isa() if engine == "c" else None, overhead=overhead)

    def encode(self) -> list[bytes]:
        """A blob a call."""
        return [self._codec.encode(part) for part in self._parts]

    def decode(self, coded: list[bytes]) -> list[Any]:
        """The parts."""
        return [self._codec.decode(data) for data in coded]

    def size(self, coded: list[bytes]) -> int:
        """Bytes of the blobs."""
        return sum(map(len, coded))

    def same(self, decoded: list[Any]) -> bool:
        """Exact comparison."""
        return all(np.array_equal(a, b) for a, b in zip(self._parts, decoded, strict=True))


class Classical:
    """A classical codec, each image its own complete file."""

    def __init__(self, images: Images, name: str) -> None:
        from fsar_lab import baselines

        self._codec = baselines.get(name)
        self._images = list(images.pixels)
        self._codec.decode(self._codec.encode(self._images[0]))
        self.facts = Facts(library=self._codec.library())

    def encode(self) -> list[bytes]:
        """A file an image."""
        return [self._codec.encode(image) for image in self._images]

    def decode(self, coded: list[bytes]) -> list[Pixels]:
        """The images."""
        return [self._codec.decode(data) for data in coded]

    def size(self, coded: list[bytes]) -> int:
        """Bytes of the files."""
        return sum(map(len, coded))

    def same(self, decoded: list[Pixels]) -> bool:
        """Exact comparison."""
        return all(np.array_equal(a, b) for a, b in zip(self._images, decoded, strict=True))


def batches(images: Images, size: int | None) -> list[Pixels]:
    """The images as arrays [n, H, W, 3], one for each call."""
    if not images.small:
        return [photo[None] for photo in images.pixels]
    pixels = np.asarray(images.pixels)
    size = size or len(pixels)
    return [pixels[start : start + size] for start in range(0, len(pixels), size)]
