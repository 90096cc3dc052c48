"""Style of all plots: colors of the page, open axes, shortened names, integer epochs.

Only `matplotlib.figure.Figure` is used, not pyplot, which would select a backend for the whole process.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tfyolo.files import atomic
from tfyolo.inference.drawing.palette import PALETTE, class_color

ACCENT = "#0b6b63"
INK = "#15201d"
MUTED = "#566562"
GRID = "#dce3e0"
"""Those four stand in web_demo/src/page/styles.css, too."""
_DPI = 150


def hex_color(class_id: int) -> str:
    """Return the color of a class for matplotlib.

    Example:
        >>> hex_color(0)
        '#7c3aed'
    """
    return "#{:02x}{:02x}{:02x}".format(*class_color(class_id))


def white_to(color: str) -> Any:
    """Return a colormap from white to a color."""
    from matplotlib.colors import LinearSegmentedColormap

    return LinearSegmentedColormap.from_list("shares", ["#ffffff", color])


def new_figure(width: float, height: float, rows: int = 1, columns: int = 1) -> tuple[Any, list[Any]]:
    """Create a matplotlib figure with a grid of axes.

    Args:
        width: width in inches.
        height: height in inches.
        rows: number of rows of axes.
        columns: number of columns of axes.

    Returns:
        The figure, and its axes row by row.
    """
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    layout = ConstrainedLayoutEngine(w_pad=0.12, h_pad=0.12)
    figure = Figure(figsize=(width, height), dpi=_DPI, layout=layout, facecolor="white")
    axes = list(figure.subplots(rows, columns, squeeze=False).ravel())
    for axis in axes:
        axis.spines[["top", "right"]].set_visible(False)
        axis.set_axisbelow(True)
    return figure, axes


def title(axis: Any, text: str) -> None:
    """Draw a left-aligned title above an axis."""
    axis.set_title(text, loc="left", fontsize=11, fontweight="bold")


def save_figure(figure: Any, path: Path) -> Path:
    """Write a figure; the suffix selects the format."""
    with atomic(path) as temporary:
        figure.savefig(temporary)
    return path


def shortened(name: str, most: int = 24) -> str:
    """Shorten a name to a maximum length, keeping start and end.

    Example:
        >>> shortened("traffic light for pedestrians 7", 16)
        'traffic li…ans 7'
    """
    end = most // 3
    return name if len(name) <= most else f"{name[: most - 1 - end]}…{name[len(name) - end :]}"


def name_ticks(
    axis: Any, places: Sequence[int], names: Sequence[str], room_inches: float, font: float
) -> None:
    """Draw names below an axis: horizontally if they fit, else vertically.

    Args:
        axis: whose x axis is named.
        places: positions of the names.
        names: one per position; long ones are shortened.
        room_inches: distance between names.
        font: size in points.
    """
    texts = [shortened(name) for name in names]
    widest = max((len(text) for text in texts), default=0) * 0.62 * font / 72
    axis.set_xticks(places, texts, rotation=90 if widest > room_inches else 0, fontsize=font)
    literal(axis.get_xticklabels())


def literal(texts: Sequence[Any]) -> None:
    """Draw texts without interpreting dollar signs as math."""
    for text in texts:
        text.set_parse_math(False)


def save_run(csv_path: Path, path: Path, panels: Mapping[str, Mapping[str, str]], columns: int) -> Path:
    """Plot the curves of a run.

    Args:
        csv_path: `results.csv`, with a row per epoch.
        path: path of the image.
        panels: pairs of column and legend text, by panel title.
        columns: number of panels per row.

    Returns:
        The path of the image.
    """
    with csv_path.open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    down = -(-len(panels) // columns)
    figure, axes = new_figure(4.6 * columns, 3.6 * down, down, columns)
    for axis, (heading, legend) in zip(axes, panels.items(), strict=True):
        values: list[float] = []
        for index, (column, label) in enumerate(legend.items()):
            points = [(int(row["epoch"]), float(row[column])) for row in rows if row[column]]
            if not points:
                continue
            values += [value for _, value in points]
            # The second line is dashed, so that equal lines are both visible.
            axis.plot(
                *zip(*points, strict=True),
                "--" if index == 1 else "-",
                label=label,
                color=PALETTE[_SERIES[index]],
                marker="." if len(points) < 40 else None,
            )
        title(axis, heading)
        if heading == LEARNING_RATE and values and 0 < 10 * min(values) < max(values):
            axis.set_yscale("log")  # rates of biases begin far above those of kernels
        _epochs(axis, [int(row["epoch"]) for row in rows])
        axis.grid(color=GRID, linewidth=0.8)
        if axis.get_legend_handles_labels()[0]:
            axis.legend(fontsize=9, frameon=False)
        else:
            axis.text(0.5, 0.5, "not measured", transform=axis.transAxes, ha="center", color=MUTED)
    return save_figure(figure, path)


LEARNING_RATE = "learning rate"
_SERIES = (2, 1, 3)
"""Of `PALETTE`: blue, red and green, which are far apart."""


def _epochs(axis: Any, epochs: Sequence[int]) -> None:
    """Set integer ticks on the x axis."""
    axis.set_xlabel("epoch")
    if epochs:
        margin = max(0.5, 0.03 * len(epochs))
        axis.set_xlim(min(epochs) - margin, max(epochs) + margin)
        axis.set_xticks(epoch_ticks(min(epochs), max(epochs)))


def epoch_ticks(first: int, last: int) -> list[int]:
    """Return at most nine ticks: the first epoch, and multiples of a round number.

    Example:
        >>> epoch_ticks(1, 4), epoch_ticks(1, 100)
        ([1, 2, 3, 4], [1, 20, 40, 60, 80, 100])
    """
    step = next(s * 10**k for k in range(9) for s in (1, 2, 5) if (last - first) / (s * 10**k) <= 7)
    return [first, *(e for e in range(step, last + 1, step) if e - first > step / 2)]
