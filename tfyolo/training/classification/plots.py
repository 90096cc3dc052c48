"""Images for a look: the first batches, and the curves of a classifier's run."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from tfyolo.data.classification.pipeline import ClassificationPipeline
from tfyolo.evaluation.mosaic import mosaic
from tfyolo.evaluation.plot_style import LEARNING_RATE, save_run

_BATCHES = 3
_SMALLEST = 128


def save_batches(pipeline: ClassificationPipeline, names: Sequence[str], folder: Path) -> list[Path]:
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
        pixels = np.round(images.numpy() * 255).astype(np.uint8)
        times = -(-_SMALLEST // pixels.shape[1])  # small ones larger, so that titles have room
        pixels = pixels.repeat(times, 1).repeat(times, 2)
        titles = [_title(row, names) for row in labels.numpy()]
        nothing = [np.zeros((0, 4), np.float32)] * len(pixels)
        classes = [np.zeros(0, np.int64)] * len(pixels)
        path = folder / f"train_batch{number}.jpg"
        paths.append(mosaic(list(pixels), nothing, classes, names, path, titles=titles))
    return paths


def _title(row: np.ndarray, names: Sequence[str]) -> str:
    """The classes of a label, which mixup and CutMix may have made several."""
    shown = [index for index in np.argsort(-row) if row[index] >= 0.005]
    return ", ".join(names[i] + ("" if row[i] > 0.995 else f" {row[i]:.2f}") for i in shown)


def save_results(csv_path: Path, path: Path) -> None:
    """Write `results.png`: losses, accuracy and learning rates of every epoch in `results.csv`."""
    panels = {
        "loss": {"train/loss": "training", "val/loss": "validation"},
        "accuracy": {
            "metrics/accuracy_top1": "validation, top-1",
            "metrics/accuracy_top5": "validation, top-5",
            "train/accuracy": "training",
        },
        LEARNING_RATE: {"x/lr0": "biases (lr0)", "x/lr1": "kernels (lr1)"},
    }
    save_run(csv_path, path, panels, columns=3)
