"""Decode one blob in a process of its own: `python -m fsar_lab.codec.decode_blob MODEL BLOB OUT`.

Needs the exported model and the bytes alone: no training code, no checkpoint, no configuration.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path

import numpy as np

from fsar_lab.codec.codec import Codec
from fsar_lab.codec.engines import ENGINES
from fsar_lab.errors import FsarError


def main(arguments: list[str] | None = None) -> int:
    """Decode, write the images and print one line of JSON with the time taken."""
    parser = argparse.ArgumentParser(prog="python -m fsar_lab.codec.decode_blob", description=__doc__)
    parser.add_argument("model", type=Path, help="codec.fsarm")
    parser.add_argument("blob", type=Path, help="coded images")
    parser.add_argument(
        "out",
        type=Path,
        help="file to write: .npy, uint8 [N, H, W, 3], if an array was encoded; "
        "else .npz with arr_0, arr_1, ... of uint8 [H, W, 3]",
    )
    parser.add_argument("--engine", choices=ENGINES, default="c", help="what runs the networks")
    parser.add_argument("--threads", type=int, default=None, help="default: all cores")
    options = parser.parse_args(arguments)
    try:
        started = time.perf_counter()
        codec = Codec.load(options.model, options.threads, options.engine)
        loaded = time.perf_counter()
        images = codec.decode(options.blob.read_bytes())
        decoded = time.perf_counter()
    except (FsarError, OSError) as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        return 1
    temporary = options.out.with_name(options.out.name + ".partial")
    with temporary.open("wb") as file:
        if isinstance(images, np.ndarray):
            np.save(file, images)
        else:
            np.savez(file, *images)
    temporary.replace(options.out)
    seconds = {"load_seconds": loaded - started, "decode_seconds": decoded - loaded}
    print(json.dumps({"images": len(images), **{k: round(v, 4) for k, v in seconds.items()}}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
