"""Charts of panels with matplotlib: PNG and SVG files, and SVG whose colours follow the page around it."""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING, Any, Literal

from fsar_lab.errors import FsarError
from fsar_lab.report.panel_types import BarsPanel, Chart, LinesPanel, Point, ScatterPanel

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Colours of files; a page replaces them by its variables of the same names (page.css), for light and dark.
INK, MUTED, GRID = "#1f2328", "#6a737d", "#e1e4e8"
SERIES = ("#2563eb", "#d97706", "#059669", "#db2777", "#7c3aed", "#0891b2", "#65a30d", "#dc2626")
VARIABLES = {INK: "ink", MUTED: "muted", GRID: "grid"} | {c: f"series-{i}" for i, c in enumerate(SERIES)}
DASHES = ("-", (0, (5, 2)), (0, (1.5, 1.5)))
Alignment = Literal["left", "center", "right"]
Box = tuple[float, float, float, float]  # left, bottom, right, top
WIDE, NARROW = 560, 350  # CSS pixels
MOST_COVERED = 0.15  # of a name
PALE = 0.4  # opacity of points that others dominate
_LEGEND_LINE, _BAR = 17, 38
_STYLE: dict[str, Any] = {
    "font.family": "sans-serif",
    "font.size": 9,
    "axes.edgecolor": MUTED,
    "axes.labelcolor": INK,
    "axes.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": GRID,
    "grid.linewidth": 0.6,
    "text.color": INK,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
    "figure.constrained_layout.w_pad": 0.06,  # inches
    "figure.constrained_layout.h_pad": 0.06,
    "legend.frameon": False,
    "legend.fontsize": 8,
    "svg.fonttype": "none",  # text stays text
}


def files(panel: Chart) -> dict[str, bytes]:
    """The chart with its title, by the endings of files: `png` on white, `svg`."""
    return _render(panel, WIDE, ("png", "svg"), title=True)


def inline_svg(panel: Chart, width: int) -> str:
    """The chart as an <svg> element for a page with the variables of page.css; marks carry their names.

    Args:
        panel: what to draw.
        width: CSS pixels that it is laid out for.
    """
    text = _render(panel, width, ("svg",), title=False)["svg"].decode()
    text = re.sub(r"<metadata>.*?</metadata>\s*", "", text[text.index("<svg") :], flags=re.DOTALL)
    for colour, name in VARIABLES.items():
        text = text.replace(colour, f"var(--{name})")
    own = f"{panel.key}-{width}"  # ids are unique in the page, not only in the chart
    text = re.sub(r'(\bid="|url\(#|href="#)', rf"\g<1>{own}-", text)
    for number, said in enumerate(_said(panel)):
        mark = f'<g id="{own}-mark{number}">'
        text = text.replace(mark, f"{mark}<title>{escape(said)}</title>")
    return text.replace("<svg ", f'<svg role="img" aria-label="{escape(panel.title)}" ', 1)


def _said(panel: Chart) -> list[str]:
    """What a pointer over each mark tells."""
    if isinstance(panel, ScatterPanel):
        return [f"{p.label}: {p.y:.4f} bpd, {p.x:.4g} ({panel.x.label})" for p in panel.points]
    return [line.label for line in panel.lines] if isinstance(panel, LinesPanel) else []


def _render(panel: Chart, width: int, kinds: Sequence[str], title: bool) -> dict[str, bytes]:
    try:
        import matplotlib
        from matplotlib.figure import Figure
    except ImportError:
        raise FsarError("plots need matplotlib -> pip install 'fsar_lab[report]'") from None
    style: Any = _STYLE | {"svg.hashsalt": panel.key}  # the same chart, the same file
    with matplotlib.rc_context(style):
        figure = Figure(figsize=(width / 96, _height(panel, width) / 96), layout="constrained")
        axes = figure.add_subplot()
        if isinstance(panel, ScatterPanel):
            _scatter(panel, axes)
        elif isinstance(panel, LinesPanel):
            _lines(panel, axes, figure, width)
        else:
            _bars(panel, axes, figure)
        if title:
            axes.set_title(panel.title, loc="left", fontsize=10, fontweight="bold")
        figure.draw_without_rendering()
        figure.set_layout_engine("none")  # it is laid out; every file would do it again
        if isinstance(panel, ScatterPanel):
            _label_points(panel, axes, figure)
        return {kind: _saved(figure, kind) for kind in kinds}


