"""How fast a codec codes: MB/s and ms per image, networks and entropy coder apart and together.

Needs neither Lightning nor the training: `python -m fsar_lab.callbacks.coding_speed codec.fsarm images.npy`
measures in a process of its own, so that the peak memory it reports is that of coding alone.
"""

from __future__ import annotations

import argparse
import json
import re
import resource
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any, ParamSpec, TypeVar

import numpy as np

from fsar_lab.codec.arguments import Images
from fsar_lab.codec.codec import Codec
from fsar_lab.codec.model import CodecModel
from fsar_lab.config.schema import CodingSpeedConfig
from fsar_lab.cores import available_cores
from fsar_lab.errors import CodingError, LosslessError

LARGEST_WARM_UP = 64  # images; enough for every batch size to touch all code and tables
A = TypeVar("A")
B = TypeVar("B")
P = ParamSpec("P")


@dataclass(frozen=True)
class Plan:
    """How much of what was asked for fits into the time: `images` in batches of `batch`, `repeats` times."""

    images: int
    batch: int
    repeats: int


class TimedCodec(Codec):
    """A codec that adds up the seconds that its threads spend in the networks and in all of coding.

    Args:
        model: the integer model.
        threads: that share a call; may be changed between calls.
    """

    def __init__(self, model: CodecModel, threads: int | None = None) -> None:
        super().__init__(model, threads)
        self._lock = threading.Lock()
        self.reset()
        if self.networks:
            analysis, synthesis = self.networks
            self.networks = self._clocked(analysis, "networks"), self._clocked(synthesis, "networks")
        self._encode_groups = self._clocked(self._encode_groups, "all")  # type: ignore[method-assign]
        self._decode_groups = self._clocked(self._decode_groups, "all")  # type: ignore[method-assign]

    def reset(self) -> None:
        """Start again from 0."""
        self._seconds = {"networks": 0.0, "all": 0.0}

    @property
    def network_share(self) -> float:
        """The part of the threads' time since the last reset that the networks and codeword search took."""
        return self._seconds["networks"] / max(self._seconds["all"], 1e-9)

    def _clocked(self, work: Callable[P, B], what: str) -> Callable[P, B]:
        def timed(*args: P.args, **kwargs: P.kwargs) -> B:
            start = perf_counter()
            try:
                return work(*args, **kwargs)
            finally:
                seconds = perf_counter() - start
                with self._lock:
                    self._seconds[what] += seconds

        return timed


def measure_coding_speed(model: CodecModel, images: Images, config: CodingSpeedConfig) -> dict[str, Any]:
    """Measure encoding and decoding; every image is compared after decoding.

    Args:
        model: A codec is made from it and measured with one thread and with all.
        images: uint8 [N, H, W, 3], or a list of uint8 [H, W, 3] of any sizes; at most `config.max_images`
            of them are coded.
        config: Batch sizes (0 = all images), repeats, and the time to stay within. If the time is too short
            for everything, fewer images or repeats are measured, and `limited` says so.

    Returns:
        Plain data: `encode_MBps`, `decode_MBps`, `encode_coder_MBps`, `decode_coder_MBps` for the largest
        batch and one thread, and the table `coding_speed` with its own explanation under `about`.

    Raises:
        CodingError: There are no images.
        LosslessError: Decoded images differ from the originals.
    """
    images = images[: config.max_images]
    if not len(images):
        raise CodingError("there are no images to measure the coding speed on")
    memory = _peak_memory()
    rows: list[dict[str, Any]] = []
    sizes = sorted({min(size or len(images), len(images)) for size in config.batch_sizes})
    threads = sorted({1, available_cores()})
    budget = config.max_seconds / (len(sizes) * len(threads))
    start = perf_counter()
    timed = TimedCodec(model)
    build_seconds = perf_counter() - start
    for count in threads:
        timed.threads = count
        rows += [_row(timed, images, size, config.repeats, budget) for size in sizes]
    head = max((row for row in rows if row["threads"] == 1), key=lambda row: row["batch"])
    return {
        **{f"{side}_MBps": head[f"{side}_MBps"] for side in ("encode", "decode")},
        **{f"{side}_coder_MBps": head[f"{side}_coder_MBps"] for side in ("encode", "decode")},
        "coding_speed": {
            "about": "MB = 10^6 bytes of uint8 samples; medians of the repeats, after a warm-up; coder = "
            "everything but the networks: entropy coder, checksums, container; several threads' networks are "
            "counted as their share of the threads' time; tables are built beforehand; "
            "peak memory is the process's largest resident set so far, images and blobs included",
            "rows": rows,
            "table_build_seconds": _rounded(build_seconds),
            "table_bytes": int(timed.table_bytes),
            "peak_memory_bytes": _peak_memory(),
            "peak_memory_bytes_before": memory,
            "limited": any(row["limited"] for row in rows),
        },
    }


