"""How fast training batches come from each data set, beside the training step that waits for them.

    python scripts/bench_data.py [--only folder imagenet64 ...] [--batch 64] [--seconds 3]

Data under $FSAR_DATA are used where they are; in place of others files are made in the official form, from
the photographs of scikit-image, in a temporary folder, which is said. Times are CPU seconds of the process,
all its threads together, so that other work on the machine does not count; what threads decode goes as many
times faster as there are cores. `load` is making the data set, unpacking included; `grown` is how much the
process's memory grew while that was done and batches were drawn (it may reuse what earlier rows gave back).
The step is forward, backward and Adam of shallow_c32 with a linear AR on pixels, float32, with batches of the
same size and images that are there already.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from bench_entropy import machine
from codec_bench.images import data_folder, stand_in
from PIL import Image

from fsar_lab.config import schema
from fsar_lab.config.build import build
from fsar_lab.config.compose import compose
from fsar_lab.data.dataset import TestSet
from fsar_lab.data.stream import TrainStream
from fsar_lab.models.build import build_compressor

MADE_NPZ = (2, 4096)  # files, and images in each
MADE_PHOTOS = 48


def photographs(folder: Path, count: int, width: int, height: int) -> Path:
    """`count` PNG files of photographs, enlarged or reduced."""
    folder.mkdir(parents=True)
    photos, _ = stand_in()
    for i in range(count):
        image = Image.fromarray(photos[i % len(photos)]).resize((width, height), Image.Resampling.LANCZOS)
        image.rotate(180 * (i % 2)).save(folder / f"{i:03}.png")
    return folder


def imagenet(root: Path, side: int) -> Path:
    """The official layout with few images."""
    files, count = MADE_NPZ
    rng = np.random.default_rng(side)
    for name, folder in [(f"train_data_batch_{i + 1}", "train") for i in range(files)] + [
        ("val_data", "val")
    ]:
        (root / f"Imagenet{side}_{folder}_npz").mkdir(parents=True, exist_ok=True)
        data = rng.integers(0, 256, (count, 3 * side * side), np.uint8)
        np.savez(root / f"Imagenet{side}_{folder}_npz" / f"{name}.npz", data=data)
    return root


def configurations(data: Path, made: Path) -> dict[str, tuple[Callable[[], Any], Path]]:
    """For each option how its configuration comes about, and the folder without which it is made."""

    def openimages() -> schema.OpenImagesConfig:
        for part in ("clean_train", "clean_val"):
            photographs(made / "openimages" / part, MADE_PHOTOS, 683, 512)
        config = schema.OpenImagesConfig(root=str(made / "openimages"), validation_images=8)
        config.test_roots = [str(made / "openimages" / "clean_val")]
        return config

    def downsampled(side: int) -> Callable[[], schema.ImageNetConfig]:
        return lambda: schema.ImageNetConfig(
            root=str(imagenet(made / "ImageNet", side)), side=side, counts=None, validation_images=64
        )

    def folder(memory: float) -> Callable[[], schema.FolderConfig]:
        def make() -> schema.FolderConfig:
            root = data / "photos"
            if not root.is_dir():
                root = made / "photos"
                if not root.is_dir():
                    photographs(root, MADE_PHOTOS, 1024, 768)
            return schema.FolderConfig(root=str(root), memory_gb=memory)

        return make

    clic = made / "clic"
    return {
        "cifar10": (lambda: schema.NPZConfig(root=str(data / "cifar10")), data / "cifar10"),
        "photos": (lambda: schema.PhotosConfig(), Path()),
        "folder": (folder(2.0), data / "photos"),
        "folder, from files": (folder(0.0), data / "photos"),
        "imagenet32": (downsampled(32), made),
        "imagenet64": (downsampled(64), made),
        "openimages": (openimages, made),
        "kodak": (lambda: schema.KodakConfig(root=str(data / "kodak")), data / "kodak"),
        "clic2020": (lambda: schema.CLIC2020Config(root=str(photographs(clic, 41, 2048, 1365))), made),
    }


def resident() -> int:
    """Bytes of this process in memory."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def measure(config: Any, batch: int, seconds: float) -> tuple[str, int]:
    """A row of the table without its name, and the side of the training images."""
    memory, start = resident(), time.process_time()
    dataset = build(config)
    load = time.process_time() - start
    if isinstance(dataset, TestSet):
        return f"| {load:.2f} | {len(dataset.test) / load:,.0f} (read whole) | {_grown(memory)} |", 0
    stream = iter(TrainStream(dataset.train, batch, 10**9))
    next(stream)
    start, images = time.process_time(), 0
    while (passed := time.process_time() - start) < seconds:
        images += len(next(stream))
    return f"| {load:.2f} | {images / passed:,.0f} | {_grown(memory)} |", dataset.shape[1]


def _grown(before: int) -> str:
    return f"{(resident() - before) / 1e6:,.0f}"


def step_rate(side: int, batch: int, seconds: float) -> float:
    """Images a second of the training step."""
    parts = ["backbone=shallow_c32", "coder=gaussian_linear_ar"]
    config = compose(["dataset=fake", f"dataset.side={side}", *parts])
    torch.manual_seed(0)
    model = build_compressor(config)
    images = torch.randint(0, 256, (batch, 3, side, side), dtype=torch.uint8)
    optimizer = build(config.optimizer, parameters=model.parameters())
    start, steps = time.process_time(), -1  # the first is a warm-up
    while steps < 1 or time.process_time() - start < seconds:
        if steps == 0:
            start = time.process_time()
        model(images).loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        steps += 1
    return steps * batch / (time.process_time() - start)


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", nargs="*", help="options of the group dataset")
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--seconds", type=float, default=3.0, help="CPU time for each figure")
    options = parser.parse_args()
    warnings.simplefilter("ignore")  # of made photographs
    print(f"{machine()}, {torch.get_num_threads()} threads of torch, batches of {options.batch}")
    print("| dataset | data | side | load, CPU s | images / CPU s | grown, MB | step, images / CPU s |")
    print("| :--- | :--- | ---: | ---: | ---: | ---: | ---: |")
    rates: dict[int, str] = {0: "–"}
    with tempfile.TemporaryDirectory() as folder:
        made = Path(folder)
        for name, (make, place) in configurations(data_folder(), made).items():
            if options.only and name.split(",")[0] not in options.only:
                continue
            if place != made and not place.is_dir() and not name.startswith("folder"):
                print(f"| {name} | no {place} | | | | | |")
                continue
            where = "made" if place == made or not place.is_dir() else "real"
            row, side = measure(make(), options.batch, options.seconds)
            if side not in rates:
                rates[side] = f"{step_rate(side, options.batch, options.seconds):,.0f}"
            print(f"| {name} | {where} | {side or 'any'} {row} {rates[side]} |", flush=True)


if __name__ == "__main__":
    main()