def _saved(figure: Figure, kind: str) -> bytes:
    file = io.BytesIO()
    if kind == "png":
        figure.savefig(file, format=kind, facecolor="white", dpi=200)
    else:
        figure.savefig(file, format=kind, transparent=True, metadata={"Date": None})
    return file.getvalue()


def _height(panel: Chart, width: int) -> float:
    if isinstance(panel, BarsPanel):
        return 90 + _BAR * len(panel.bars)
    plot = 0.62 * width + 40
    if isinstance(panel, LinesPanel):
        return plot + _LEGEND_LINE * -(-len(_names(panel)) // _columns(width))
    return plot


def _columns(width: int) -> int:
    return 2 if width >= WIDE else 1


def _names(panel: LinesPanel) -> list[str]:
    return list(dict.fromkeys(line.label for line in panel.lines))


def _scatter(panel: ScatterPanel, axes: Axes) -> None:
    for number, point in enumerate(panel.points):
        marker, colour = ("D", MUTED) if point.classical else ("o", SERIES[0])
        look: dict[str, Any] = {"color": colour, "alpha": PALE if _is_beaten(point, panel) else 1.0}
        mark = axes.scatter([point.x], [point.y], s=26, marker=marker, linewidths=0, zorder=3, **look)
        mark.set_gid(f"mark{number}")
        if point.spread is not None:
            axes.errorbar([point.x], [point.y], yerr=[point.spread], linewidth=1, capsize=2, zorder=2, **look)
    front = sorted((point.x, point.y) for point in panel.points if point.front)
    if len(front) > 1:
        (line,) = axes.plot(*zip(*front, strict=True), color=SERIES[0], linewidth=1.2, alpha=0.5, zorder=2.5)
        line.set_gid("front")
    axes.margins(0.12, 0.1)
    _scale(axes, panel)


def _is_beaten(point: Point, panel: ScatterPanel) -> bool:
    """It is not on the front, and there is one."""
    return not point.front and any(other.front for other in panel.points)


def _scale(axes: Axes, panel: ScatterPanel | LinesPanel) -> None:
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    axes.set_xlabel(panel.x.label)
    axes.set_ylabel(panel.y.label)
    if panel.x.log:
        axes.set_xscale("log")
        low, high = axes.get_xlim()
        axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0) if high < 60 * low else (1.0,)))
        axes.xaxis.set_minor_formatter(NullFormatter())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: _short(value)))


def _short(value: float) -> str:
    """A tick's number: 20, 0.5, 200k, 1.5M."""
    if value >= 1e6:
        return f"{value / 1e6:g}M"
    if value >= 1e4:
        return f"{value / 1e3:g}k"
    return f"{value:g}"


def _label_points(panel: ScatterPanel, axes: Axes, figure: Figure) -> None:
    """Name every point where its name covers least of other names, points and the edge.

    A name that would cover much is left out, but for those on a Pareto front, which come first; on the page
    it appears under the pointer.
    """
    frame = axes.get_window_extent()
    places = [axes.transData.transform((point.x, point.y)) for point in panel.points]
    taken = [(x - 5, y - 5, x + 5, y + 5) for x, y in places]
    size = figure.dpi / 72
    order = sorted(zip(panel.points, places, strict=True), key=lambda item: (not item[0].front, -item[1][1]))
    for point, (x, y) in order:
        text = axes.annotate(
            point.label, (point.x, point.y), (0, 0), textcoords="offset points", fontsize=7.5
        )
        text.set_color(INK if point.front or not (point.classical or _is_beaten(point, panel)) else MUTED)
        text.set_verticalalignment("center")
        box = text.get_window_extent()
        best = min(
            _places(x, y, 1.05 * box.width, box.height),  # other fonts are wider
            key=lambda place: (
                _cost(place[2], taken, frame.x0, frame.y0, figure.bbox.x1 - 4, figure.bbox.y1)
                + 0.5 * abs(place[1]) ** 1.5
            ),
        )
        if (
            not point.front
            and sum(_overlap(best[2], other) for other in taken) > MOST_COVERED * box.width * box.height
        ):
            text.remove()
            continue
        taken.append(best[2])
        text.set_horizontalalignment(best[0])
        text.set_position(({"left": 7, "right": -7, "center": 0}[best[0]] / size, best[1] / size))


