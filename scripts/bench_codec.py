"""Speed and size of whole codecs: ours, its networks alone in float32, and the classical ones.

    python scripts/bench_codec.py [--only cifar10 kodak] [--images 1000] [--photos 24] [--repeats 5]
        [--codecs png webp ...] [--json FILE] [--quick]

MB/s are 10^6 bytes of raw RGB a second, everything included: with one thread CPU time, pinned to one core,
with two wall time. All coders of a data set take turns, each in a process of its own; medians. Every pass is
decoded and compared. Classical codecs write a file an image; ours a blob a call. Data: $FSAR_DATA/cifar10
and $FSAR_DATA/kodak, else the photographs of scikit-image. docs/BENCHMARKS.md.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict, replace
from pathlib import Path

from bench_entropy import machine
from codec_bench.images import DATASETS
from codec_bench.measure import CLASSICAL, FLOAT_BATCHES, Row, entries, measure
from codec_bench.report import goals_table, rows_table

from fsar_lab import zoo

QUICK_SIDE = 128  # photographs are cropped to this in a quick run


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", nargs="+", choices=list(DATASETS), default=list(DATASETS), metavar="DATA")
    parser.add_argument("--images", type=int, default=1000, help="small images (default 1000)")
    parser.add_argument("--photos", type=int, default=24, help="photographs (default 24)")
    parser.add_argument("--repeats", type=int, default=5, help="passes of each coder (default 5)")
    parser.add_argument("--codecs", nargs="*", default=list(CLASSICAL), help="classical codecs")
    parser.add_argument("--quick", action="store_true", help="few images, one pass: does it all work?")
    parser.add_argument("--json", type=Path, default=Path("outputs/bench/codec.json"))
    parser.add_argument("--limit", type=float, default=600, help="seconds a coder may take to answer")
    return parser.parse_args()


def main() -> None:
    """Measures, prints, writes."""
    options = arguments()
    print(machine(), flush=True)
    rows: list[Row] = []
    for name in options.only:
        small = name == "cifar10"
        count = (options.images if small else options.photos) if not options.quick else (40 if small else 1)
        images = DATASETS[name](count)
        if options.quick and not small:
            images = replace(images, pixels=[photo[:QUICK_SIDE, :QUICK_SIDE] for photo in images.pixels])
        print(images.about, flush=True)
        if images.codec not in zoo.codec_names():
            print(f"{name}: left out, the zoo has no codec {images.codec!r}", flush=True)
            continue
        repeats, batches = (1, (1,)) if options.quick else (options.repeats, FLOAT_BATCHES)
        measured = list(measure(images, entries(images, options.codecs, batches), repeats, options.limit))
        print(f"\n{rows_table(measured)}\n", flush=True)
        rows += measured
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(json.dumps([asdict(row) for row in rows], indent=1) + "\n")
    print(goals_table(rows))


if __name__ == "__main__":
    main()
