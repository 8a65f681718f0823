"""What a prior saves and what its decoding costs: rate against time on the latents of trained codecs.

    python scripts/bench_priors.py BUNDLE_OR_RUN ... [--images 1000] [--repeats 7] [--json FILE]

The first is the one that others are compared with (the uniform prior). Every prior codes the indices that its
own bundle's analysis gives for the same images; with frozen networks (start.run=DIRECTORY) these are the same
for all. Times are CPU time of one thread; all priors take turns, medians. `latents` is the prior's part of
decoding alone, `decode` everything from bytes to pixels. Every pass is decoded and compared.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median

import numpy as np
from bench_entropy import machine
from codec_bench.images import DATASETS
from numpy.typing import NDArray

from fsar_lab import entropy
from fsar_lab.codec.codec import Codec
from fsar_lab.codec.prior import PriorTables

BATCHES = (1, 32)  # images of a call beside all of them


@dataclass(frozen=True)
class Row:
    """One prior.

    Attributes:
        symbols: K. contexts: of all groups. tables: distributions.
        table_bytes: of the prior, as held for coding. bundle_bytes: the file.
        bpd_latents: coded, per sub-pixel. bpd: of the whole blob.
        ms_latents: CPU time of decoding one image's indices, by images in a call.
        ms_decode: of everything, all images in a call.
    """

    name: str
    symbols: int
    contexts: int
    tables: int
    table_bytes: int
    bundle_bytes: int
    bpd_latents: float
    bpd: float
    ms_latents: dict[int, float]
    ms_decode: float


class Subject:
    """One bundle with what it decodes."""

    def __init__(self, path: Path, images: NDArray[np.uint8]) -> None:
        file = path / "codec.fsarm" if path.is_dir() else path
        self.name = path.name if path.is_dir() else path.stem
        self.bundle_bytes = file.stat().st_size
        self.codec, self.images = Codec.load(file, threads=1), images
        self.indices = self.codec.analyse(images)
        self.encoded = self.codec.encode_parts(images)
        assert self.codec.latent_coder is not None
        self.coder = self.codec.latent_coder
        self.streams = {batch: self._code(batch) for batch in (*BATCHES, len(images))}
        self.latent_ms: dict[int, list[float]] = {batch: [] for batch in self.streams}
        self.decode_ms: list[float] = []

    def _code(self, batch: int) -> list[list[bytes]]:
        """The indices alone as streams, `batch` images in a call."""
        streams = []
        for start in range(0, len(self.indices), batch):
            part = self.indices[start : start + batch]
            encoder = entropy.Encoder(len(part))
            self.coder.push(encoder, part)
            streams.append(encoder.finish())
        return streams

    def one_pass(self) -> None:
        """Decode everything once."""
        n = len(self.images)
        for batch, streams in self.streams.items():
            decoded: list[NDArray[np.uint16]] = []

            def decode(
                batch: int = batch,
                streams: list[list[bytes]] = streams,
                decoded: list[NDArray[np.uint16]] = decoded,
            ) -> None:
                for number, stream in enumerate(streams):
                    count = min(batch, n - number * batch)
                    decoder = entropy.Decoder(stream, count)
                    decoded.append(self.coder.pop(decoder, (count, *self.indices.shape[1:])))

            self.latent_ms[batch].append(milliseconds(decode) / n)
            assert np.array_equal(np.concatenate(decoded), self.indices)
        images: list[object] = []
        self.decode_ms.append(milliseconds(lambda: images.append(self.codec.decode(self.encoded.data))) / n)
        assert np.array_equal(np.asarray(images[0]), self.images)

    def row(self) -> Row:
        """Its figures."""
        prior = self.codec.model.prior
        assert prior is not None
        return Row(
            name=self.name,
            symbols=prior.codebook_size,
            contexts=prior.context_map.size if isinstance(prior, PriorTables) else 0,
            tables=prior.tables,
            table_bytes=self.coder.expanded_nbytes,
            bundle_bytes=self.bundle_bytes,
            bpd_latents=self.encoded.latents / self.images.size,
            bpd=self.encoded.bpd,
            ms_latents={batch: median(times) for batch, times in self.latent_ms.items()},
            ms_decode=median(self.decode_ms),
        )


def milliseconds(work: Callable[[], object]) -> float:
    """CPU time."""
    start = time.process_time_ns()
    work()
    return (time.process_time_ns() - start) / 1e6


def table(rows: list[Row]) -> str:
    """Markdown; ratios are to the first row."""
    batches = list(rows[0].ms_latents)
    head = ["prior", "K", "contexts", "tables", "MiB held", "bundle KB", "latents bpd", "bpd"]
    head += [f"latents ms, {batch} at a time" for batch in batches] + ["decode ms", "decode, ratio"]
    lines = ["| " + " | ".join(head) + " |", "| :--- |" + " ---: |" * (len(head) - 1)]
    for row in rows:
        cells = [row.name, str(row.symbols), f"{row.contexts:,}", f"{row.tables:,}"]
        cells += [f"{row.table_bytes / 2**20:.2f}", f"{row.bundle_bytes / 1000:.0f}"]
        cells += [f"{row.bpd_latents:.4f}", f"{row.bpd:.4f}"]
        cells += [f"{row.ms_latents[batch]:.4f}" for batch in batches]
        cells += [f"{row.ms_decode:.4f}", f"{row.ms_decode / rows[0].ms_decode:.3f}"]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main() -> None:
    """Measures, prints, writes."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("paths", nargs="+", type=Path, help="bundles, or run directories that hold one")
    parser.add_argument("--images", type=int, default=1000, help="of the CIFAR-10 test set (default 1000)")
    parser.add_argument("--repeats", type=int, default=7, help="passes (default 7)")
    parser.add_argument("--json", type=Path, default=Path("outputs/bench/priors.json"))
    options = parser.parse_args()
    print(machine(), flush=True)
    images = np.ascontiguousarray(list(DATASETS["cifar10"](options.images).pixels))
    subjects = [Subject(path, images) for path in options.paths]
    for _ in range(options.repeats):
        for subject in subjects:
            subject.one_pass()
    rows = [subject.row() for subject in subjects]
    print(table(rows))
    options.json.parent.mkdir(parents=True, exist_ok=True)
    options.json.write_text(json.dumps([asdict(row) for row in rows], indent=1) + "\n")


if __name__ == "__main__":
    main()
