"""From a result (the content of result.json, plain dicts) to rows of tables and the remarks below them.

Keys used: `name`, `bpd`, `bytes`, `encode_MBps`, `decode_MBps`, `lossless`, `bpd_latents`, `bpd_pixels`,
`bpd_overhead`, `bpd_estimated` and `bpd_float_estimated` (cross-entropies of the integer and the float
model), the same two for a part as `bpd_latents_estimated`, `bpd_pixels_float_estimated`, ...; `siblings` and
`baselines`: lists of rows with `codec`, `bpd`, `bytes`, speeds and `lossless`, a sibling also with its
`prior`; of bits-back coding `bits_initial`, `bpd_initial` (a part of the overhead) and `bpd_single_image`,
the mean of images coded each by itself. What is missing is shown as a dash, never as a number.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

Result = Mapping[str, Any]
Row = dict[str, Any]
DASH = "–"
STATES = {"ok": "finished", "running": "running", "waiting": "waiting", "failed": "failed"}  # of runs


class Column(NamedTuple):
    """A table column: heading, key of the row, how its value is written, key of its standard deviation."""

    heading: str
    key: str
    write: Callable[[Any], str] = str
    left: bool = False
    spread: str = ""

    def cell(self, row: Mapping[str, Any]) -> str:
        """The text of this column in a row."""
        value, spread = row.get(self.key), row.get(self.spread)
        if value is None:
            return DASH
        text = self.write(value)
        return text if spread is None else f"{text} ± {self.write(spread).lstrip('+')}"


def bits(value: float) -> str:
    """Bits per dimension as text."""
    return f"{value:.4f}"


def speed(value: float) -> str:
    """MB/s as text: three digits."""
    return f"{value:.3g}" if value < 100 else f"{value:.0f}"


def _percent(value: float) -> str:
    return f"{value:+.1f} %" if round(value, 1) else "0.0 %"


def _yes(value: bool) -> str:
    return "yes" if value else "NO"


COMPARISON = (
    Column("codec", "codec", left=True),
    Column("bpd", "bpd", bits),
    Column("bytes", "bytes", "{:,}".format),
    Column("size", "percent", _percent),
    Column("enc MB/s", "encode_MBps", speed),
    Column("dec MB/s", "decode_MBps", speed),
    Column("lossless", "lossless", _yes),
)
# Classical codecs alone: there is no row of ours to compare with.
BASELINES = (
    Column("codec", "title", left=True),
    *(c for c in COMPARISON if c.key not in ("codec", "percent")),
)
PARTS = (
    Column("part", "part", left=True),
    Column("coded bpd", "bpd", bits),
    Column("share", "share", "{:.1f} %".format),
    Column("estimated", "estimated", bits),
    Column("float estimated", "float_estimated", bits),
)


def comparison_rows(result: Result) -> list[Row]:
    """Our codec first, then its siblings, then the classical codecs; `percent` is size against our row."""
    keys = ("bpd", "bytes", "encode_MBps", "decode_MBps", "lossless")
    rows: list[Row] = [{"codec": result.get("name", "fsar_lab"), **{key: result.get(key) for key in keys}}]
    if single := result.get("bpd_single_image"):
        rows.append({"codec": "each image by itself", "bpd": single})
    rows += [dict(row) for part in ("siblings", "baselines") for row in result.get(part) or ()]
    ours = rows[0]["bpd"]
    for row in rows:
        known = ours and row.get("bpd") is not None
        row["percent"] = 100.0 * (row["bpd"] / ours - 1.0) if known else None
    return rows


def parts_rows(result: Result) -> list[Row]:
    """Latents, pixels, overhead and their sum: coded, estimated by the integer model, by the float model."""
    total = result.get("bpd")
    rows: list[Row] = []
    initial = ("initial",) if result.get("bpd_initial") else ()  # a part of the overhead
    for part in ("latents", "pixels", "overhead", *initial, "total"):
        prefix = "bpd" if part == "total" else f"bpd_{part}"
        coded = result.get(prefix)
        rows.append(
            {
                "part": "- initial bits" if part == "initial" else part,
                "bpd": coded,
                "share": 100.0 * coded / total if total and coded is not None else None,
                "estimated": result.get(f"{prefix}_estimated"),
                "float_estimated": result.get(f"{prefix}_float_estimated"),
            }
        )
    return rows


def notes(result: Result) -> list[str]:
    """Remarks that belong under the table: everything about it that a reader would want to be told."""
    out = []
    ours = result.get("bpd")
    if result.get("status", "ok") != "ok":
        out.append(f"This run failed: {result.get('error', 'no error was recorded')}")
    if result.get("lossless") is False:
        out.append("Decoded pixels differ from the originals: these figures do not count.")
    if ours is None:
        return [*out, "Nothing was coded: there is no size to compare."]
    if initial := result.get("bits_initial"):
        out.append(f"Bits-back coding began with {initial:,.0f} bits, which count in full, as overhead.")
    for row in result.get("baselines") or ():
        if row["codec"] == "webp" and ours >= row["bpd"]:
            out.append(f"Not smaller than WebP lossless: {ours:.4f} against {row['bpd']:.4f} bpd.")
    for row in result.get("siblings") or ():
        if _is_uniform(row) and ours >= row["bpd"]:
            against = f"{ours:.4f} against {row['bpd']:.4f} bpd"
            out.append(f"Not smaller than its own sibling with the uniform prior: {against}.")
    return out


def _is_uniform(row: Mapping[str, Any]) -> bool:
    return row.get("prior") == "uniform" or "uniform" in str(row.get("codec", ""))


def lines(rows: Sequence[Mapping[str, Any]], columns: Sequence[Column]) -> list[list[str]]:
    """The cells of all rows as text."""
    return [[column.cell(row) for column in columns] for row in rows]
