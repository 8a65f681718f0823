"""Classical codecs on the test images of a data set, each image its own complete file, decoded and compared.

    python scripts/bench_baselines.py [dataset=cifar10_npz dataset.root=FOLDER ...]
        [--codecs png webp ...] [--images N] [--json FILE] [--markdown]

Speeds are 10^6 raw uint8 bytes per CPU second, one thread. The data set is chosen as for fsar_lab.train.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import torch
from rich.console import Console
from rich.progress import Progress

from fsar_lab import baselines
from fsar_lab.baselines import Row
from fsar_lab.baselines.base import Image
from fsar_lab.config.build import build
from fsar_lab.config.compose import compose
from fsar_lab.errors import FsarError
from fsar_lab.report import baselines_markdown, baselines_table


def read_images(overrides: list[str], limit: int | None) -> tuple[Image, str]:
    """The first `limit` test images as uint8 [N, H, W, 3], and what the data set says of itself."""
    dataset = build(compose(overrides).dataset)
    count = len(dataset.test) if limit is None else min(limit, len(dataset.test))
    images: Image = dataset.test.batch(torch.arange(count)).permute(0, 2, 3, 1).contiguous().numpy()
    return images, dataset.describe()


def run(arguments: argparse.Namespace) -> list[Row]:
    """Measures, showing progress on stderr."""
    images, description = read_images(arguments.overrides, arguments.images)
    console = Console(stderr=True)
    console.print(f"{description}\n{len(images)} test images {list(images.shape[1:])}", highlight=False)
    with Progress(console=console, transient=True) as progress:
        tasks = {name: progress.add_task(name, total=len(images)) for name in arguments.codecs}
        return baselines.measure(
            arguments.codecs, images, lambda name, done, _: progress.update(tasks[name], completed=done)
        )


def main() -> None:
    """Reads the command line, measures, prints."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("overrides", nargs="*", help="data set, as for fsar_lab.train")
    parser.add_argument("--codecs", nargs="+", default=[codec.name for codec in baselines.available()])
    parser.add_argument("--images", type=int, help="at most this many (default: all)")
    parser.add_argument("--json", type=Path, help="also write the rows to this file")
    parser.add_argument("--markdown", action="store_true", help="print Markdown instead of a console table")
    arguments = parser.parse_args()
    try:
        rows = run(arguments)
    except FsarError as error:
        raise SystemExit(f"{type(error).__name__}: {error}") from error
    if arguments.json:
        arguments.json.write_text(json.dumps(rows, indent=2) + "\n")
    Console().print(baselines_markdown(rows) if arguments.markdown else baselines_table(rows), markup=False)


if __name__ == "__main__":
    main()
