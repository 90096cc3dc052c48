"""Confidence intervals of metrics by bootstrap: images are resampled with replacement, at a fixed seed.

A metric depends on the images that happen to be in the dataset. The bootstrap draws as many images from it,
with replacement, computes the metric of the draw, and repeats this: the 2.5th and 97.5th percentiles of the
results are the limits of the 95 % interval. Two models are compared on the same draws (paired), because
most of the variation is common to both.

A draw is a vector of image weights: how often each image counts. Detections are matched and sorted once.

Source: Efron and Tibshirani 1993, An Introduction to the Bootstrap, chapters 6 and 13.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

RESAMPLES = 200
SEED = 0
PERCENTILES = (2.5, 97.5)
_CHUNK = 8_000_000
"""Maximum number of values of an array, which bounds memory to some hundred megabytes."""

ImageRow = tuple[Any, Any, Any, Any]
"""Of one image: true positives, bool (n, thresholds), confidences (n,) and class ids (n,) of the detections;
class ids of the labels (m,)."""


@dataclass(frozen=True)
class Interval:
    """A metric and its 95 % interval.

    Attributes:
        value: metric of the given images.
        low: 2.5th percentile over resamples.
        high: 97.5th percentile over resamples.

    Example:
        >>> gain = Interval(0.013, -0.002, 0.027)
        >>> gain.is_noise, f"{gain:+.3f}"
        (True, '+0.013 (-0.002 to +0.027)')
    """

    value: float
    low: float
    high: float

    @property
    def is_noise(self) -> bool:
        """True if the interval contains 0; for a difference: the images do not show which one is better."""
        return self.low <= 0 <= self.high

    def scaled(self, factor: float) -> Interval:
        """Return the interval in another unit, such as points for a factor of 100.

        Args:
            factor: a positive number.
        """
        return Interval(self.value * factor, self.low * factor, self.high * factor)

    def bounds(self, form: str) -> str:
        """Return the limits as text: `0.895 to 0.925`.

        Args:
            form: format of each number, such as `.3f`.
        """
        return f"{self.low:{form}} to {self.high:{form}}"

    def __format__(self, form: str) -> str:
        return f"{self.value:{form}} ({self.bounds(form)})"


def image_weights(count: int, resamples: int = RESAMPLES, seed: int = SEED) -> np.ndarray:
    """Draw resamples of images.

    Args:
        count: number of images.
        resamples: number of resamples.
        seed: seed of the draws. Equal counts and seeds give equal draws, which makes comparisons paired.

    Returns:
        float64 (1 + resamples, count): how often each image counts. The first row is the given set: all ones.

    Example:
        >>> image_weights(4, resamples=2).sum(1)
        array([4., 4., 4.])
    """
    random = np.random.default_rng(seed)
    drawn = random.multinomial(count, np.full(count, 1 / max(count, 1)), resamples) if count else 0
    weights = np.ones((1 + resamples, count))
    weights[1:] = drawn
    return weights


def interval(values: np.ndarray) -> Interval:
    """Return the 95 % interval of a metric.

    Args:
        values: (1 + resamples,) metric of the given images, and of each resample.

    Example:
        >>> interval(np.concatenate([[0.5], np.linspace(0, 1, 201)]))
        Interval(value=0.5, low=0.025, high=0.975)
    """
    low, high = np.percentile(values[1:], PERCENTILES)
    return Interval(float(values[0]), float(low), float(high))


def median_interval(values: np.ndarray) -> Interval:
    """Return the median of repeated measurements and its 95 % interval, by bootstrap over them.

    Args:
        values: (n,) measurements.

    Example:
        >>> median_interval(np.array([0.50, 0.51, 0.50, 0.52, 0.51]))
        Interval(value=0.51, low=0.5, high=0.52)
    """
    drawn = np.random.default_rng(SEED).choice(values, (RESAMPLES, len(values)))
    return interval(np.median(np.concatenate([[values], drawn]), 1))


def weighted_means(totals: Sequence[float], counts: Sequence[float]) -> np.ndarray:
    """Compute a mean over the values of all images, for every resample.

    Args:
        totals: sum of the values of each image.
        counts: number of values of each image.

    Returns:
        (1 + resamples,) means; 0 where there are no values.
    """
    weights = image_weights(len(totals))
    sums, sizes = weights @ np.asarray(totals, np.float64), weights @ np.asarray(counts, np.float64)
    return sums / np.maximum(sizes, 1)


def mean_average_precisions(rows: Sequence[ImageRow]) -> np.ndarray:
    """Compute mAP50-95 for every resample of the images; each equals `average_precision` of the resample.

    The precision envelope is constant between two true positives, so only those are evaluated.

    Args:
        rows: one per image.

    Returns:
        (1 + resamples,) mAP50-95 of the given images, and of each resample; 0 without labels.

    Example:
        >>> hits = np.ones((1, 10), bool)
        >>> row = (hits, np.array([0.9]), np.array([3]), np.array([3]))
        >>> mean_average_precisions([row, row]).round(3)[:3]
        array([0.995, 0.995, 0.995])
    """
    weights = image_weights(len(rows))
    if not rows:
        return np.zeros(len(weights))
    correct, scores, predicted = (np.concatenate([row[i] for row in rows]) for i in range(3))
    image = np.repeat(np.arange(len(rows)), [len(row[1]) for row in rows])
    labeled = np.concatenate([row[3] for row in rows]).astype(np.int64)
    label_image = np.repeat(np.arange(len(rows)), [len(row[3]) for row in rows])
    order = np.argsort(-scores, kind="stable")
    correct, predicted, image = correct[order].astype(bool), predicted[order], image[order]
    sums, classes = np.zeros(len(weights)), np.zeros(len(weights))
    for class_id in np.unique(labeled):
        labels = weights @ np.bincount(label_image[labeled == class_id], minlength=len(rows))
        mine = predicted == class_id
        if mine.any():
            sums += _class_precisions(correct[mine], image[mine], weights, labels)
        classes += labels > 0
    return sums / np.maximum(classes, 1)


def _class_precisions(
    correct: np.ndarray, image: np.ndarray, weights: np.ndarray, labels: np.ndarray
) -> np.ndarray:
    """Return (resamples,) average precision of one class, mean over IoU thresholds.

    Args:
        correct: bool (n, thresholds), detections sorted by descending confidence.
        image: (n,) image of each detection.
        weights: (resamples, images).
        labels: (resamples,) number of labels; 0 gives a precision of 0.
    """
    result = np.zeros(len(weights))
    rows = max(_CHUNK // len(image), 1)
    for start in range(0, len(weights), rows):
        part = slice(start, start + rows)
        chosen = weights[part]
        detected = np.cumsum(chosen[:, image], 1)
        total = np.zeros(len(chosen))
        for column in range(correct.shape[1]):
            positive = np.flatnonzero(correct[:, column])
            if len(positive):
                hits = np.cumsum(chosen[:, image[positive]], 1)
                total += _areas(hits, detected[:, positive], detected[:, -1], labels[part])
        result[part] = total / correct.shape[1]
    return result


def _areas(hits: np.ndarray, detected: np.ndarray, last: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return (resamples,) areas under precision envelopes, as `average_precision` integrates them.

    Args:
        hits: (resamples, n) number of true positives up to each of them.
        detected: (resamples, n) number of detections up to there.
        last: (resamples,) number of all detections.
        labels: (resamples,) number of labels.
    """
    recall = hits / np.maximum(labels, 1)[:, None]
    precision = hits / np.maximum(detected, 1)
    envelope = np.maximum.accumulate(precision[:, ::-1], 1)[:, ::-1]
    sampled = np.linspace(0, 1, 101)
    # A sample takes the precision of the first true positive with a higher recall.
    places = np.searchsorted(sampled, recall, side="left")
    before = np.concatenate([np.zeros((len(places), 1), places.dtype), places[:, :-1]], 1)
    height = (envelope * (places - before)).sum(1)
    # Behind the last true positive the envelope falls linearly to 0 at a recall of 1.
    end, lowest = recall[:, -1], hits[:, -1] / np.maximum(last, 1)
    beyond = np.arange(101) >= places[:, -1:]
    fall = ((1 - sampled) * beyond).sum(1)
    height += lowest * fall / np.maximum(1 - end, 1e-9)
    return np.asarray((height - envelope[:, 0] / 2) * (sampled[1] - sampled[0]))
