"""Plots of a validation: curves and the confusion matrix."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tfyolo.evaluation.metrics import ApResult
from tfyolo.evaluation.plot_style import (
    ACCENT,
    GRID,
    INK,
    MUTED,
    hex_color,
    literal,
    name_ticks,
    new_figure,
    save_figure,
    shortened,
    title,
    white_to,
)
from tfyolo.inference.boxes import Array
from tfyolo.inference.drawing.palette import PALETTE

LEGEND_CLASSES = 20
"""With more classes a legend hides the plot: only the mean is named, and the classes are thin gray lines."""


def save_curves(
    result: ApResult, names: Sequence[str], folder: str | Path, *, masks: bool = False
) -> list[Path]:
    """Write PR_curve.png, F1_curve.png, P_curve.png and R_curve.png.

    Args:
        result: result of `average_precision`.
        names: all class names; `result.class_ids` index them.
        folder: output folder; created if missing.
        masks: the figures are those of masks; the names of their files begin with `Mask`, as in YOLOv5.

    Returns:
        The files written.

    Raises:
        TfyoloError: the folder cannot be written.
    """
    shown = [shortened(str(names[index])) for index in result.class_ids]
    mean = f"all classes {result.map50:.3f} mAP@0.5"
    with_ap = [f"{name} {value:.3f}" for name, value in zip(shown, result.ap50, strict=True)]
    jobs: list[tuple[str, Array, str, str, list[str], str | None]] = [
        ("PR_curve.png", result.pr_curve, "Recall", "Precision", with_ap, mean),
        ("F1_curve.png", result.f1_curve, "Confidence", "F1", shown, None),
        ("P_curve.png", result.precision_curve, "Confidence", "Precision", shown, None),
        ("R_curve.png", result.recall_curve, "Confidence", "Recall", shown, None),
    ]
    colors = [hex_color(int(index)) for index in result.class_ids]
    prefix, suffix = ("Mask", " of masks") if masks else ("", "")
    return [
        _curve(
            Path(folder) / f"{prefix}{file}",
            result.grid,
            curves,
            x_label,
            f"{y_label}{suffix}",
            labels,
            colors,
            mean_label,
        )
        for file, curves, x_label, y_label, labels, mean_label in jobs
    ]


def _curve(
    path: Path,
    grid: Array,
    curves: Array,
    x_label: str,
    y_label: str,
    labels: list[str],
    colors: list[str],
    mean_label: str | None,
) -> Path:
    """Draw one line per class, and a thick line for the mean; without `mean_label` its maximum is marked."""
    figure, (axes,) = _frameless(9, 6)
    many = len(curves) > LEGEND_CLASSES
    for index, curve in enumerate(curves):
        if many:
            axes.plot(grid, curve, color=MUTED, linewidth=0.7, alpha=0.3)
        else:
            style = "-" if index < len(PALETTE) else "--"
            axes.plot(grid, curve, style, color=colors[index], linewidth=1.3, alpha=0.9, label=labels[index])
    if len(curves):
        mean = curves.mean(0)
        best = int(mean.argmax())
        label = mean_label or f"all classes {mean[best]:.2f} at {grid[best]:.3f}"
        axes.plot(grid, mean, color=ACCENT, linewidth=3.5, label=label)
        if mean_label is None:
            axes.plot(grid[best], mean[best], "o", color=ACCENT, markersize=8, markeredgecolor="white")
        lines, texts = axes.get_legend_handles_labels()
        place: dict[str, Any] = (
            {"loc": "upper right"} if many else {"loc": "upper left", "bbox_to_anchor": (1.01, 1)}
        )
        lines, texts = [lines[-1], *lines[:-1]], [texts[-1], *texts[:-1]]  # the mean first
        legend = axes.legend(
            lines, texts, fontsize=9, edgecolor="white", framealpha=0.9, borderaxespad=0.2, **place
        )
        literal(legend.get_texts())
    else:
        axes.text(0.5, 0.5, "no labels", ha="center", va="center", color=MUTED)
    axes.set(xlim=(0, 1), ylim=(0, 1.02), xlabel=x_label, ylabel=y_label)
    title(axes, f"{y_label} over {x_label.lower()}, IoU 0.5")
    axes.grid(color=GRID, linewidth=0.8)
    return save_figure(figure, path)


def save_confusion(
    counts: Array, names: Sequence[str], folder: str | Path, *, background: bool = True
) -> Path:
    """Write confusion_matrix.png, normalized per true class (column).

    Args:
        counts: (classes + 1, classes + 1) from `ConfusionMatrix.counts`: rows predicted, columns true; of a
            classifier (classes, classes).
        names: class names.
        folder: output folder; created if missing.
        background: whether the last row and column are the background, as in detectors.

    Returns:
        The file written.

    Raises:
        TfyoloError: the folder cannot be written.
    """
    shares = counts / np.maximum(counts.sum(0, keepdims=True), 1)
    labels = [*map(str, names), *(["background"] if background else [])]
    size = len(labels)
    side = float(np.clip(0.75 * size + 2.5, 6, 15))
    figure, (axes,) = _frameless(side + 0.8, side)
    image = axes.imshow(np.where(counts > 0, shares, np.nan), cmap=white_to(PALETTE[2]), vmin=0, vmax=1)
    font = float(np.clip(480 / size, 6, 10)) if size <= 100 else 4.0
    if size <= 31:
        for row, column in np.argwhere(counts > 0):
            share = shares[row, column]
            text = f"{share:.2f}" if size > 12 else f"{share:.2f}\n{_compact(counts[row, column], size)}"
            color = "white" if share > 0.55 else INK
            axes.text(column, row, text, ha="center", va="center", fontsize=font, color=color)
    ticks = range(0, size, size // 150 + 1)  # 150 names have room
    name_ticks(axes, ticks, [labels[tick] for tick in ticks], (side - 2.5) / size, font)
    axes.set_yticks(ticks, [shortened(labels[tick]) for tick in ticks], fontsize=font)
    literal(axes.get_yticklabels())
    if size <= 150:
        axes.set_xticks(np.arange(size + 1) - 0.5, minor=True)
        axes.set_yticks(np.arange(size + 1) - 0.5, minor=True)
        axes.grid(which="minor", color=GRID, linewidth=1 if size <= 31 else 0.5)
    axes.tick_params(which="both", length=0)
    axes.set(xlabel="True", ylabel="Predicted")
    text = "Confusion matrix: shares of each true class" + (" and counts" if size <= 12 else "")
    figure.suptitle(text, x=0.02, ha="left", fontsize=11, fontweight="bold")
    bar = figure.colorbar(image, ax=axes, fraction=0.04, pad=0.02, aspect=40)
    bar.outline.set_visible(False)
    return save_figure(figure, Path(folder) / "confusion_matrix.png")


def _compact(count: int, size: int) -> str:
    """Format a count for a cell of a matrix of this size.

    Example:
        >>> _compact(12345, 4), _compact(999, 9), _compact(12345, 9), _compact(3_400_000, 9)
        ('12345', '999', '12k', '3.4M')
    """
    if size <= 6 and count < 1_000_000:
        return str(count)
    for unit, name in ((1_000_000, "M"), (1000, "k")):
        if count >= unit:
            return f"{count / unit:.{1 if count < 10 * unit else 0}f}{name}"
    return str(count)


def _frameless(width: float, height: float) -> tuple[Any, list[Any]]:
    """Create a figure with one axis without a frame."""
    figure, axes = new_figure(width, height)
    axes[0].spines[:].set_visible(False)
    return figure, axes
