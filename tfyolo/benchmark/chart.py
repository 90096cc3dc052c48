"""Charts of a benchmark: latency against mAP, panels for many files, or bars of latency without mAP."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tfyolo.benchmark.panels import GRID, LINE_INCHES, TEXT, draw_panels
from tfyolo.benchmark.rows import Row, ranking_metric
from tfyolo.errors import TfyoloError
from tfyolo.evaluation.plot_labels import place_labels
from tfyolo.files import atomic, suffix_of

SUFFIXES = (".png", ".svg", ".pdf")
LOGARITHMIC = 4.0
"""Latencies that span more than this factor are drawn on a logarithmic axis."""
_COLORS = {
    "keras": "#12355b", "pt": "#12355b", "torchscript": "#c9487c", "onnx": "#a67c00", "openvino": "#0b6e6e",
    "engine": "#5d7a1f", "coreml": "#565c63", "tflite": "#e07a1f", "edgetpu": "#a4243b",
    "saved_model": "#2a7f9e", "pb": "#4f9d69", "tfjs": "#8a5a9e",
}  # fmt: skip
MOST_POINTS = 12
"""More files than this have panels instead of a scatter plot, where their names would not find room."""
_OTHER = "#6b7785"
_MARKERS = {"float32": "o", "float16": "s", "dynamic": "D", "int8": "^", "int16x8": "v"}


def check_chart(path: Path) -> None:
    """Refuse a name that says no kind of image.

    Raises:
        TfyoloError: another suffix.
    """
    if suffix_of(path) not in SUFFIXES:
        raise TfyoloError("is no name of a chart", path=path, fix=f"end it in {', '.join(SUFFIXES)}")


def save_chart(rows: Sequence[Row], threads: Sequence[int], path: Path, title: str) -> Path | None:
    """Draw rows that have figures.

    Args:
        rows: of a benchmark.
        threads: numbers of threads; the scatter plot shows the largest, panels that and the smallest, bars
            all.
        path: of an image; its suffix says which kind.
        title: of the chart.

    Returns:
        The path, or None where no row has figures.
    """
    shown = [row for row in rows if row.latencies]
    if not shown:
        return None
    judged = [row for row in shown if row.score is not None]
    if len(judged) > MOST_POINTS:
        figure = _panels(judged, threads, title)
    else:
        figure = _scatter(judged, max(threads), title) if judged else _bars(shown, sorted(threads), title)
    with atomic(path) as temporary:
        figure.savefig(temporary)
    return path


def names(rows: Sequence[Row]) -> list[str]:
    """What rows are called in a chart: format and precision where that tells them apart."""
    kinds = [f"{row.format} {row.precision}".strip() for row in rows]
    count = Counter(kinds)
    return [row.name if count[kind] > 1 else kind for row, kind in zip(rows, kinds, strict=True)]


def _panels(rows: Sequence[Row], threads: Sequence[int], title: str) -> Any:
    figure = _empty(1.3 + LINE_INCHES * len(rows))
    draw_panels(figure, rows, names(rows), [_color(row) for row in rows], threads, title)
    return figure


def _scatter(rows: Sequence[Row], threads: int, title: str) -> Any:
    figure, axes = _figure(6.2)
    x = np.array([row.latencies[threads].median_ms for row in rows])
    y = np.array([row.score for row in rows], float)
    if logarithmic := x.max() > LOGARITHMIC * x.min():
        axes.set_xscale("log")
        low, high = np.log(x.min()), np.log(x.max())
        axes.set_xlim(*np.exp([low - 0.14 * (high - low), high + 0.14 * (high - low)]))
    else:
        margin = 0.14 * (x.max() - x.min()) or 0.1 * x.max()
        axes.set_xlim(x.min() - margin, x.max() + margin)
    # Differences of a thousandth are noise, and should look like it.
    center, half = (y.max() + y.min()) / 2, max(0.75 * (y.max() - y.min()), 0.006)
    axes.set_ylim(max(center - half, -0.2 * half), min(center + half, 1 + 0.2 * half))
    _plain_ticks(axes.xaxis, logarithmic)
    for row, left, up in zip(rows, x, y, strict=True):
        axes.scatter(
            left, up, s=75, marker=_MARKERS.get(row.precision, "o"), color=_color(row), edgecolor="white",
            linewidth=1, zorder=3, alpha=0.9,
        )  # fmt: skip
    _legend(axes, rows)
    axes.grid(color=GRID, linewidth=0.8)
    axes.set_xlabel(f"milliseconds an image, {_threads(threads)}" + (" (logarithmic)" if logarithmic else ""))
    axes.set_ylabel(ranking_metric(rows))
    axes.set_title(title, loc="left", fontsize=12, fontweight="bold", color=TEXT)
    place_labels(figure, axes, x, y, names(rows), [_color(row) for row in rows])
    return figure


def _bars(rows: Sequence[Row], threads: Sequence[int], title: str) -> Any:
    from matplotlib.colors import to_rgb

    figure, axes = _figure(1.1 + 0.3 * len(rows) * max(len(threads), 1.4))
    height = 0.8 / len(threads)
    longest = max(latency.median_ms for row in rows for latency in row.latencies.values())
    for number, count in enumerate(threads):
        places = np.arange(len(rows)) + (number - (len(threads) - 1) / 2) * height
        values = [row.latencies[count].median_ms for row in rows]
        shade = 0.45 if number < len(threads) - 1 else 1.0
        colors = [1 - shade * (1 - np.array(to_rgb(_color(row)))) for row in rows]
        axes.barh(places, values, 0.9 * height, color=colors)
        for place, value in zip(places, values, strict=True):
            text = f"{value:.1f} ms" + (f", {_threads(count)}" if len(threads) > 1 else "")
            axes.text(value + 0.01 * longest, place, text, va="center", fontsize=9, color=TEXT)
    axes.set_yticks(range(len(rows)), names(rows), fontsize=10)
    axes.set_ylim(len(rows) - 0.45, -0.55)  # the first row on top
    axes.set_xlim(0, 1.25 * longest)
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    axes.grid(axis="x", color=GRID, linewidth=0.8)
    one = f", {_threads(threads[0])}" if len(threads) == 1 else ""
    axes.set_xlabel(f"milliseconds an image, median{one}")
    axes.set_title(title, loc="left", fontsize=12, fontweight="bold", color=TEXT)
    return figure


def _legend(axes: Any, rows: Sequence[Row]) -> None:
    """Which mark is which precision; formats are named beside their marks."""
    from matplotlib.lines import Line2D

    present = [name for name in _MARKERS if any(row.precision == name for row in rows)]
    handles = [
        Line2D([], [], linestyle="", marker=_MARKERS[name], color=_OTHER, markersize=8, label=name)
        for name in present
    ]
    axes.legend(
        handles=handles, loc="upper left", bbox_to_anchor=(1.005, 1.0), frameon=False, title="precision",
        alignment="left", labelcolor=TEXT,
    )  # fmt: skip


def _plain_ticks(axis: Any, logarithmic: bool) -> None:
    """5, 10, 20 instead of powers of ten."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

    if logarithmic:
        axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axis.set_minor_locator(NullLocator())
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))


def _threads(count: int) -> str:
    return "1 thread" if count == 1 else f"{count} threads"


def _color(row: Row) -> str:
    return _COLORS.get(row.format, _OTHER)


def _figure(height: float) -> tuple[Any, Any]:
    """A figure and its axes."""
    figure = _empty(height)
    axes = figure.add_subplot()
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    axes.set_axisbelow(True)
    return figure, axes


def _empty(height: float) -> Any:
    """A figure 10 inches wide, 1,500 pixels in a bitmap."""
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    layout = ConstrainedLayoutEngine(w_pad=0.12, h_pad=0.12)
    return Figure(figsize=(10, height), dpi=150, layout=layout, facecolor="white")
