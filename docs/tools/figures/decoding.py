"""Decoding of one prediction, drawn on the grid of its feature map."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from docs.tools.figures._cells import BLUE, GREEN, INK, RED, cells, draw_box, save, show_image, start, tag
from tfyolo.export.runtime.decode import sigmoid

_Y, _X, _ANCHOR = 3, 4, 1
"""Of the prediction with the highest score, on the feature map of stride 32."""


def draw(folder: Path) -> None:
    """Draw `decoding.jpg` and `decoding_curves.svg`."""
    _grid(folder / "decoding.jpg")
    _curves(folder / "decoding_curves.svg")


def _grid(path: Path) -> None:
    from matplotlib.patches import Rectangle

    found = cells()
    values = sigmoid(found.heads[2][_Y, _X, _ANCHOR])
    anchor = np.reshape(found.anchors_px[2], (3, 2))[_ANCHOR]
    corner = np.array([_X, _Y]) * 32.0
    center = (2 * values[:2] - 0.5) * 32 + corner
    half = 2 * values[2:4] ** 2 * anchor
    figure, axes = start(size=(5.4, 5.0))
    show_image(axes, found, fade=0.3)
    axes.set(xlim=(32, 288), ylim=(256, 20))
    for at in range(0, 321, 32):
        axes.axhline(at, color="#888888", lw=0.8)
        axes.axvline(at, color="#888888", lw=0.8)
    axes.add_patch(Rectangle(corner - 16, 64, 64, fc="#ffd84d", alpha=0.45, ec="none"))
    axes.add_patch(Rectangle(corner, 32, 32, fill=False, ec=INK, lw=2.5))
    middle = corner + 16
    draw_box(axes, [*(middle - anchor / 2), *(middle + anchor / 2)], BLUE, 2.5, ls="--")
    draw_box(axes, [*(center - half), *(center + half)], RED, 3)
    axes.plot(*center, "o", color=RED, ms=9)
    tag(axes, 69, 212, f"anchor {anchor[0]:g} × {anchor[1]:g}", BLUE, va="top", fontsize=12)
    width, height = 2 * half
    tag(axes, center[0] - half[0], 186, f"box {width:.0f} × {height:.0f}", RED, va="top", fontsize=12)
    tag(axes, center[0] + 7, center[1] + 10, "center", RED, va="center", fontsize=12)
    tag(axes, corner[0] + 1, corner[1] - 10, "cell (4, 3)", GREEN, va="center", fontsize=12)
    save(figure, path)


def _curves(path: Path) -> None:
    figure, (left, right) = start(1, 2, (6.4, 3.4))
    t = np.linspace(-6, 6, 200)
    left.plot(t, 2 * sigmoid(t) - 0.5, color=RED, lw=3)
    left.axhspan(0, 1, color="#ffd84d", alpha=0.4)
    left.text(-5.8, 0.5, "own cell", va="center", fontsize=12)
    left.set(title="center offset\nin cells", yticks=[-0.5, 0, 0.5, 1, 1.5])
    right.plot(t, (2 * sigmoid(t)) ** 2, color=RED, lw=3)
    right.plot([0], [1], "o", color=BLUE, ms=9)
    right.annotate("t = 0:\nthe anchor", (0, 1), (1.2, 0.15), fontsize=12, color=BLUE)
    right.set(title="side relative\nto the anchor", yticks=range(5))
    for axes in (left, right):
        axes.set_xlabel("raw output t")
        axes.grid(alpha=0.3)
    save(figure, path)
