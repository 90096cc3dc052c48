"""Images for a look: the first batches with their masks, and the curves of a run."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tfyolo.data.detection.pipeline import Pipeline
from tfyolo.evaluation.mosaic import mosaic
from tfyolo.evaluation.plot_style import LEARNING_RATE, save_run
from tfyolo.inference.drawing.draw_masks import draw_masks
from tfyolo.training.detection.batch_validation import ground_truth
from tfyolo.training.segmentation.validation import resized

_BATCHES = 3


def save_batches(pipeline: Pipeline, names: Sequence[str], folder: Path) -> list[Path]:
    """Plot the first training batches as the network sees them, with boxes and masks.

    Args:
        pipeline: augmented training batches with masks.
        names: class names by class id.
        folder: folder to write `train_batch0.jpg` to `train_batch2.jpg` to.

    Returns:
        The paths.
    """
    paths = []
    for number, (images, targets) in enumerate(pipeline.stream(0, 1).take(_BATCHES)):
        labels, masks = targets["labels"].numpy(), targets["masks"].numpy()
        drawn, corners, classes = [], [], []
        for index, image in enumerate(images.numpy()):
            boxes, class_ids = ground_truth(labels, index, image.shape[:2])
            patches = object_masks(masks[index], len(class_ids), image.shape[:2])
            drawn.append(draw_masks(image, patches, np.zeros((len(patches), 2), np.int64), class_ids))
            corners.append(boxes)
            classes.append(class_ids)
        path = folder / f"train_batch{number}.jpg"
        paths.append(mosaic(drawn, corners, classes, names, path))
    return paths


def object_masks(masks: np.ndarray, count: int, size: tuple[int, int]) -> list[np.ndarray]:
    """Return the mask of each object of a training image.

    Args:
        masks: index mask (height, width), or one mask per label (boxes, height, width).
        count: number of labels, without padding.
        size: (height, width) of the result in pixels.

    Returns:
        One bool array per label.

    Example:
        >>> [mask.tolist() for mask in object_masks(np.array([[1, 2]]), 2, (1, 2))]
        [[[True, False]], [[False, True]]]
    """
    each = [masks == number + 1 for number in range(count)] if masks.ndim == 2 else masks[:count] > 0
    return [resized(mask, size) for mask in each]


def save_results(csv_path: Path, path: Path) -> None:
    """Write `results.png`: losses, metrics of boxes and masks, and learning rates of each epoch."""
    panels: dict[str, dict[str, Any]] = {
        f"{name} loss": {f"train/{short}_loss": "training", f"val/{short}_loss": "validation"}
        for name, short in (("box", "box"), ("mask", "seg"), ("objectness", "obj"), ("class", "cls"))
    }
    for kind, letter in (("boxes", "B"), ("masks", "M")):
        panels[f"precision and recall of {kind}"] = {
            f"metrics/precision({letter})": "precision",
            f"metrics/recall({letter})": "recall",
        }
        panels[f"mAP of {kind}"] = {
            f"metrics/mAP_0.5({letter})": "IoU 0.5",
            f"metrics/mAP_0.5:0.95({letter})": "IoU 0.5 to 0.95",
        }
    panels[LEARNING_RATE] = {"x/lr0": "biases (lr0)", "x/lr1": "kernels (lr1)"}
    save_run(csv_path, path, panels, columns=3)
