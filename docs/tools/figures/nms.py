"""Non-maximum suppression step by step on the sample image, and IoU of two boxes."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from docs.tools.figures._cells import (
    BLUE,
    CLASS_COLORS,
    GRAY,
    INK,
    RED,
    VIOLET,
    cells,
    draw_box,
    save,
    show_image,
    start,
    tag,
)
from tfyolo.export.runtime.decode import decode
from tfyolo.inference.nms import NmsOptions, non_max_suppression


def draw(folder: Path) -> None:
    """Draw `nms_1.jpg` to `nms_3.jpg`, `iou.svg` and `nms_thresholds.jpg`."""
    found = cells()
    heads = [head.reshape(*head.shape[:2], -1) for head in found.heads]
    candidates = decode(heads, found.anchors_px, found.strides)
    best = candidates.scores.max(1)
    order = np.argsort(best)
    steps = (
        (order, "nms_1.jpg"),
        (order[best[order] > 0.25], "nms_2.jpg"),
    )
    for rows, name in steps:
        figure, axes = start(size=(4.4, 3.4))
        show_image(axes, found)
        for row in rows:
            score, kind = best[row], candidates.scores[row].argmax()
            strength = float(np.clip(score, 0.03, 1))
            color = CLASS_COLORS[kind] if score > 0.25 else GRAY
            draw_box(axes, candidates.boxes_xyxy_px[row], color, 1.2, alpha=strength)
        save(figure, folder / name)
    figure, axes = start(size=(4.4, 3.4))
    _result(axes, non_max_suppression(candidates))
    save(figure, folder / "nms_3.jpg")
    _iou(folder / "iou.svg")
    figure, panels = start(2, 2, (6.4, 5.6))
    for panel, (confidence, threshold) in zip(
        panels.flat, ((0.25, 0.45), (0.6, 0.45), (0.25, 0.9), (0.25, 0.05)), strict=True
    ):
        kept = non_max_suppression(candidates, NmsOptions(confidence, threshold))
        _result(panel, kept, text=False)
        panel.set_title(f"confidence {confidence:g}, IoU {threshold:g}:\n{len(kept)} boxes", fontsize=13)
    save(figure, folder / "nms_thresholds.jpg")


def _result(axes: object, kept: object, text: bool = True) -> None:
    found = cells()
    show_image(axes, found)
    for box, score, kind in zip(kept.boxes_xyxy_px, kept.scores, kept.class_ids, strict=True):
        draw_box(axes, box, CLASS_COLORS[kind], 2.2)
        if text:
            x, y = np.clip(box[0], 2, 290), np.clip(box[1], found.top + 2, found.bottom)
            tag(axes, x, y, f"{score:.2f}", CLASS_COLORS[kind], va="top", fontsize=10)


def _iou(path: Path) -> None:
    from matplotlib.patches import Rectangle

    figure, axes = start(size=(5, 3.6))
    axes.add_patch(Rectangle((30, 20), 20, 30, fc="#ffd84d", ec="none"))
    draw_box(axes, (10, 10, 50, 50), RED, 3)
    draw_box(axes, (30, 20, 70, 60), BLUE, 3)
    axes.text(11, 8, "A: 40 × 40", color=RED)
    axes.text(46, 65, "B: 40 × 40", color=BLUE)
    axes.text(40, 35, "20 × 30", ha="center", va="center", color=INK)
    for point, where in (((10, 10), "right"), ((30, 20), "right")):
        axes.annotate(f"{point}", point, (-4, -4), textcoords="offset points", ha=where, fontsize=11)
    for point in ((50, 50), (70, 60)):
        axes.annotate(f"{point}", point, (4, -2), textcoords="offset points", va="top", fontsize=11)
    axes.set(xlim=(-8, 88), ylim=(68, 2), xticks=[], yticks=[], aspect="equal")
    for spine in axes.spines.values():
        spine.set_color(VIOLET)
        spine.set_visible(False)
    save(figure, path)
