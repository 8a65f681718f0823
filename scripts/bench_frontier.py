"""Size against speed: every codec of the zoo beside classical codecs, one thread, in one run.

    python scripts/bench_frontier.py [--only cifar10 kodak] [--images 9977] [--photos 24] [--repeats 3]
        [--codecs png webp ...] [--zoo context fast ...]

Everything included, arrays in and bytes out; CPU time, all coders take turns, medians; every pass is decoded
and compared. CIFAR-10 is one blob, a photograph is one blob each; classical codecs write a file an image.
Data as for scripts/bench_codec.py. docs/FRONTIER.md.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from functools import partial
from typing import Any

from bench_entropy import machine
from codec_bench.coders import Classical, Own
from codec_bench.images import DATASETS, Images
from codec_bench.measure import CLASSICAL, Entry, Row, measure
from entropy_bench.report import number, table

from fsar_lab import zoo


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", nargs="+", choices=list(DATASETS), default=list(DATASETS), metavar="DATA")
    parser.add_argument("--images", type=int, default=9977, help="small images (default 9977)")
    parser.add_argument("--photos", type=int, default=24, help="photographs (default 24)")
    parser.add_argument("--repeats", type=int, default=3, help="passes of each coder (default 3)")
    parser.add_argument("--codecs", nargs="*", default=list(CLASSICAL), help="classical codecs")
    parser.add_argument("--zoo", nargs="*", default=zoo.codec_names(), help="codecs of the zoo")
    parser.add_argument("--limit", type=float, default=1200, help="seconds a coder may take to answer")
    return parser.parse_args()


def own(images: Images, name: str, batch: int) -> Any:
    """A codec of the zoo on these images."""
    return Own(replace(images, codec=name), engine="c", threads=1, batch=batch)


def frontier_table(rows: list[Row]) -> str:
    """Smallest files first; a codec's own file beside them."""
    head = ["codec", "bpd", "encode MB/s", "decode MB/s", "bytes of the codec"]
    lines = []
    for row in sorted(rows, key=lambda row: row.bpd or 99):
        known = row.codec in zoo.codec_names()
        size = f"{zoo.codec_path(row.codec).stat().st_size:,}" if known else "-"
        speeds = [number(row.MBps_encode, 2), number(row.MBps_decode, 2)]
        lines.append([row.codec, row.error or number(row.bpd, 4), *speeds, size])
    return table(head, lines)


def main() -> None:
    """Measures and prints."""
    options = arguments()
    print(machine(), flush=True)
    for name in options.only:
        images = DATASETS[name](options.images if name == "cifar10" else options.photos)
        print(f"\n{images.about}\n", flush=True)
        batch = len(images.pixels) if images.small else 1
        one = {"OMP_NUM_THREADS": "1"}
        ours = [
            Entry(codec, "c", partial(own, name=codec, batch=batch), batch=batch, environment=one)
            for codec in options.zoo
        ]
        theirs = [Entry(codec, None, partial(Classical, name=codec)) for codec in options.codecs]
        print(frontier_table(list(measure(images, [*ours, *theirs], options.repeats, options.limit))))


if __name__ == "__main__":
    main()
