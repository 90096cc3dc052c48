"""Pictures of a classifier's validation: the confusion matrix, and images beside what they are taken for."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from tfyolo.data.centre_crop import centre_crop
from tfyolo.data.images import read_sample_image
from tfyolo.data.sample import Sample
from tfyolo.evaluation.mosaic import MAX_TILES, mosaic
from tfyolo.files import atomic

_DARK = "#12355b"
_TILE = 224


def save_class_confusion(counts: np.ndarray, names: Sequence[str], path: Path) -> Path:
    """Write a confusion matrix: shares of each true class, by column.

    Args:
        counts: (classes, classes): rows are predicted, columns are true.
        names: of the classes.
        path: the file to write.

    Raises:
        TfyoloError: it cannot be written.
    """
    from matplotlib.figure import Figure

    size = len(names)
    shares = counts / np.maximum(counts.sum(0, keepdims=True), 1)
    side = float(np.clip(0.75 * size + 2.5, 6, 15))
    figure = Figure(figsize=(side + 0.8, side), dpi=150, layout="constrained", facecolor="white")
    axes = figure.add_subplot()
    image = axes.imshow(np.where(counts > 0, shares, np.nan), cmap="Blues", vmin=0, vmax=1)
    font = float(np.clip(480 / size, 6, 10)) if size <= 100 else 4.0
    if size <= 31:
        for row, column in np.argwhere(counts > 0):
            share = shares[row, column]
            text = f"{share:.2f}" if size > 12 else f"{share:.3f}\n{counts[row, column]}"
            colour = "white" if share > 0.55 else _DARK
            axes.text(column, row, text, ha="center", va="center", fontsize=font, color=colour)
    ticks = range(0, size, size // 150 + 1)  # 150 names have room
    labels = [names[tick] for tick in ticks]
    axes.set_xticks(ticks, labels, rotation=90 if size > 6 else 0, fontsize=font)
    axes.set_yticks(ticks, labels, fontsize=font)
    for label in (*axes.get_xticklabels(), *axes.get_yticklabels()):
        label.set_parse_math(False)  # a name may have a dollar sign
    axes.spines[["top", "right", "left", "bottom"]].set_visible(False)
    axes.tick_params(length=0)
    axes.set(xlabel="True", ylabel="Predicted")
    title = "Confusion matrix: shares of each true class" + (" and counts" if size <= 12 else "")
    axes.set_title(title, loc="left", fontsize=12, fontweight="bold", pad=12)
    bar = figure.colorbar(image, ax=axes, fraction=0.04, pad=0.02, aspect=40)
    bar.outline.set_visible(False)
    with atomic(path) as temporary:
        figure.savefig(temporary)
    return path


def save_looks(
    samples: Sequence[Sample],
    probabilities: np.ndarray,
    names: Sequence[str],
    image_hw: tuple[int, int],
    folder: Path,
) -> list[Path]:
    """Write `val_batch0.jpg`, pictures from the whole split, and `mistakes.jpg`, the most certain ones.

    Args:
        samples: n pictures.
        probabilities: (n, classes) of them.
        names: of the classes.
        image_hw: what the classifier looked at.
        folder: where to write.
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
        pictures = [_look(samples[index], image_hw) for index in indices]
        titles = [
            names[truth[i]]
            + ("" if truth[i] == guess[i] else f", not {names[guess[i]]}")
            + f" {certainty[i]:.2f}"
            for i in indices
        ]
        nothing = [np.zeros((0, 4), np.float32)] * len(indices)
        classes = [np.zeros(0, np.int64)] * len(indices)
        paths.append(mosaic(pictures, nothing, classes, names, folder / name, titles=titles))
    return paths


def _look(sample: Sample, image_hw: tuple[int, int]) -> np.ndarray:
    """What the classifier sees, no smaller than a title needs."""
    import cv2

    seen = centre_crop(read_sample_image(sample), image_hw)
    scale = max(_TILE / max(image_hw), 1)
    size = round(image_hw[1] * scale), round(image_hw[0] * scale)
    return cv2.resize(seen, size, interpolation=cv2.INTER_NEAREST)
