"""Label assignment drawn on a grid, computed by the training code."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from docs.tools.figures._cells import BLUE, FAINT, GREEN, INK, RED, cells, draw_box, save, show_image, start

_YELLOW = "#ffd84d"


def draw(folder: Path) -> None:
    """Draw `assignment_cells.svg` and `assignment.jpg`."""
    _quarters(folder / "assignment_cells.svg")
    _scales(folder / "assignment.jpg")


def positives(
    xywh_norm: Any, anchors_px: Any, stride: int, cells_per_side: int
) -> list[tuple[int, int, int]]:
    """Return (row, column, anchor) of the positives of one box on one feature map."""
    from tfyolo.training.detection.label_assignment import assign_labels

    labels = np.float32([[[0, *xywh_norm]]])
    anchors = np.reshape(anchors_px, (-1, 2)) / stride
    found = assign_labels(labels, (cells_per_side, cells_per_side), anchors, 4.0)
    flat = np.unique(np.asarray(found.cells)[np.asarray(found.valid)])
    shape = (cells_per_side, cells_per_side, len(anchors))
    return [tuple(map(int, place)) for place in zip(*np.unravel_index(flat, shape), strict=True)]


def _quarters(path: Path) -> None:
    from matplotlib.patches import Rectangle

    figure, panels = start(2, 2, (5.4, 6.0))
    for panel, (x, y) in zip(panels.flat, ((1.3, 1.3), (1.7, 1.3), (1.3, 1.7), (1.7, 1.7)), strict=True):
        for row, column, _ in positives([x / 3, y / 3, 0.3, 0.3], [32, 32], 32, 3):
            own = (row, column) == (1, 1)
            panel.add_patch(Rectangle((column, row), 1, 1, fc=GREEN if own else _YELLOW, alpha=0.75))
        for at in range(4):
            panel.plot([at, at], [0, 3], color=INK, lw=1.2)
            panel.plot([0, 3], [at, at], color=INK, lw=1.2)
        panel.plot([1.5, 1.5], [1, 2], color=INK, lw=1, ls=":")
        panel.plot([1, 2], [1.5, 1.5], color=INK, lw=1, ls=":")
        panel.plot(x, y, "o", color=RED, ms=10)
        where = f"{'upper' if y < 1.5 else 'lower'} {'left' if x < 1.5 else 'right'}"
        panel.set_title(f"center in the\n{where} quarter", fontsize=13)
        panel.set(xlim=(-0.05, 3.05), ylim=(3.05, -0.05), xticks=[], yticks=[], aspect="equal")
        for spine in panel.spines.values():
            spine.set_visible(False)
    save(figure, path)


def _scales(path: Path) -> None:
    from matplotlib.patches import Rectangle

    found = cells()
    box = next(label for label in found.labels if label[0] == 2)[1:]
    center, size = (box[:2] + box[2:]) / 2, box[2:] - box[:2]
    figure, panels = start(3, 1, (4.4, 12))
    for panel, stride, row in zip(panels, found.strides, found.anchors_px, strict=True):
        show_image(panel, found, fade=0.35)
        side = 320 // stride
        for at in range(0, 321, stride):
            panel.axhline(at, color=FAINT, lw=0.6)
            panel.axvline(at, color=FAINT, lw=0.6)
        found_cells = positives([*center / 320, *size / 320], row, stride, side)
        for y, x in sorted({(y, x) for y, x, _ in found_cells}):
            own = (y, x) == (int(center[1] // stride), int(center[0] // stride))
            color = GREEN if own else _YELLOW
            panel.add_patch(Rectangle((x * stride, y * stride), stride, stride, fc=color, alpha=0.7))
        panel.set(xlim=(64, 224), ylim=(208, 64))
        draw_box(panel, box, BLUE, 3)
        panel.plot(*center, "o", color=RED, ms=8)
        matched = len({anchor for *_, anchor in found_cells})
        count = f"{matched} anchors match, {len(found_cells)} positives" if matched else "no anchor matches"
        panel.set_title(f"stride {stride}: {count}", fontsize=12)
    save(figure, path)
