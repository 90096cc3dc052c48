"""Panels of a benchmark chart: latency, score and size side by side, one line per file."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import Any

import numpy as np

from tfyolo.benchmark.rows import BenchmarkRow, ranking_metric, reference

TEXT = "#26323d"
GRID = "#e3e7eb"
_BAND = "#f5f7f9"
LINE_INCHES = 0.27


def draw_panels(
    figure: Any,
    rows: Sequence[BenchmarkRow],
    texts: Sequence[str],
    colors: Sequence[str],
    threads: Sequence[int],
    title: str,
) -> None:
    """Draw panels of latency, score and size; rows of one format share a background band.

    Args:
        figure: empty matplotlib figure, `1.3 + LINE_INCHES * len(rows)` inches high.
        rows: rows with latencies; the score panel is left out if one of them has no score.
        texts: label of each row.
        colors: color of each row.
        threads: numbers of CPU threads; the smallest is drawn as hollow markers, the largest as filled ones.
        title: title of the chart.
    """
    scored = all(row.score is not None for row in rows)
    grid = figure.add_gridspec(1, 3 if scored else 2, width_ratios=(2.3, 1.5, 0.8) if scored else (3, 1))
    latency = figure.add_subplot(grid[0])
    others = [figure.add_subplot(grid[i], sharey=latency) for i in range(1, 3 if scored else 2)]
    for axes in (latency, *others):
        _prepare(axes, rows)
    _draw_latency(latency, rows, colors, threads)
    if scored:
        _draw_scores(others[0], rows, colors)
    _draw_sizes(others[-1], rows, colors)
    latency.set_yticks(range(len(rows)), texts, fontsize=9)
    for label, color in zip(latency.get_yticklabels(), colors, strict=True):
        label.set_color(color)
    for axes in others:
        axes.tick_params(labelleft=False)
    figure.suptitle(title, x=0.012, ha="left", fontsize=12, fontweight="bold", color=TEXT)


def _prepare(axes: Any, rows: Sequence[BenchmarkRow]) -> None:
    """Draw the background bands of formats, the grid and the axis frame."""
    start = 0
    for number, (_, group) in enumerate(groupby(rows, key=lambda row: row.format)):
        count = len(list(group))
        if number % 2 == 0:
            axes.axhspan(start - 0.5, start + count - 0.5, color=_BAND, zorder=0, linewidth=0)
        start += count
    axes.set_ylim(len(rows) - 0.5, -0.5)  # the first row on top
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.tick_params(axis="y", length=0)
    axes.tick_params(axis="x", labelsize=8)
    axes.grid(axis="x", color=GRID, linewidth=0.8)
    axes.set_axisbelow(True)


def _draw_latency(
    axes: Any, rows: Sequence[BenchmarkRow], colors: Sequence[str], threads: Sequence[int]
) -> None:
    """Draw median latencies on a logarithmic axis: hollow markers for the fewest threads, else filled."""
    from matplotlib.lines import Line2D
    from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

    few, many = min(threads), max(threads)
    values = np.array([[row.latencies[count].median_ms for count in (few, many)] for row in rows])
    axes.set_xscale("log")
    low, high = np.log(values.min()), np.log(values.max())
    margin = 0.06 * max(high - low, 0.5)
    axes.set_xlim(*np.exp([low - margin, high + 7 * margin]))  # space for the values on the right
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    for place, ((slow, quick), color) in enumerate(zip(values, colors, strict=True)):
        axes.plot([slow, quick], [place, place], color=color, linewidth=1.5, alpha=0.5, zorder=2)
        if few != many:
            axes.plot(slow, place, "o", markersize=6, markerfacecolor="white", color=color, zorder=3)
        axes.plot(quick, place, "o", markersize=6, color=color, zorder=4)
        text = f"{quick:.1f}" if few == many else f"{slow:.1f} / {quick:.1f}"
        axes.annotate(
            text,
            (max(slow, quick), place),
            (8, 0),
            textcoords="offset points",
            va="center",
            fontsize=8,
            color=TEXT,
        )
    over = ["1 thread" if count == 1 else f"{count} threads" for count in (few, many)]
    axes.set_xlabel("milliseconds per image, median (logarithmic)", fontsize=9)
    if few == many:
        axes.set_title(over[0], loc="left", fontsize=9, color=TEXT)
        return
    marks = [
        Line2D([], [], linestyle="", marker="o", color=TEXT, markerfacecolor=face, label=text)
        for face, text in zip(("white", TEXT), over, strict=True)
    ]
    axes.legend(
        handles=marks,
        loc="lower left",
        bbox_to_anchor=(-0.02, 1.0),
        ncols=2,
        frameon=False,
        fontsize=8,
        handletextpad=0.1,
        columnspacing=1.0,
        borderaxespad=0.1,
    )


def _draw_scores(axes: Any, rows: Sequence[BenchmarkRow], colors: Sequence[str]) -> None:
    """Draw scores, and the score of the reference row as a vertical line."""
    first = reference(rows)
    values = np.array([row.score for row in rows], float)
    base = float(first.score if first.score is not None else values[0])
    # A minimum range, because differences of a thousandth are noise.
    half = max(0.006, 1.15 * float(np.abs(values - base).max()))
    axes.axvline(base, color=TEXT, linewidth=0.8, alpha=0.6, zorder=1)
    for place, (value, color) in enumerate(zip(values, colors, strict=True)):
        axes.plot([base, value], [place, place], color=color, linewidth=1.5, alpha=0.5, zorder=2)
        axes.plot(value, place, "o", markersize=6, color=color, zorder=3)
        right = (max(value, base), place)
        axes.annotate(
            f"{value:.4f}", right, (8, 0), textcoords="offset points", va="center", fontsize=8, color=TEXT
        )
    highest = max(0.0, float((values - base).max()))
    axes.set_xlim(base - half, base + highest + 0.8 * half)  # values are written on the right
    axes.locator_params(axis="x", nbins=4)
    axes.set_xlabel(ranking_metric(rows), fontsize=9)


def _draw_sizes(axes: Any, rows: Sequence[BenchmarkRow], colors: Sequence[str]) -> None:
    """Draw file sizes as bars."""
    values = [row.megabytes or 0.0 for row in rows]
    axes.barh(range(len(rows)), values, 0.5, color=colors, alpha=0.75, zorder=2)
    for place, value in enumerate(values):
        axes.annotate(
            f"{value:.1f}",
            (value, place),
            (4, 0),
            textcoords="offset points",
            va="center",
            fontsize=8,
            color=TEXT,
        )
    axes.set_xlim(0, 1.45 * max(values) or 1)
    axes.locator_params(axis="x", nbins=3)
    axes.set_xlabel("MB", fontsize=9)