def measure_in_new_process(
    model: Path, images: Images, config: CodingSpeedConfig, python: str = sys.executable
) -> dict[str, Any]:
    """`measure_coding_speed` of a codec file in a process that does nothing else.

    Raises:
        CodingError: The process failed; its last words are in the message.
    """
    with tempfile.TemporaryDirectory() as folder:
        source, result = Path(folder) / "images.npy", Path(folder) / "speed.json"
        save_images(source, images[: config.max_images])
        command = [python, "-m", "fsar_lab.callbacks.coding_speed", str(model), str(source)]
        command += ["--config", json.dumps(asdict(config)), "--output", str(result)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise CodingError(f"measuring the coding speed failed: {done.stderr.strip()[-2000:]}")
        measured: dict[str, Any] = json.loads(result.read_text(encoding="utf-8"))
        return measured


def save_images(path: Path, images: Images) -> None:
    """Write images as `load_images` reads them: one array, or arr_0, arr_1, … if they are of any sizes."""
    with path.open("wb") as file:
        if isinstance(images, np.ndarray):
            np.save(file, images)
        else:
            np.savez(file, *images)


def load_images(path: Path) -> Images:
    """Images from a .npy file, or a list of them from a .npz file with arr_0, arr_1, …."""
    content = np.load(path, allow_pickle=False)
    if isinstance(content, np.ndarray):
        return content
    with content:
        return [content[f"arr_{i}"] for i in range(len(content.files))]


def equal_images(some: Images, others: Images) -> bool:
    """Whether as many images have the same sizes and pixels; arrays [N, H, W, 3] or lists of [H, W, 3]."""
    return len(some) == len(others) and all(map(np.array_equal, some, others))


def as_metrics(measured: dict[str, Any]) -> dict[str, float]:
    """Flat figures for a logger: `coding_speed/threads1_batch32/encode_MBps` and so on."""
    table = measured["coding_speed"]
    metrics = {key: float(value) for key, value in measured.items() if key.endswith("_MBps")}
    for row in table["rows"]:
        prefix = f"coding_speed/threads{row['threads']}_batch{row['batch']}"
        metrics |= {f"{prefix}/{key}": value for key, value in row.items() if key.endswith(("_MBps", "_ms"))}
    for key in ("table_build_seconds", "peak_memory_bytes"):
        metrics[f"coding_speed/{key}"] = float(table[key])
    return metrics


def _row(codec: TimedCodec, images: Images, batch: int, repeats: int, budget: float) -> dict[str, Any]:
    """Measure one batch size with one number of threads."""
    start = perf_counter()
    warm_up = images[: min(batch, LARGEST_WARM_UP)]
    _check(warm_up, codec.decode(codec.encode(warm_up)))
    again = perf_counter()
    codec.decode(codec.encode(warm_up))
    seconds_each = (perf_counter() - again) / len(warm_up)
    todo = plan(len(images), batch, repeats, budget - (perf_counter() - start), seconds_each)
    parts = [images[i : i + todo.batch] for i in range(0, todo.images, todo.batch)]
    measured: dict[str, list[tuple[float, float]]] = {"encode": [], "decode": []}
    for repeat in range(todo.repeats):
        blobs, times = _timed(codec, codec.encode, parts)
        measured["encode"].append(times)
        decoded, times = _timed(codec, codec.decode, blobs)
        measured["decode"].append(times)
        if repeat == 0:
            _check(images[: todo.images], [image for part in decoded for image in part])
    row: dict[str, Any] = {"threads": codec.threads, "batch": todo.batch}
    megabytes = sum(images[i].nbytes for i in range(todo.images)) / 1e6
    for side, seconds in measured.items():
        row |= _figures(side, seconds, todo.images, megabytes)
    limited = todo.images < len(images) // batch * batch or todo.repeats < repeats
    return row | {"images": todo.images, "repeats": todo.repeats, "limited": limited}


def plan(images: int, batch: int, repeats: int, budget: float, seconds_each: float) -> Plan:
    """Fit images and repeats into `budget` seconds: first fewer whole batches, then fewer repeats."""
    affordable = int(max(0.0, budget) / (seconds_each * repeats))
    if affordable < batch:  # not one batch that often
        repeats = max(1, int(max(0.0, budget) / (seconds_each * batch)))
        if repeats == 1:  # perhaps not even once: then a smaller batch, whole groups of 32 lanes if possible
            few = int(max(0.0, budget) / seconds_each)
            batch = min(batch, max(1, few // 32 * 32 or min(few, 32)))
        return Plan(batch, batch, repeats)
    return Plan(min(images, affordable) // batch * batch, batch, repeats)


def _timed(codec: TimedCodec, work: Callable[[A], B], parts: list[A]) -> tuple[list[B], tuple[float, float]]:
    """Do the work on all parts; its results, and the seconds of everything and of the networks."""
    codec.reset()
    start = perf_counter()
    results = [work(part) for part in parts]
    seconds = perf_counter() - start
    return results, (seconds, seconds * codec.network_share)


def _figures(side: str, times: list[tuple[float, float]], images: int, megabytes: float) -> dict[str, float]:
    """Medians over the repeats of (all seconds, network seconds); no speed of networks that are not there."""
    seconds = {
        "": median(total for total, _ in times),
        "_network": median(network for _, network in times),
        "_coder": median(total - network for total, network in times),
    }
    speeds = {part: value for part, value in seconds.items() if value > 0}  # there may be no networks
    figures = {f"{side}{part}_MBps": _rounded(megabytes / value) for part, value in speeds.items()}
    figures |= {f"{side}{part}_ms": _rounded(1e3 * value / images) for part, value in seconds.items()}
    return figures


def _check(images: Images, decoded: Images) -> None:
    if not equal_images(images, decoded):
        raise LosslessError("decoded images differ from the originals while measuring the coding speed")


def _peak_memory() -> int:
    """Largest resident set of this process so far, bytes.

    Linux counts in ru_maxrss what the process was before exec, i.e. the memory of the training that
    started this one; VmHWM begins anew.
    """
    status = Path("/proc/self/status")
    found = re.search(r"^VmHWM:\s+(\d+) kB$", status.read_text(), re.M) if status.exists() else None
    if found:
        return int(found[1]) * 1024
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def _rounded(value: float) -> float:
    """Four significant digits: more would be noise."""
    return float(f"{value:.4g}")


def main(arguments: list[str] | None = None) -> None:
    """Measure a codec file on images from a .npy file and print or write the result as JSON."""
    parser = argparse.ArgumentParser(description="Measure how fast a codec file codes images.")
    parser.add_argument("model", type=Path, help="codec.fsarm")
    parser.add_argument(
        "images", type=Path, help=".npy with uint8 [N, H, W, 3], or .npz as save_images writes it"
    )
    parser.add_argument("--config", default="{}", help="JSON with fields of CodingSpeedConfig")
    parser.add_argument("--output", type=Path, help="write the result here; printed otherwise")
    options = parser.parse_args(arguments)
    config = CodingSpeedConfig(**json.loads(options.config))
    images = load_images(options.images)
    text = json.dumps(measure_coding_speed(CodecModel.load(options.model), images, config), indent=1)
    if options.output:
        options.output.write_text(text, encoding="utf-8")
    else:
        print(text)


if __name__ == "__main__":
    main()
