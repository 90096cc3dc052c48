"""Anchors on a real image, and the ratio test of one box against all nine."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from docs.tools.figures._cells import (
    BLUE,
    FAINT,
    GRAY,
    GREEN,
    INK,
    RED,
    cells,
    draw_box,
    save,
    show_image,
    start,
    tag,
)

_CELLS = ((6, 13), (13, 2), (3, 4))
"""Row and column of the cell of the best prediction of a platelet, a red and a white blood cell."""


def draw(folder: Path) -> None:
    """Draw `anchors.jpg` and `anchor_ratios.svg`."""
    _strides(folder / "anchors.jpg")
    _ratios(folder / "anchor_ratios.svg")


def _strides(path: Path) -> None:
    found = cells()
    figure, axes = start(3, 1, (4.6, 11))
    for panel, stride, row, (y, x) in zip(axes, found.strides, found.anchors_px, _CELLS, strict=True):
        show_image(panel, found, fade=0.35)
        for at in range(0, 321, stride):
            panel.axhline(at, color=FAINT, lw=0.6)
            panel.axvline(at, color=FAINT, lw=0.6)
        for label in found.labels:
            draw_box(panel, label[1:], GRAY, 1.3, ls=":")
        center = (np.array([x, y]) + 0.5) * stride
        for (width, height), color in zip(np.reshape(row, (3, 2)), (BLUE, RED, GREEN), strict=True):
            half = np.array([width, height]) / 2
            draw_box(panel, [*(center - half), *(center + half)], color, 3)
        panel.add_patch(_filled(x * stride, y * stride, stride))
        sizes = ", ".join(f"{w:g} × {h:g}" for w, h in np.reshape(row, (3, 2)))
        count = 320 // stride
        panel.set_title(f"stride {stride}: {count} × {count} cells\nanchors {sizes}", fontsize=14)
    save(figure, path)


def _filled(x: float, y: float, side: float) -> object:
    from matplotlib.patches import Rectangle

    return Rectangle((x, y), side, side, color="#ffd84d", alpha=0.9, zorder=0.9)


def _ratios(path: Path) -> None:
    found = cells()
    box = next(label for label in found.labels if label[0] == 2)
    size = box[3:] - box[1:3]
    anchors = np.reshape(found.anchors_px, (9, 2))
    ratios = np.maximum(size / anchors, anchors / size).max(1)
    figure, axes = start(size=(5.6, 4.6))
    colors = [GREEN if ratio < 4 else FAINT for ratio in ratios]
    axes.barh(range(9), ratios, color=colors)
    for y, ratio in enumerate(ratios):
        inside = 2.6 < ratio < 4
        x, color = (ratio - 0.15, "white") if inside else (ratio + 0.15, INK)
        axes.text(x, y, f"{ratio:.1f}", color=color, ha="right" if inside else "left", va="center")
    axes.axvline(4, color=RED, lw=2)
    tag(axes, 4.4, 5, "anchor_t = 4", RED, va="center")
    strides = [stride for stride in found.strides for _ in range(3)]
    axes.set_yticks(
        range(9),
        [f"{w:g} × {h:g}  (stride {s})" for (w, h), s in zip(anchors, strides, strict=True)],
    )
    axes.invert_yaxis()
    axes.set_xlim(0, 11)
    axes.set_xlabel("largest ratio of sides")
    axes.set_title(f"white blood cell, {size[0]:.0f} × {size[1]:.0f} pixels", color=INK, loc="left")
    axes.tick_params(colors=GRAY, labelcolor=INK)
    save(figure, path)
