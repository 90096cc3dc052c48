"""Chart of a benchmark: latency, accuracy and size in panels that share one line per file."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from tfyolo.benchmark.panels import LINE_INCHES, draw_panels
from tfyolo.benchmark.rows import BenchmarkRow
from tfyolo.errors import TfyoloError
from tfyolo.files import atomic, suffix_of
from tfyolo.libraries import require

SUFFIXES = (".png", ".svg", ".pdf")
_COLORS = {
    "keras": "#12355b",
    "pt": "#12355b",
    "torchscript": "#c9487c",
    "onnx": "#a67c00",
    "openvino": "#0b6e6e",
    "engine": "#5d7a1f",
    "coreml": "#565c63",
    "tflite": "#e07a1f",
    "edgetpu": "#a4243b",
    "saved_model": "#2a7f9e",
    "pb": "#4f9d69",
    "tfjs": "#8a5a9e",
}
_OTHER_COLOR = "#6b7785"


def check_chart(path: Path) -> None:
    """Check that the suffix of a chart is a supported image format, and that matplotlib is installed.

    Args:
        path: file that `save_chart` is to write.

    Raises:
        TfyoloError: another suffix, or matplotlib is missing.

    Example:
        >>> check_chart(Path("latency.svg"))
    """
    if suffix_of(path) not in SUFFIXES:
        raise TfyoloError("unsupported chart format", path=path, fix=f"use one of {', '.join(SUFFIXES)}")
    require("matplotlib")


def save_chart(rows: Sequence[BenchmarkRow], threads: Sequence[int], path: Path, title: str) -> Path | None:
    """Write the chart of a benchmark.

    Args:
        rows: results of a benchmark; rows without latencies are left out. If any row has a score (mAP or
            top-1), rows without one are left out, too.
        threads: numbers of CPU threads; the chart shows the smallest and the largest.
        path: image file to write; its suffix selects the format.
        title: title of the chart.

    Returns:
        `path`, or None if no row has latencies.
    """
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    timed = [row for row in rows if row.latencies]
    if not timed:
        return None
    shown = [row for row in timed if row.score is not None] or timed
    layout = ConstrainedLayoutEngine(w_pad=0.12, h_pad=0.12)
    # 10 inches at 150 dots per inch: 1,500 pixels wide as a bitmap.
    size = (10, 1.3 + LINE_INCHES * len(shown))
    figure = Figure(figsize=size, dpi=150, layout=layout, facecolor="white")
    colors = [_COLORS.get(row.format, _OTHER_COLOR) for row in shown]
    draw_panels(figure, shown, row_labels(shown), colors, threads, title)
    with atomic(path) as temporary:
        figure.savefig(temporary)
    return path


def row_labels(rows: Sequence[BenchmarkRow]) -> list[str]:
    """Return the labels of rows in a chart: format and precision if they are unique, else the file name."""
    kinds = [f"{row.format} {row.precision}".strip() for row in rows]
    count = Counter(kinds)
    return [row.name if count[kind] > 1 else kind for row, kind in zip(rows, kinds, strict=True)]
