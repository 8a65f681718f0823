"""Speed and size of the entropy coder beside its peers from PyPI, each run decoded and compared.

    python scripts/bench_entropy.py [--only WORKLOAD ...] [--repeats 9] [--json FILE] [--dump DIR] [--quick]

MB/s are 10^6 symbols of at most one byte a second, calls from Python included, building tables excluded.
With one thread: CPU time, pinned to one core. With two: wall time. All coders of a workload take turns,
and every figure is a median; compare ratios within one run, never figures of two runs. docs/BENCHMARKS.md.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import time
from dataclasses import asdict
from datetime import date
from pathlib import Path

from entropy_bench.measure import Row, measure
from entropy_bench.report import goals_table, rows_table, sizes
from entropy_bench.workloads import BUILDERS, build, dump


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--only", nargs="+", choices=list(BUILDERS), default=list(BUILDERS), metavar="WORKLOAD"
    )
    parser.add_argument("--repeats", type=int, default=9, help="passes of each coder (default 9)")
    parser.add_argument("--quick", action="store_true", help="small workloads, one pass: does it all work?")
    parser.add_argument("--json", type=Path, default=Path("outputs/bench/entropy.json"))
    parser.add_argument("--dump", type=Path, help="write symbols, indices and tables here as .npy")
    parser.add_argument("--limit", type=float, default=120, help="seconds a coder may take to answer")
    return parser.parse_args()


def machine() -> str:
    """Date, processor and how busy the machine is."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    name = names[0] if names else platform.machine()
    load = os.getloadavg()[0]
    return f"{date.today()}, {name}, {os.cpu_count()} cores, load average {load:.1f}"


def main() -> None:
    """Measures, prints, writes."""
    options = arguments()
    print(machine(), flush=True)
    rows: list[Row] = []
    for name in options.only:
        start = time.perf_counter()
        workload = build(name, options.quick)
        print(f"{name}: made in {time.perf_counter() - start:.1f} s", flush=True)
        if options.dump is not None:
            dump(workload, options.dump)
        rows += measure(workload, 1 if options.quick else options.repeats, options.limit)
    print(f"\n{rows_table(rows)}\n\n{goals_table(rows)}\n")
    print(*sizes(rows), sep="\n")
    options.json.parent.mkdir(parents=True, exist_ok=True)
    options.json.write_text(json.dumps([asdict(row) for row in rows], indent=1) + "\n")


if __name__ == "__main__":
    main()