def _places(x: float, y: float, width: float, height: float) -> list[tuple[Alignment, float, Box]]:
    """Where a name may stand, from its point: alignment, lift, box; beside it, above, below, further off."""
    places: list[tuple[Alignment, float, Box]] = []
    for step in (0, 0.9, -0.9, 1.8, -1.8, 2.7, -2.7):
        lift = step * height
        low, high = y + lift - height / 2, y + lift + height / 2
        places.append(("left", lift, (x + 7, low, x + 7 + width, high)))
        places.append(("right", lift, (x - 7 - width, low, x - 7, high)))
        if abs(step) > 0:
            places.append(("center", lift, (x - width / 2, low, x + width / 2, high)))
    return places


def _cost(box: Box, taken: Sequence[Box], left: float, bottom: float, right: float, top: float) -> float:
    outside = sum(max(0.0, over) for over in (left - box[0], box[2] - right, bottom - box[1], box[3] - top))
    return sum(_overlap(box, other) for other in taken) + 100 * outside


def _overlap(a: Box, b: Box) -> float:
    across = min(a[2], b[2]) - max(a[0], b[0])
    along = min(a[3], b[3]) - max(a[1], b[1])
    return across * along if across > 0 and along > 0 else 0.0


def _lines(panel: LinesPanel, axes: Axes, figure: Figure, width: int) -> None:
    handles: dict[str, Any] = {}
    for number, line in enumerate(panel.lines):
        xs, ys = zip(*line.points, strict=True)
        style = DASHES[line.series // len(SERIES) % len(DASHES)]
        (handle,) = axes.plot(xs, ys, color=SERIES[line.series % len(SERIES)], linewidth=1.4, linestyle=style)
        handle.set_gid(f"mark{number}")
        handles.setdefault(line.label, handle)
    _scale(axes, panel)
    axes.set_xlim(left=0)
    if not any(y for line in panel.lines for _, y in line.points):
        axes.set_ylim(0, 1)
    figure.legend(handles.values(), handles.keys(), loc="outside lower left", ncols=_columns(width))


def _bars(panel: BarsPanel, axes: Axes, figure: Figure) -> None:
    """Names stand above their bars, so that long ones have room on a narrow page."""
    totals = [sum(values) for _, values in panel.bars]
    for part, name in enumerate(panel.parts):
        widths = [values[part] for _, values in panel.bars]
        lefts = [sum(values[:part]) for _, values in panel.bars]
        axes.barh(
            range(len(widths)), widths, left=lefts, height=0.38, color=SERIES[part], label=name, linewidth=0
        )
    for number, ((label, _), total) in enumerate(zip(panel.bars, totals, strict=True)):
        axes.text(0, number - 0.3, label, fontsize=7.5, va="bottom")
        end = axes.annotate(f"{total:.4g}", (total, number), (5, 0), textcoords="offset points", fontsize=7.5)
        end.set(color=MUTED, verticalalignment="center")
    axes.set_ylim(len(totals) - 0.5, -0.9)
    axes.set_xlim(0, 1.12 * max(totals))
    axes.set_yticks([])
    axes.grid(visible=False, axis="y")
    axes.spines["left"].set_visible(False)
    axes.set_xlabel(panel.x.label)
    figure.legend(loc="outside upper left", ncols=len(panel.parts))
