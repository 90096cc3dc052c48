"""Pictures of a validation: curves, confusion matrix, and mosaics of labelled images.

Only `matplotlib.figure.Figure` is used, never pyplot: no window, no back end chosen for the whole process.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tfyolo.evaluation.metrics import ApResult
from tfyolo.files import atomic
from tfyolo.inference.boxes import Array

LEGEND_CLASSES = 20
"""With more classes a legend hides the plot: only the mean is named, and the classes are thin grey lines."""
_MEAN = "#12355b"
_COLOURS = (
    "#4477aa", "#ee6677", "#228833", "#ccbb44", "#66ccee",
    "#aa3377", "#e07b39", "#7a6a9b", "#4fa89a", "#9a6b4f",
)  # fmt: skip


def save_curves(result: ApResult, names: Sequence[str], folder: str | Path) -> list[Path]:
    """Write PR_curve.png, F1_curve.png, P_curve.png and R_curve.png.

    Args:
        result: from `average_precision`.
        names: all class names; `result.classes` index them.
        folder: where to write; made if it is not there.

    Returns:
        The files written.

    Raises:
        TfyoloError: the folder cannot be written.
    """
    shown = [str(names[index]) for index in result.classes]
    mean = f"all classes {result.map50:.3f} mAP@0.5"
    with_ap = [f"{name} {value:.3f}" for name, value in zip(shown, result.ap50, strict=True)]
    jobs: list[tuple[str, Array, str, str, list[str], str | None]] = [
        ("PR_curve.png", result.pr_curve, "Recall", "Precision", with_ap, mean),
        ("F1_curve.png", result.f1_curve, "Confidence", "F1", shown, None),
        ("P_curve.png", result.precision_curve, "Confidence", "Precision", shown, None),
        ("R_curve.png", result.recall_curve, "Confidence", "Recall", shown, None),
    ]
    return [
        _curve(Path(folder) / file, result.grid, curves, x_label, y_label, labels, mean_label)
        for file, curves, x_label, y_label, labels, mean_label in jobs
    ]


def _curve(
    path: Path,
    grid: Array,
    curves: Array,
    x_label: str,
    y_label: str,
    labels: list[str],
    mean_label: str | None,
) -> Path:
    """One plot: a line per class, a thick one for the mean; `mean_label` None marks the mean's best point."""
    figure, axes = _figure(9, 6)
    many = len(curves) > LEGEND_CLASSES
    for index, curve in enumerate(curves):
        if many:
            axes.plot(grid, curve, color="#9aa5b1", linewidth=0.7, alpha=0.45)
        else:
            style, colour = "-" if index < len(_COLOURS) else "--", _COLOURS[index % len(_COLOURS)]
            axes.plot(grid, curve, style, color=colour, linewidth=1.3, alpha=0.9, label=labels[index])
    if len(curves):
        mean = curves.mean(0)
        best = int(mean.argmax())
        label = mean_label or f"all classes {mean[best]:.2f} at {grid[best]:.3f}"
        axes.plot(grid, mean, color=_MEAN, linewidth=3.5, label=label)
        if mean_label is None:
            axes.plot(grid[best], mean[best], "o", color=_MEAN, markersize=8, markeredgecolor="white")
        lines, texts = axes.get_legend_handles_labels()
        place: dict[str, Any] = (
            {"loc": "upper right"} if many else {"loc": "upper left", "bbox_to_anchor": (1.01, 1)}
        )
        lines, texts = [lines[-1], *lines[:-1]], [texts[-1], *texts[:-1]]  # the mean first
        axes.legend(lines, texts, fontsize=9, edgecolor="white", framealpha=0.9, borderaxespad=0.2, **place)
    else:
        axes.text(0.5, 0.5, "no labels", ha="center", va="center", color="#6b7785")
    axes.set(xlim=(0, 1), ylim=(0, 1.02), xlabel=x_label, ylabel=y_label)
    axes.set_title(f"{y_label} over {x_label.lower()}, IoU 0.5", loc="left", fontsize=12, fontweight="bold")
    axes.grid(color="#e3e7eb", linewidth=0.8)
    return _save(figure, path)


def save_confusion(
    counts: Array, names: Sequence[str], folder: str | Path, *, background: bool = True
) -> Path:
    """Write confusion_matrix.png: shares of each true class, by column.

    Args:
        counts: (classes + 1, classes + 1) from `ConfusionMatrix.counts`: rows predicted, columns true; of a
            classifier (classes, classes).
        names: class names.
        folder: where to write; made if it is not there.
        background: the last row and column are of what is no object, as a detector's are.

    Returns:
        The file written.

    Raises:
        TfyoloError: the folder cannot be written.
    """
    shares = counts / np.maximum(counts.sum(0, keepdims=True), 1)
    labels = [*map(str, names), *(["background"] if background else [])]
    size = len(labels)
    side = float(np.clip(0.75 * size + 2.5, 6, 15))
    figure, axes = _figure(side + 0.8, side)
    image = axes.imshow(np.where(counts > 0, shares, np.nan), cmap="Blues", vmin=0, vmax=1)
    font = float(np.clip(480 / size, 6, 10)) if size <= 100 else 4.0
    if size <= 31:
        for row, column in np.argwhere(counts > 0):
            share = shares[row, column]
            text = f"{share:.2f}" if size > 12 else f"{share:.2f}\n{counts[row, column]}"
            colour = "white" if share > 0.55 else _MEAN
            axes.text(column, row, text, ha="center", va="center", fontsize=font, color=colour)
    ticks = range(0, size, size // 150 + 1)  # 150 names have room
    axes.set_xticks(ticks, [labels[tick] for tick in ticks], rotation=90 if size > 6 else 0, fontsize=font)
    axes.set_yticks(ticks, [labels[tick] for tick in ticks], fontsize=font)
    for label in (*axes.get_xticklabels(), *axes.get_yticklabels()):
        label.set_parse_math(False)  # a name may have a dollar sign
    if size <= 150:
        axes.set_xticks(np.arange(size + 1) - 0.5, minor=True)
        axes.set_yticks(np.arange(size + 1) - 0.5, minor=True)
        axes.grid(which="minor", color="#eef1f4", linewidth=1 if size <= 31 else 0.5)
    axes.tick_params(which="both", length=0)
    axes.set(xlabel="True", ylabel="Predicted")
    title = "Confusion matrix: shares of each true class" + (" and counts" if size <= 12 else "")
    axes.set_title(title, loc="left", fontsize=12, fontweight="bold", pad=12)
    bar = figure.colorbar(image, ax=axes, fraction=0.04, pad=0.02, aspect=40)
    bar.outline.set_visible(False)
    return _save(figure, Path(folder) / "confusion_matrix.png")


def _figure(width: float, height: float) -> tuple[Any, Any]:
    """A figure of that many inches and its axes, without a box around them."""
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    layout = ConstrainedLayoutEngine(w_pad=0.12, h_pad=0.12)
    figure = Figure(figsize=(width, height), dpi=150, layout=layout, facecolor="white")
    axes = figure.add_subplot()
    for side in ("top", "right", "left", "bottom"):
        axes.spines[side].set_visible(False)
    axes.set_axisbelow(True)
    return figure, axes


def _save(figure: Any, path: Path) -> Path:
    with atomic(path) as temporary:
        figure.savefig(temporary)
    return path
