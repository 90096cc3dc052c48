"""Example images of a classifier's validation, with predictions."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from tfyolo.data.detection.sample import Sample
from tfyolo.data.images.center_crop import center_crop
from tfyolo.data.images.read import read_sample_image
from tfyolo.evaluation.mosaic import MAX_TILES, mosaic

_TILE = 224


def save_looks(
    samples: Sequence[Sample],
    probabilities: np.ndarray,
    names: Sequence[str],
    image_size: tuple[int, int],
    folder: Path,
) -> list[Path]:
    """Write `val_batch0.jpg`, images from the whole split, and `mistakes.jpg`, the most confident errors.

    Args:
        samples: n images.
        probabilities: (n, classes) of them.
        names: class names by class id.
        image_size: input size of the classifier.
        folder: output folder.

    Returns:
        Paths of the written files; `mistakes.jpg` is omitted if there are no errors.
    """
    truth, guess = np.array([sample.classes[0] for sample in samples]), probabilities.argmax(1)
    certainty = probabilities.max(1)
    wrong = np.flatnonzero(truth != guess)
    chosen = {
        "val_batch0.jpg": np.unique(np.linspace(0, len(samples) - 1, MAX_TILES).astype(int)),
        "mistakes.jpg": wrong[np.argsort(-certainty[wrong], kind="stable")][:MAX_TILES],
    }
    paths = []
    for name, indices in chosen.items():
        if not len(indices):
            continue
        images = [_look(samples[index], image_size) for index in indices]
        titles = [
            names[truth[i]]
            + ("" if truth[i] == guess[i] else f", not {names[guess[i]]}")
            + f" {certainty[i]:.2f}"
            for i in indices
        ]
        nothing = [np.zeros((0, 4), np.float32)] * len(indices)
        classes = [np.zeros(0, np.int64)] * len(indices)
        paths.append(mosaic(images, nothing, classes, names, folder / name, titles=titles))
    return paths


def _look(sample: Sample, image_size: tuple[int, int]) -> np.ndarray:
    """Return the center crop of an image, large enough for a title."""
    import cv2

    seen = center_crop(read_sample_image(sample), image_size)
    scale = max(_TILE / max(image_size), 1)
    size = round(image_size[1] * scale), round(image_size[0] * scale)
    return cv2.resize(seen, size, interpolation=cv2.INTER_NEAREST)
