"""Behavior of the losses: CIoU of a box that moves away, and binary cross-entropy with and without focus."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from docs.tools.figures._cells import BLUE, GRAY, GREEN, RED, VIOLET, save, start


def draw(folder: Path) -> None:
    """Draw `ciou.svg` and `bce.svg`."""
    _ciou(folder / "ciou.svg")
    _entropy(folder / "bce.svg")


def _ciou(path: Path) -> None:
    from tfyolo.inference.boxes import iou, xywh_to_xyxy
    from tfyolo.training.detection.loss import ciou

    figure, (left, right) = start(1, 2, (6.8, 3.6))
    shift = np.linspace(0, 30, 121)
    truth = np.tile(np.float32([0, 0, 10, 10]), (len(shift), 1))
    moved = truth.copy()
    moved[:, 0] = shift
    left.plot(shift, 1 - iou(xywh_to_xyxy(moved), xywh_to_xyxy(truth)), color=GRAY, lw=3, ls="--")
    left.plot(shift, 1 - np.asarray(ciou(moved, truth)), color=RED, lw=3)
    left.axvline(10, color=GRAY, lw=1, ls=":")
    left.text(5, 1.5, "1 - CIoU", color=RED)
    left.text(17, 0.86, "1 - IoU", color=GRAY)
    left.set(title="10 x 10 box moves\naway from its target", xlabel="pixels", ylim=(0, 1.7))
    inside = np.linspace(0, 10, 41)
    large = np.tile(np.float32([0, 0, 30, 30]), (len(inside), 1))
    small = np.tile(np.float32([0, 0, 10, 10]), (len(inside), 1))
    small[:, 0] = inside
    right.plot(inside, 1 - iou(xywh_to_xyxy(small), xywh_to_xyxy(large)), color=GRAY, lw=3, ls="--")
    right.plot(inside, 1 - np.asarray(ciou(small, large)), color=RED, lw=3)
    right.set(title="10 x 10 box moves\ninside its 30 x 30 target", xlabel="pixels", ylim=(0.86, 0.96))
    for axes in (left, right):
        axes.grid(alpha=0.3)
    save(figure, path)


def _entropy(path: Path) -> None:
    from tfyolo.training.detection.loss import DetectionLoss, LossOptions

    figure, axes = start(size=(5.8, 4.2))
    probability = np.linspace(0.01, 0.99, 197, dtype=np.float32)
    logits = np.log(probability / (1 - probability))
    plain, focal = (DetectionLoss([[10, 10]], [8], 1, LossOptions(fl_gamma=gamma)) for gamma in (0.0, 1.5))
    for loss, style in ((plain, "-"), (focal, "--")):
        for target, color in ((1.0, GREEN), (0.0, BLUE)):
            values = loss._entropy(logits, np.full_like(logits, target), 1.0)
            name = "BCE" if loss is plain else "focal, fl_gamma = 1.5"
            axes.plot(probability, values, style, color=color, lw=3, label=f"target {target:g}, {name}")
    values = plain._entropy(logits, np.full_like(logits, 0.7), 1.0)
    axes.plot(probability, values, "-", color=VIOLET, lw=2, label="target 0.7, BCE")
    axes.set(xlabel="predicted probability", ylabel="loss", ylim=(0, 6), xlim=(0, 1))
    axes.legend(fontsize=11, frameon=False, loc="upper center")
    axes.grid(alpha=0.3)
    save(figure, path)
