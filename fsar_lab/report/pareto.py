"""Pareto fronts: what no other beats in size and in speed, or in size and in bytes of the model, at once."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from fsar_lab.report.experiments import UNTRAINED
from fsar_lab.report.rows import Row

# The fronts of a block of rows: name, figure beside bpd, and whether more of it is better.
FRONTS = (("speed", "decode_MBps", True), ("bundle", "codec_bytes", False))


def front(points: Sequence[tuple[float, float]]) -> set[int]:
    """Numbers of the points (x, y), less of both being better, that no other point dominates.

    A point dominates another if it is nowhere worse and somewhere better: equal points are both on the front.
    """
    found: set[int] = set()
    best = float("inf")  # y of all points with a smaller x
    for number in sorted(range(len(points)), key=lambda number: points[number]):
        x, y = points[number]
        twin = any(points[other] == (x, y) for other in found)
        if y < best or twin:
            found.add(number)
            best = y
    return found


def mark(rows: Iterable[Row]) -> None:
    """Say in `front` of every row which fronts it is on: "speed", "bundle", "speed, bundle" or None.

    Rows that were not trained are on none, and keep none from it.
    """
    judged = [row for row in rows if row["standing"] != UNTRAINED]
    names: dict[int, list[str]] = {id(row): [] for row in judged}
    for name, key, more in FRONTS:
        known = [row for row in judged if row[key] and row["bpd"] is not None]
        points = [(-row[key] if more else row[key], row["bpd"]) for row in known]
        for number in front(points):
            names[id(known[number])].append(name)
    for row in judged:
        row["front"] = ", ".join(names[id(row)]) or None
