"""Finished runs as the Markdown of docs/RESULTS.md: runs side by side, classical codecs, where the bits go.

    python scripts/results_markdown.py RUN_DIRECTORY [RUN_DIRECTORY ...]

The first run is the one that is compared with the classical codecs; a run is read from its result.json
and logs/, nothing is computed anew.
"""

from __future__ import annotations

import argparse
import csv
import json
from pathlib import Path
from typing import Any

from fsar_lab.errors import FsarError
from fsar_lab.report.markdown import comparison_markdown, parts_markdown, runs_markdown

CURVE = ("val/bpd_estimated", "val/bpd_latents_estimated", "val/bpd_pixels_estimated", "val/perplexity")


def read(run_dir: Path) -> dict[str, Any]:
    """The result of a finished run.

    Raises:
        FsarError: it is not finished, or failed.
    """
    path = run_dir / "result.json"
    if not path.is_file():
        raise FsarError(f"{run_dir}: no result.json; the run is not finished")
    result: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    if result["status"] != "ok":
        raise FsarError(f"{run_dir}: the run failed: {result.get('error')}")
    return result


def losses(results: list[dict[str, Any]]) -> str:
    """What each step from the float model to bytes costs, in per cent of the float model's bpd."""
    lines = [
        "| run | float, estimated | integer, estimated | coded without overhead | on disk |",
        "| :--- | ---: | ---: | ---: | ---: |",
    ]
    for result in results:
        start = result["bpd_float_estimated"]
        steps = (result["bpd_estimated"], result["bpd_latents"] + result["bpd_pixels"], result["bpd"])
        cells = (f"{step:.4f} ({100 * (step / start - 1):+.2f} %)" for step in steps)
        lines.append(f"| {result['name']} | {start:.4f} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def curve(run_dir: Path) -> str:
    """Validation figures against images seen, from every log of the run, resumed ones included."""
    points: dict[int, list[str]] = {}
    result = read(run_dir)
    for log in sorted(run_dir.glob("logs/version_*/metrics.csv")):
        with log.open(encoding="utf-8") as file:
            for row in csv.DictReader(file):
                if row.get(CURVE[0]):
                    points[int(row["step"]) + 1] = [row[key] for key in CURVE]
    scale = result["train_images"] / max(points) if points else 0.0
    lines = [
        "| images seen | bpd estimated | latents | pixels | perplexity |",
        "| ---: | ---: | ---: | ---: | ---: |",
    ]
    for step, values in sorted(points.items()):
        total, latents, pixels, perplexity = (float(value) for value in values)
        lines.append(
            f"| {step * scale:,.0f} | {total:.4f} | {latents:.4f} | {pixels:.4f} | {perplexity:.0f} |"
        )
    return "\n".join(lines) + "\n"


def speeds(result: dict[str, Any]) -> str:
    """The coding-speed table of a run."""
    lines = [
        "| threads | images a call | encode MB/s | decode MB/s | encode, coder | decode, coder |",
        "| ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for row in result["coding_speed"]["rows"]:
        keys = ("encode_MBps", "decode_MBps", "encode_coder_MBps", "decode_coder_MBps")
        cells = " | ".join(f"{row[key]:.2f}" for key in keys)
        lines.append(f"| {row['threads']} | {row['batch']} | {cells} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Print the sections."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("runs", nargs="+", type=Path, help="run directories, the main one first")
    options = parser.parse_args()
    try:
        results = [read(run) for run in options.runs]
        sections = {
            "Runs": runs_markdown(results),
            f"{results[0]['name']} beside classical codecs": comparison_markdown(results[0]),
            f"Parts of {results[0]['name']}": parts_markdown(results[0]),
            "From the float model to bytes": losses(results),
            f"Speed of {results[0]['name']}": speeds(results[0]) if "coding_speed" in results[0] else "",
            **{
                f"Bits against images seen: {r['name']}": curve(d)
                for r, d in zip(results, options.runs, strict=True)
            },
        }
    except FsarError as error:
        parser.exit(2, f"{error}\n")
    for title, text in sections.items():
        print(f"### {title}\n\n{text}")


if __name__ == "__main__":
    main()
