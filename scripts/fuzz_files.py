"""Mutates the golden bundle and blobs for a while: a typed error or the right pixels, nothing else.

Half of the blobs are given a directory that agrees with its checksum again: of such a forgery any pixels may
come, but no other error.

    python scripts/fuzz_files.py --seconds 60 --seed 1

Prints what was refused and how often; a failure prints the seed and leaves the file in --keep.
"""

from __future__ import annotations

import argparse
import struct
import sys
import time
import zlib
from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fsar_lab import Codec, zoo
from fsar_lab.codec import blob
from fsar_lab.errors import FsarError

GOLDEN = Path(__file__).resolve().parents[1] / "tests" / "golden"
FAILED = "FAILED"
Images = NDArray[np.uint8] | Sequence[NDArray[np.uint8]]


def mutate(data: bytes, rng: np.random.Generator) -> bytes:
    """One to four random edits: bits, bytes, runs cut out, repeated, moved, or the end cut off."""
    out = bytearray(data)
    for _ in range(int(rng.integers(1, 5))):
        size = len(out)
        if size < 2:
            break
        at, length = int(rng.integers(size)), int(rng.integers(1, min(64, size)))
        kind = rng.integers(6)
        if kind == 0:
            out[at] ^= 1 << int(rng.integers(8))
        elif kind == 1:
            out[at : at + length] = rng.bytes(len(out[at : at + length]))
        elif kind == 2:
            del out[at : at + length]
        elif kind == 3:
            out[at:at] = out[at : at + length]
        elif kind == 4:
            extreme = int(rng.choice([0, 1, 0x7FFFFFFF, 0xFFFFFFFF])).to_bytes(4, "little")
            out[at : at + 4] = extreme[: size - at]
        else:
            del out[at:]
    return bytes(out)


def forge(data: bytes, rng: np.random.Generator) -> bytes:
    """The blob with an edited directory whose checksum is right."""
    _, _, flags, _, _, runs, groups, _, _ = blob.HEADER.unpack_from(data)
    size = blob.HEADER.size + runs * blob.SIZES.size + groups * blob.GROUP.size
    size = blob.LONE_HEADER.size if flags & blob.LONE else size
    head = mutate(data[:size], rng)
    return head + struct.pack("<I", zlib.crc32(head)) + data[size + 4 :]


def load_and_decode(path: Path, data: bytes) -> Images:
    """A blob's images with the codec in a file."""
    return Codec.load(path, threads=1).decode(data)


def attempt(call: Callable[[], Images], wanted: Images | None) -> str:
    """What happened: "right", the name of the typed error, or FAILED and why; None: all pixels are right."""
    try:
        got = call()
    except FsarError as error:
        return type(error).__name__
    except Exception as error:
        return f"{FAILED}: {type(error).__name__}: {error}"
    if wanted is None:
        return "forged"
    same = len(got) == len(wanted) and all(np.array_equal(a, b) for a, b in zip(got, wanted, strict=True))
    return "right" if same else f"{FAILED}: wrong pixels"


def zoo_blobs() -> list[tuple[Codec, bytes]]:
    """Of codecs with waves: those of the golden files, and a wave and a stored image by themselves."""
    found, noise = [], np.random.default_rng(0).integers(0, 256, (5, 7, 3), np.uint8)
    for name in ("context", "fast"):
        codec, data = (
            Codec.load(zoo.codec_path(name), threads=1),
            (GOLDEN / "zoo" / f"{name}.fsb").read_bytes(),
        )
        found += [
            (codec, data),
            (codec, codec.encode(codec.decode(data)[:1])),
            (codec, codec.encode([noise])),
        ]
    return found


def main(arguments: list[str] | None = None) -> int:
    """Fuzz; 1 if anything but a typed error or the right pixels came out."""
    parser = argparse.ArgumentParser(prog="python scripts/fuzz_files.py", description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--keep", type=Path, default=Path("outputs/fuzz"), help="folder for what fails")
    options = parser.parse_args(arguments)
    options.keep.mkdir(parents=True, exist_ok=True)
    bundle, codec = GOLDEN / "made.fsarm", Codec.load(GOLDEN / "made.fsarm", threads=1)
    files = [(codec, file.read_bytes()) for file in sorted(GOLDEN.glob("*.fsb"))]
    contents = [(codec, data, codec.decode(data)) for codec, data in files + zoo_blobs()]
    outcomes: Counter[str] = Counter()
    started, number = time.monotonic(), options.seed
    while time.monotonic() - started < options.seconds:
        rng = np.random.default_rng(number)
        path = options.keep / f"{number}.fuzzed"
        codec, data, images = contents[int(rng.integers(len(contents) if number % 2 else len(files)))]
        if number % 4 == 1:
            data = forge(data, rng)
            outcome = "blob: " + attempt(partial(codec.decode, data), None)
        elif number % 2:
            data = mutate(data, rng)
            outcome = "blob: " + attempt(partial(codec.decode, data), images)
        else:
            path.write_bytes(mutate(bundle.read_bytes(), rng))
            outcome = "bundle: " + attempt(partial(load_and_decode, path, data), images)
        outcomes[outcome] += 1
        if FAILED in outcome:
            print(f"seed {number}: {outcome}; see {path}", file=sys.stderr)
            if not path.exists():
                path.write_bytes(data)
            break
        path.unlink(missing_ok=True)
        number += 1
    for name, count in sorted(outcomes.items()):
        print(f"{count:8,}  {name}")
    return int(any(FAILED in name for name in outcomes))


if __name__ == "__main__":
    sys.exit(main())
