"""Size and speed of classical codecs on a set of images, decoded again and compared."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from typing import TypedDict

import numpy as np

from fsar_lab.baselines.base import Baseline, Image, check_image
from fsar_lab.baselines.registry import get
from fsar_lab.errors import CodingError, LosslessError

# What a report stands beside if nothing else is asked for.
DEFAULT = ("png", "webp", "jxl_e3", "jxl_e7")
_CHUNK = 64  # images between two readings of the clock and two calls of `progress`


class Row(TypedDict):
    """One codec's figures over all images. The names are those of result.json."""

    codec: str
    title: str
    library: str
    images: int
    bytes: int
    bpd: float  # bits per 8-bit sample, from complete files with all their headers
    encode_MBps: float  # 10^6 raw uint8 bytes per CPU second, after one uncounted warm-up
    decode_MBps: float
    lossless: bool


def measure(
    baselines: Iterable[Baseline | str],
    images: Sequence[Image] | Image,
    progress: Callable[[str, int, int], None] | None = None,
) -> list[Row]:
    """Codes every image as its own file with every codec, decodes it again and compares all pixels.

    Args:
        baselines: codecs or their names.
        images: uint8 [N, H, W, 3], or a sequence of uint8 [H, W, 3] of any sizes.
        progress: called with (codec name, images done, images) as the work goes on.

    Returns:
        One row per codec, in the order given.

    Raises:
        LosslessError: If a decoded image differs from the original: such a codec has no figure.
        CodingError: If there are no images, or they are not uint8 [H, W, 3].
        ConfigError: If a name is unknown, or its library is not installed.
    """
    checked = [check_image(np.asarray(image)) for image in images]
    if not checked:
        raise CodingError("there are no images to measure codecs on.")
    chosen = [get(entry) if isinstance(entry, str) else entry for entry in baselines]
    return [_measure_one(baseline, checked, progress) for baseline in chosen]


def _measure_one(
    baseline: Baseline, images: list[Image], progress: Callable[[str, int, int], None] | None
) -> Row:
    baseline.decode(baseline.encode(images[0]))  # warm-up: tables, memory, lazy imports
    coded = 0
    encode_seconds = decode_seconds = 0.0
    for start in range(0, len(images), _CHUNK):
        chunk = images[start : start + _CHUNK]
        before = time.process_time()
        files = [baseline.encode(image) for image in chunk]
        between = time.process_time()
        decoded = [baseline.decode(data) for data in files]
        after = time.process_time()
        encode_seconds += between - before
        decode_seconds += after - between
        for number, (image, again) in enumerate(zip(chunk, decoded), start):
            if not np.array_equal(image, again):
                raise LosslessError(f"{baseline.title}: image {number} differs after decoding.")
        coded += sum(len(data) for data in files)
        if progress is not None:
            progress(baseline.name, start + len(chunk), len(images))
    raw = sum(image.size for image in images)
    return Row(
        codec=baseline.name,
        title=baseline.title,
        library=baseline.library(),
        images=len(images),
        bytes=coded,
        bpd=8.0 * coded / raw,
        encode_MBps=_rate(raw, encode_seconds),
        decode_MBps=_rate(raw, decode_seconds),
        lossless=True,
    )


def _rate(raw_bytes: int, seconds: float) -> float:
    """10^6 bytes per second; the clock's resolution bounds very short measurements."""
    return raw_bytes / 1e6 / max(seconds, time.get_clock_info("process_time").resolution)
