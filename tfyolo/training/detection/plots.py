"""Images for a look: the dataset's labels, the first batches, and the curves of a run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from tfyolo.data.detection.pipeline import Pipeline
from tfyolo.data.detection.sample import Sample
from tfyolo.evaluation.mosaic import mosaic
from tfyolo.evaluation.plot_style import (
    LEARNING_RATE,
    hex_color,
    name_ticks,
    new_figure,
    save_figure,
    save_run,
    title,
    white_to,
)
from tfyolo.inference.boxes import xywh_to_xyxy
from tfyolo.inference.drawing.palette import PALETTE

_BATCHES = 3
_BOXES_DRAWN = 1000
_MOST_NAMES = 30


def save_batches(pipeline: Pipeline, names: Sequence[str], folder: Path) -> list[Path]:
    """Plot the first training batches as the network sees them: `train_batch0.jpg` to `train_batch2.jpg`.

    Args:
        pipeline: augmented training batches.
        names: class names by class id.
        folder: folder to write to.

    Returns:
        The paths.
    """
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
    """Plot the labels: boxes per class, and positions and sizes of the boxes.

    Args:
        samples: images with their labels.
        names: class names by class id.
        path: file to write, such as `labels.jpg`.
    """
    from matplotlib.patches import Rectangle
    from matplotlib.ticker import MaxNLocator

    classes = np.concatenate([sample.classes for sample in samples])
    boxes = np.concatenate([sample.boxes_xywh_norm for sample in samples])
    counts = Counter(classes.tolist())
    figure, (bars, frames, centers, sizes) = new_figure(10, 10, 2, 2)
    colors = [hex_color(index) for index in range(len(names))]
    bars.bar(range(len(names)), [counts[i] for i in range(len(names))], color=colors)
    title(bars, f"{len(classes)} labels in {len(samples)} images")
    bars.set(ylabel="labels")
    bars.yaxis.set_major_locator(MaxNLocator(integer=True))
    if len(names) <= _MOST_NAMES:
        name_ticks(bars, range(len(names)), names, 4.0 / len(names), 9 if len(names) <= 12 else 8)
    else:
        bars.set(xlabel="class id")
        bars.xaxis.set_major_locator(MaxNLocator(integer=True))
    title(frames, "boxes around a common center")
    frames.set(xlim=(0, 1), ylim=(1, 0), aspect="equal")
    some = np.random.default_rng(0).permutation(len(boxes))[:_BOXES_DRAWN]
    for class_id, (width, height) in zip(classes[some], boxes[some, 2:], strict=True):
        corner, color = (0.5 - width / 2, 0.5 - height / 2), hex_color(int(class_id))
        frames.add_patch(Rectangle(corner, width, height, fill=False, linewidth=0.5, alpha=0.4, color=color))
    bins = max(10, min(50, len(boxes) // 20))
    common = {"bins": bins, "range": [[0, 1], [0, 1]], "cmap": white_to(PALETTE[2])}
    centers.hist2d(boxes[:, 0], boxes[:, 1], **common)
    title(centers, "centers")
    centers.set(xlabel="x", ylabel="y", ylim=(1, 0), aspect="equal")
    sizes.hist2d(boxes[:, 2], boxes[:, 3], **common)
    title(sizes, "sizes")
    sizes.set(xlabel="width", ylabel="height", aspect="equal")
    save_figure(figure, path)


def save_results(csv_path: Path, path: Path) -> None:
    """Write `results.png`: losses, figures and learning rates of every epoch in `results.csv`."""
    losses = {
        f"{name} loss": {f"train/{short}_loss": "training", f"val/{short}_loss": "validation"}
        for name, short in (("box", "box"), ("objectness", "obj"), ("class", "cls"))
    }
    figures = {
        "precision and recall": {"metrics/precision": "precision", "metrics/recall": "recall"},
        "mAP": {"metrics/mAP_0.5": "IoU 0.5", "metrics/mAP_0.5:0.95": "IoU 0.5 to 0.95"},
        LEARNING_RATE: {"x/lr0": "biases (lr0)", "x/lr1": "kernels (lr1)"},
    }
    save_run(csv_path, path, losses | figures, columns=3)
