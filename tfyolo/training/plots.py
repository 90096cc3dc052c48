"""Pictures for a look: the data set's labels, the first batches, and the curves of a run."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tfyolo.data.pipeline import Pipeline
from tfyolo.data.sample import Sample
from tfyolo.evaluation.mosaic import mosaic
from tfyolo.files import atomic
from tfyolo.inference.boxes import xywh_to_xyxy

_BATCHES = 3
_BOXES_DRAWN = 1000


def save_batches(pipeline: Pipeline, names: Sequence[str], folder: Path) -> list[Path]:
    """Write `train_batch0.jpg` and the next, as the network will see them."""
    paths = []
    for number, (images, labels) in enumerate(pipeline.stream(0, 1).take(_BATCHES)):
        height, width = images.shape[1:3]
        rows = [row[row[:, 0] >= 0] for row in labels.numpy()]
        corners = [xywh_to_xyxy(row[:, 1:]) * np.array([width, height] * 2, np.float32) for row in rows]
        path = folder / f"train_batch{number}.jpg"
        mosaic(images.numpy(), corners, [row[:, 0].astype(int) for row in rows], names, path)
        paths.append(path)
    return paths


def save_labels(samples: Sequence[Sample], names: Sequence[str], path: Path) -> None:
    """Write `labels.jpg`: how many boxes each class has, and where in the pictures and how large they are."""
    from matplotlib.patches import Rectangle

    classes = np.concatenate([sample.classes for sample in samples])
    boxes = np.concatenate([sample.boxes_xywh_norm for sample in samples])
    counts = Counter(classes.tolist())
    figure, (bars, frames, centres, sizes) = _grid(2, 2, (10, 10))
    bars.bar(range(len(names)), [counts[i] for i in range(len(names))], color="tab:blue")
    bars.set(title=f"{len(classes)} labels in {len(samples)} pictures", ylabel="labels")
    if len(names) <= 30:
        bars.set_xticks(range(len(names)), names, rotation=90 if len(names) > 6 else 0)
    frames.set(title="boxes about a common centre", xlim=(0, 1), ylim=(1, 0), aspect="equal")
    some = np.random.default_rng(0).permutation(len(boxes))[:_BOXES_DRAWN]
    for width, height in boxes[some, 2:]:
        corner = (0.5 - width / 2, 0.5 - height / 2)
        frames.add_patch(Rectangle(corner, width, height, fill=False, linewidth=0.5, alpha=0.4, color="C0"))
    bins = max(10, min(50, len(boxes) // 20))
    common = {"bins": bins, "range": [[0, 1], [0, 1]], "cmap": "Blues"}
    centres.hist2d(boxes[:, 0], boxes[:, 1], **common)
    centres.set(title="centres", xlabel="x", ylabel="y", ylim=(1, 0), aspect="equal")
    sizes.hist2d(boxes[:, 2], boxes[:, 3], **common)
    sizes.set(title="sizes", xlabel="width", ylabel="height", aspect="equal")
    with atomic(path) as temporary:
        figure.savefig(temporary)


def save_results(csv_path: Path, path: Path) -> None:
    """Write `results.png`: losses and figures of every epoch in `results.csv`."""
    with csv_path.open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    epochs = [int(row["epoch"]) for row in rows]
    panels = {
        "box loss": ("train/box_loss", "val/box_loss"),
        "objectness loss": ("train/obj_loss", "val/obj_loss"),
        "class loss": ("train/cls_loss", "val/cls_loss"),
        "precision and recall": ("metrics/precision", "metrics/recall"),
        "mAP": ("metrics/mAP_0.5", "metrics/mAP_0.5:0.95"),
        "learning rate": ("x/lr0", "x/lr1"),
    }
    figure, axes = _grid(2, 3, (14, 7.5))
    for axis, (title, columns) in zip(axes, panels.items(), strict=True):
        for column in columns:
            points = [(e, float(row[column])) for e, row in zip(epochs, rows, strict=True) if row[column]]
            if points:
                axis.plot(*zip(*points, strict=True), marker="." if len(points) < 40 else None, label=column)
        axis.set(title=title, xlabel="epoch")
        axis.grid(alpha=0.3)
        axis.legend(fontsize=8)
    with atomic(path) as temporary:
        figure.savefig(temporary)


def _grid(rows: int, columns: int, size: tuple[float, float]) -> tuple[Any, Any]:
    """A figure and its axes, row by row."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=size, dpi=120, layout="constrained", facecolor="white")
    axes = figure.subplots(rows, columns).ravel()
    for axis in axes:
        axis.spines[["top", "right"]].set_visible(False)
    return figure, axes
