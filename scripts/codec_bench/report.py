"""What is printed: the rows, and how they stand against the goals. Markdown, readable as it is."""

from __future__ import annotations

from collections.abc import Sequence

from entropy_bench.report import number, table, verdict

from codec_bench.measure import FLOAT, FOLDED, OURS, Row

Pair = tuple[float, float]  # encode, decode
SPEED = (15.0, 8.0)  # goal, must: MB/s
FLOAT_ONE, FLOAT_BEST = 8.0, 3.0  # times float networks with one image a call, with their best batch
JXL_ENCODE = 10.0  # times JPEG XL effort 7
THREADS = (1.8, 1.6)
PHOTOGRAPH = (0.8, 0.5)  # of the rate of small images


def rows_table(rows: Sequence[Row]) -> str:
    """All rows; errors below."""
    head = [
        "data",
        "codec",
        "engine",
        "isa",
        "threads",
        "batch",
        "bpd",
        "enc MB/s",
        "dec MB/s",
        "bytes/image",
    ]
    lines = [
        [
            row.dataset,
            row.codec,
            row.engine or "-",
            row.isa or "-",
            str(row.threads),
            str(row.batch),
            number(row.bpd, 4),
            number(row.MBps_encode, 2),
            number(row.MBps_decode, 2),
            number(row.overhead_bytes_per_image, 1),
        ]
        for row in rows
    ]
    errors = [f"{row.dataset}, {row.codec}, {row.engine}: ERROR: {row.error}" for row in rows if row.error]
    return "\n".join([table(head, lines), *([""] if errors else []), *errors])


def goals_table(rows: Sequence[Row]) -> str:
    """Our figures beside goal and must; what was not measured says so."""
    small = [row for row in rows if row.error is None and row.dataset in ("cifar10", "tiles")]
    large = [row for row in rows if row.error is None and row.dataset in ("kodak", "photographs")]
    ours = _ours(small)
    single = [row for row in small if row.codec == OURS and row.engine == "c" and row.batch == 1]
    jxl = _speeds([row for row in small if row.codec == "jxl_e7"])
    lines = [_line("small images, MB/s", _speeds(ours), SPEED, "")]
    for name in (FLOAT, FOLDED):
        floats = [row for row in small if row.codec == name]
        alone = _speeds([row for row in floats if row.batch == 1])
        lines += [
            _line(f"times {name}, one a call", _ratio(_speeds(ours), alone), (FLOAT_ONE, FLOAT_ONE), "x"),
            _line("both one a call", _ratio(_speeds(single), alone), (FLOAT_ONE, FLOAT_ONE), "x"),
            _line(
                f"times {name}, best batch",
                _ratio(_speeds(ours), _speeds(floats)),
                (FLOAT_BEST, FLOAT_BEST),
                "x",
            ),
        ]
    lines.append(
        _line("times JPEG XL e7", _ratio(_speeds(ours), jxl), (JXL_ENCODE, JXL_ENCODE), "x", decode=False)
    )
    for name, group in (("small images", small), ("one photograph a call", large)):
        both = _ratio(_speeds(_ours(group, 2), wall=True), _speeds(_ours(group), wall=True))
        lines.append(_line(f"two threads : one, {name}, wall", both, THREADS, "x"))
    photograph = _ratio(_speeds(_ours(large)), _speeds(ours))
    lines.append(_line("one photograph a call : small images", photograph, PHOTOGRAPH, "x"))
    head = ["fsar_lab, engine c, one thread", "goal / must", "encode", "decode", "reached"]
    return table(head, lines)


def _ours(rows: Sequence[Row], threads: int = 1) -> list[Row]:
    """Our codec in C with the best instructions, most images a call."""
    found = [row for row in rows if (row.codec, row.engine, row.threads) == (OURS, "c", threads)]
    if not found:
        return []
    most = max(row.batch for row in found)
    return [next(row for row in found if row.batch == most)]  # the first one: the others have an EC_ISA


def _speeds(rows: Sequence[Row], wall: bool = False) -> Pair | None:
    """The best speeds of these rows."""
    if not rows:
        return None
    encode = [row.MBps_wall_encode if wall else row.MBps_encode for row in rows]
    decode = [row.MBps_wall_decode if wall else row.MBps_decode for row in rows]
    return max(value or 0.0 for value in encode), max(value or 0.0 for value in decode)


def _ratio(ours: Pair | None, theirs: Pair | None) -> Pair | None:
    if ours is None or theirs is None:
        return None
    return ours[0] / theirs[0], ours[1] / theirs[1]


def _line(what: str, values: Pair | None, wanted: Pair, unit: str, decode: bool = True) -> list[str]:
    goal, must = wanted
    asked = f"{goal:g}{unit} / {must:g}{unit}" if goal != must else f"{goal:g}{unit}"
    if values is None:
        return [what, asked, "-", "-", "not measured"]
    judged = values if decode else values[:1]
    reached = ", ".join(verdict(value, goal, must) for value in judged)
    return [what, asked, f"{values[0]:.2f}{unit}", f"{values[1]:.2f}{unit}" if decode else "-", reached]
