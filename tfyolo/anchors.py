"""AutoAnchor: check anchors against the boxes of a dataset, and evolve better ones."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from tfyolo.data.detection.sample import Sample
from tfyolo.libraries import require

MINIMUM_RECALL = 0.98
"""With a best possible recall of less, new anchors are tried."""
GENERATIONS = 1000
_KMEANS_SAMPLE = 20_000
_SMALLEST_PX = 2.0

Rows = tuple[tuple[float, ...], ...]


@dataclass(frozen=True)
class AnchorFit:
    """Fit between anchors and boxes.

    Attributes:
        best_possible_recall: fraction of boxes that at least one anchor matches.
        anchors_over_threshold: mean number of anchors that match a box.
        fitness: mean over boxes of the best anchor's ratio of sides, 0 if it does not match.
    """

    best_possible_recall: float
    anchors_over_threshold: float
    fitness: float


@dataclass(frozen=True)
class AnchorDecision:
    """Result of `auto_anchors`.

    Attributes:
        anchors_px: width, height, ... per feature map, in the order of the model.
        replaced: whether these are new anchors.
        before: fit of the model's anchors.
        after: fit of the new anchors; None if none were evolved.
        reason: a sentence for the log.
    """

    anchors_px: Rows
    replaced: bool
    before: AnchorFit
    after: AnchorFit | None
    reason: str


def box_sizes_px(samples: Sequence[Sample], image_size: int) -> np.ndarray:
    """Return (n, 2) widths and heights of all labels, in pixels of an input of `image_size`."""
    parts = [
        sample.boxes_xywh_norm[:, 2:] * np.array(sample.hw[::-1]) * (image_size / max(sample.hw))
        for sample in samples
    ]
    return np.concatenate([*parts, np.zeros((0, 2))]).astype(np.float32)


def anchor_metrics(sizes_px: np.ndarray, anchors_px: np.ndarray, threshold: float = 4.0) -> AnchorFit:
    """Measure how well anchors fit boxes.

    Args:
        sizes_px: (n, 2) widths and heights of boxes; without boxes all metrics are 0.
        anchors_px: (a, 2) widths and heights of anchors.
        threshold: maximum ratio of sides at which an anchor matches a box: the hyperparameter `anchor_t`.

    Returns:
        Metrics over all boxes.

    Source: YOLOv5's AutoAnchor: the smaller of the width and height ratios of each pair, at most 1.

    Example:
        >>> anchor_metrics(np.array([[10.0, 20.0]]), np.array([[10.0, 10.0]])).fitness
        0.5
    """
    if not len(sizes_px):
        return AnchorFit(0.0, 0.0, 0.0)
    agreement = _agreement(sizes_px, anchors_px)
    best = agreement.max(1)
    matches = agreement > 1 / threshold
    return AnchorFit(
        float(matches.any(1).mean()),
        float(matches.sum(1).mean()),
        float((best * (best > 1 / threshold)).mean()),
    )


def _agreement(sizes_px: np.ndarray, anchors_px: np.ndarray) -> np.ndarray:
    """Return (n, a) ratios in 0..1: 1 where box and anchor are equal."""
    ratio = sizes_px[:, None] / np.maximum(anchors_px[None], 1e-9)
    return np.minimum(ratio, 1 / np.maximum(ratio, 1e-9)).min(2)


def evolve_anchors(
    sizes_px: np.ndarray,
    count: int,
    threshold: float = 4.0,
    generations: int = GENERATIONS,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> np.ndarray:
    """Compute anchors: k-means of box sizes, then a genetic algorithm.

    Args:
        sizes_px: (n, 2) widths and heights, with n of at least `count`.
        count: number of anchors.
        threshold: hyperparameter `anchor_t`.
        generations: number of generations of the genetic algorithm.
        seed: equal seeds give equal anchors.
        progress: called as `progress(done, total)` after each generation.

    Returns:
        float32 (count, 2), sorted by area.

    Raises:
        MissingExtraError: scikit-learn is not installed.
    """
    require("sklearn")
    from sklearn.cluster import KMeans

    random = np.random.default_rng(seed)
    sizes = np.maximum(sizes_px.astype(np.float64), 1e-3)
    some = sizes[random.permutation(len(sizes))[:_KMEANS_SAMPLE]]
    spread = np.maximum(some.std(0), 1e-6)  # whitened: a pixel of width counts like one of height
    means = KMeans(count, n_init=10, random_state=seed).fit(some / spread)
    best = np.maximum(means.cluster_centers_ * spread, _SMALLEST_PX)
    fitness = anchor_metrics(sizes, best, threshold).fitness
    for generation in range(generations):
        chosen = random.random(best.shape) < 0.9
        change = np.where(chosen, random.normal(0, 0.1, best.shape) * random.random(), 0.0) + 1.0
        mutant = np.maximum(best * np.clip(change, 0.3, 3.0), _SMALLEST_PX)
        value = anchor_metrics(sizes, mutant, threshold).fitness
        if value > fitness:
            best, fitness = mutant, value
        if progress is not None and (generation % 20 == 19 or generation + 1 == generations):
            progress(generation + 1, generations)
    return best[np.argsort(best.prod(1))].astype(np.float32)


def auto_anchors(
    samples: Sequence[Sample],
    anchors_px: Sequence[Sequence[float]],
    strides: Sequence[int],
    image_size: int,
    *,
    threshold: float = 4.0,
    minimum_recall: float = MINIMUM_RECALL,
    generations: int = GENERATIONS,
    seed: int = 0,
    force: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> AnchorDecision:
    """Keep a model's anchors, or evolve better ones.

    Args:
        samples: images of the training split, with their labels.
        anchors_px: width, height, ... per feature map, as `ModelSpec.anchors_px`.
        strides: stride of each feature map in pixels, in the same order.
        image_size: longer side of the training images in pixels.
        threshold: hyperparameter `anchor_t`.
        minimum_recall: anchors are kept if their best possible recall is at least this.
        generations: number of generations of evolution.
        seed: seed of evolution.
        force: evolve new anchors in any case.
        progress: called as `progress(done, total)` after each generation.

    Returns:
        The anchors to train with, and the reason for the log.

    Example:
        >>> from tfyolo.data.detection.scan import read_dataset, scan_split
        >>> from tfyolo.models import load_spec
        >>> samples, spec = scan_split(read_dataset("bccd-mini"), "val").samples, load_spec("yolov5n")
        >>> auto_anchors(samples, spec.anchors_px, spec.strides, 640).reason
        'anchors fit the dataset: best possible recall (BPR) 1.0000, 5.73 anchors per box'
    """
    old: Rows = tuple(tuple(map(float, row)) for row in anchors_px)
    flat = np.array(old).reshape(-1, 2)
    sizes = box_sizes_px(samples, image_size)
    before = anchor_metrics(sizes, flat, threshold)
    fit = (
        f"best possible recall (BPR) {before.best_possible_recall:.4f}, "
        f"{before.anchors_over_threshold:.2f} anchors per box"
    )
    if len(sizes) < len(flat):
        reason = f"anchors kept: {len(sizes)} boxes are too few to compute {len(flat)} anchors"
        return AnchorDecision(old, False, before, None, reason)
    if before.best_possible_recall >= minimum_recall and not force:
        return AnchorDecision(old, False, before, None, f"anchors fit the dataset: {fit}")
    new = evolve_anchors(sizes, len(flat), threshold, generations, seed, progress)
    after = anchor_metrics(sizes, new, threshold)
    if after.fitness <= before.fitness:
        return AnchorDecision(
            old,
            False,
            before,
            after,
            f"anchors kept: fitness {before.fitness:.4f}, evolved anchors {after.fitness:.4f}",
        )
    per_scale = new.reshape(len(old), -1)
    rank = np.argsort(np.argsort(strides))  # v1.0 lists its scales from large to small
    rows = tuple(tuple(round(float(value), 2) for value in per_scale[place]) for place in rank)
    reason = (
        f"anchors evolved: fitness {before.fitness:.4f} -> {after.fitness:.4f}; "
        f"best possible recall (BPR) {after.best_possible_recall:.4f}"
    )
    return AnchorDecision(rows, True, before, after, reason)
