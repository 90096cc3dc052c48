"""Intervals of metrics by resampling images."""

import time

import numpy as np
import pytest

from tfyolo.evaluation.bootstrap import (
    Interval,
    image_weights,
    interval,
    mean_average_precisions,
    weighted_means,
)
from tfyolo.evaluation.metrics import IOU_THRESHOLDS, average_precision


def random_rows(images, detections, classes, seed=0, labels=4):
    """Detections that are partly right.

    Images have scores in common. An image has none twice, because repeating it would change their order.
    """
    random = np.random.default_rng(seed)
    rows = []
    for _ in range(images):
        count, owned = random.integers(0, detections + 1), random.integers(0, labels + 1)
        scores = np.sort(random.choice(max(64, detections), count, replace=False) / 512)[::-1]
        correct = np.zeros((count, len(IOU_THRESHOLDS)), bool)
        for row in range(min(count, owned)):
            correct[row, : random.integers(0, 11)] = True
        label_ids = random.integers(0, classes, owned)
        predicted = random.integers(0, classes, count)
        predicted[: min(count, owned)] = label_ids[: min(count, owned)]
        rows.append((correct, scores, predicted, label_ids))
    return rows


def expected(rows, weights):
    repeated = [row for row, times in zip(rows, weights, strict=True) for _ in range(int(times))]
    return average_precision(*map(np.concatenate, zip(*repeated, strict=True))).map50_95


@pytest.mark.parametrize(
    ("images", "detections", "classes"),
    [(1, 3, 1), (2, 1, 1), (3, 5, 2), (12, 30, 3), (20, 4, 6), (40, 60, 12)],
)
def test_map_of_a_resample_is_that_of_its_images(images, detections, classes):
    rows = random_rows(images, detections, classes, seed=images)
    found = mean_average_precisions(rows)
    wanted = [expected(rows, weights) for weights in image_weights(images)]
    np.testing.assert_allclose(found, wanted, atol=1e-9)


def test_map_without_images_labels_or_detections_is_zero():
    none = (np.zeros((0, 10), bool), np.zeros(0), np.zeros(0, int), np.zeros(0, int))
    for rows in ([], [none], [(*none[:3], np.array([1, 1]))]):
        assert not mean_average_precisions(rows).any()
    wrong = (np.zeros((2, 10), bool), np.array([0.9, 0.8]), np.array([1, 2]), np.array([1]))
    assert not mean_average_precisions([wrong, none]).any()


def test_memory_is_bounded_by_chunks_of_resamples(monkeypatch):
    rows = random_rows(12, 30, 3)
    whole = mean_average_precisions(rows)
    monkeypatch.setattr("tfyolo.evaluation.bootstrap._CHUNK", 100)
    np.testing.assert_allclose(mean_average_precisions(rows), whole)


def test_a_validation_of_256_images_takes_seconds():
    rows = random_rows(256, 300, 80, labels=14)
    start = time.process_time()
    mean_average_precisions(rows)
    assert time.process_time() - start < 10


def test_resamples_are_those_of_the_seed():
    weights = image_weights(7)
    assert weights.shape == (201, 7)
    assert (weights[0] == 1).all()
    assert (weights.sum(1) == 7).all()
    np.testing.assert_array_equal(weights, image_weights(7))
    assert image_weights(0).shape == (201, 0)


def test_interval_of_a_mean_is_that_of_statistics():
    values = np.random.default_rng(1).normal(5.0, 2.0, 400)
    found = interval(weighted_means(list(values), [1] * 400))
    assert found.value == pytest.approx(values.mean())
    half_width = 1.96 * values.std() / 20
    assert (found.high - found.low) / 2 == pytest.approx(half_width, rel=0.15)


def test_a_paired_difference_is_sharper_than_two_intervals():
    common = np.random.default_rng(1).normal(5.0, 2.0, 100)
    a, b = weighted_means(list(common), [1] * 100), weighted_means(list(common + 0.1), [1] * 100)
    assert interval(a).high > interval(b).low
    gain = interval(b - a)
    assert not gain.is_noise
    assert gain.low == pytest.approx(0.1)


def test_format():
    assert f"{Interval(-0.87, -1.4, -0.2):+.2f}" == "-0.87 (-1.40 to -0.20)"
    assert f"{Interval(0.0087, 0.002, 0.014).scaled(100):.1f}" == "0.9 (0.2 to 1.4)"
