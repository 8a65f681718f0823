"""Make clean_train and clean_val of Open Images for `dataset=openimages`, by the rule of L3C.

    python scripts/prepare_openimages.py SOURCE OUT [--train train_0 train_1 train_2]
        [--validation validation] [--resolution 512] [--seed 0] [--processes N]

SOURCE holds the unpacked archives train_0, train_1, train_2 and validation (JPEG; 300 GB with what is made of
them): `aws s3 --no-sign-request cp s3://open-images-dataset/tar/train_0.tar.gz .`, or see
https://github.com/cvdfoundation/open-images-dataset. OUT is what dataset.root names.

The rule (Mentzer et al., CVPR 2019; fab-jul/L3C-PyTorch, src/import_train_images.py, commit ce9cd9b):
- each image is scaled down with Lanczos' filter by a factor drawn evenly between `resolution` / its shorter
  side and 0.8, which takes the traces of JPEG away; it is left out if that leaves no choice;
- it is left out if it is not RGB, or if what was scaled has a mean saturation above 0.9 or a mean value above
  0.8 (HSV): drawings, text, overexposure;
- it is stored as PNG.
Here the factor follows from seed and file name, so that neither the order nor the number of processes
matters. Beginning again goes on: what is there, or is named in OUT/discarded.txt, is not made again.
"""

from __future__ import annotations

import argparse
import hashlib
import multiprocessing
import os
import sys
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError
from rich.progress import track

LARGEST_SCALE = 0.8
LARGEST_SATURATION = 0.9
LARGEST_VALUE = 0.8
SUFFIXES = (".jpg", ".jpeg", ".png")
DISCARDED = "discarded.txt"


@dataclass(frozen=True)
class Rule:
    """What decides the outcome for an image, beside its pixels and name."""

    resolution: int
    seed: int


def scale_of(name: str, shorter: int, rule: Rule) -> float | None:
    """The factor for an image of this name and shorter side; None if it is too small."""
    lowest = rule.resolution / shorter
    if lowest > LARGEST_SCALE:
        return None
    digest = hashlib.sha256(f"{rule.seed}/{name}".encode()).digest()
    drawn = int.from_bytes(digest[:8], "big") / 2**64
    return lowest + (LARGEST_SCALE - lowest) * drawn


def too_colourful_or_bright(pixels: NDArray[np.uint8]) -> str | None:
    """Why an image [H, W, 3] is no photograph to train on, or None."""
    value = pixels.max(2).astype(np.float64)
    spread = value - pixels.min(2)
    saturation = float((spread / np.maximum(value, 1)).mean())
    if saturation > LARGEST_SATURATION:
        return f"mean saturation {saturation:.2f}"
    brightness = float(value.mean()) / 255
    return f"mean value {brightness:.2f}" if brightness > LARGEST_VALUE else None


def prepare(file: Path, out: Path, rule: Rule) -> tuple[str, str | None]:
    """Make one image; returns its name and why it was left out, or None."""
    name = file.stem
    try:
        with Image.open(file) as image:
            scale = scale_of(name, min(image.size), rule)
            if scale is None:
                return name, f"{image.width}x{image.height} is too small"
            if image.mode != "RGB":
                return name, f"mode {image.mode}"
            size = round(image.width * scale), round(image.height * scale)
            scaled = image.resize(size, Image.Resampling.LANCZOS)
    except (UnidentifiedImageError, OSError, ValueError, SyntaxError) as error:
        return name, f"not readable ({error})"
    if why := too_colourful_or_bright(np.asarray(scaled)):
        return name, why
    partial_file = out / f".{name}.partial"
    scaled.save(partial_file, "PNG")
    partial_file.replace(out / f"{name}.png")
    return name, None


def prepare_all(files: list[Path], out: Path, rule: Rule, processes: int) -> tuple[int, int]:
    """Make what is not there yet; how many images there are in the end, and how many were left out."""
    out.mkdir(parents=True, exist_ok=True)
    discarded = out.parent / DISCARDED
    done = {file.stem for file in out.glob("*.png")}
    lines = discarded.read_text(encoding="utf-8").splitlines() if discarded.is_file() else []
    left_out = {line.split("\t")[1] for line in lines if line.startswith(f"{out.name}\t")}
    todo = [file for file in files if file.stem not in done | left_out]
    with multiprocessing.Pool(processes) as pool, discarded.open("a", encoding="utf-8") as note:
        results = pool.imap_unordered(partial(prepare, out=out, rule=rule), todo, chunksize=8)
        for name, why in track(results, f"{out.name}", len(todo)):
            if why is None:
                done.add(name)
            else:
                left_out.add(name)
                note.write(f"{out.name}\t{name}\t{' '.join(why.split())}\n")
    return len(done), len(left_out)


def main(arguments: list[str] | None = None) -> int:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("source", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--train", nargs="+", default=["train_0", "train_1", "train_2"], metavar="FOLDER")
    parser.add_argument("--validation", nargs="+", default=["validation"], metavar="FOLDER")
    parser.add_argument("--resolution", type=int, default=512, help="of the shorter side, at least")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--processes", type=int, default=os.cpu_count())
    options = parser.parse_args(arguments)
    parts = {"clean_train": options.train, "clean_val": options.validation}
    for folder in (options.source / name for names in parts.values() for name in names):
        if not folder.is_dir():
            print(
                f"{folder}: there is no such folder -> unpack the archive of this name there", file=sys.stderr
            )
            return 2
    rule = Rule(options.resolution, options.seed)
    for part, names in parts.items():
        files = [
            file
            for name in names
            for file in sorted((options.source / name).iterdir())
            if file.suffix.lower() in SUFFIXES
        ]
        made, left_out = prepare_all(files, options.out / part, rule, options.processes)
        print(f"{part}: {made:,} images, {left_out:,} left out ({options.out / DISCARDED})")
    return 0


if __name__ == "__main__":
    sys.exit(main())
