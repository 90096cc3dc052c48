import numpy as np
import pytest

from tfyolo.evaluation.confusion import ConfusionMatrix

EMPTY = np.zeros((0, 4), np.float32)
A, B, FAR = [0, 0, 10, 10], [20, 0, 30, 10], [80, 80, 90, 90]


def matrix_of(detections, labels, **options):
    """Detections as (box, confidence, class), labels as (box, class), three classes."""
    matrix = ConfusionMatrix(3, **options)
    matrix.add(
        np.array([row[0] for row in detections], np.float32).reshape(-1, 4),
        np.array([row[1] for row in detections], np.float32),
        np.array([row[2] for row in detections], np.int64),
        np.array([row[0] for row in labels], np.float32).reshape(-1, 4),
        np.array([row[1] for row in labels], np.int64),
    )
    return matrix


def entries(matrix):
    """{(predicted, true): count}."""
    return {(int(p), int(t)): int(matrix.counts[p, t]) for p, t in np.argwhere(matrix.counts)}


@pytest.mark.parametrize(
    ("detections", "labels", "expected"),
    [
        ([], [], {}),
        ([], [(A, 1), (B, 1)], {(3, 1): 2}),
        ([(A, 0.9, 2), (B, 0.9, 2)], [], {(2, 3): 2}),
        ([(A, 0.9, 1)], [(A, 1)], {(1, 1): 1}),
        ([(A, 0.9, 2)], [(A, 1)], {(2, 1): 1}),
        ([(FAR, 0.9, 2)], [(A, 1)], {(2, 3): 1, (3, 1): 1}),
        ([(A, 0.25, 1)], [(A, 1)], {(3, 1): 1}),
        ([([0, 0, 10, 4.4], 0.9, 1)], [(A, 1)], {(1, 3): 1, (3, 1): 1}),
        ([([0, 0, 10, 4.6], 0.9, 1)], [(A, 1)], {(1, 1): 1}),
        # of two detections of one label the one that overlaps more, whatever its class and confidence
        ([([0, 0, 10, 9], 0.9, 1), (A, 0.3, 0)], [(A, 1)], {(0, 1): 1, (1, 3): 1}),
    ],
)
def test_counts(detections, labels, expected):
    assert entries(matrix_of(detections, labels)) == expected


def test_thresholds_are_parameters():
    assert entries(matrix_of([(A, 0.2, 1)], [(A, 1)], conf=0.1)) == {(1, 1): 1}
    assert entries(matrix_of([([0, 0, 10, 8], 0.9, 1)], [(A, 1)], iou=0.9)) == {(1, 3): 1, (3, 1): 1}


def test_images_add_up():
    matrix = matrix_of([(A, 0.9, 1)], [(A, 1)])
    matrix.add(np.array([A], np.float32), np.array([0.9]), np.array([2]), EMPTY, np.zeros(0))
    assert entries(matrix) == {(1, 1): 1, (2, 3): 1}


def test_every_label_and_confident_detection_is_counted():
    random = np.random.default_rng(0)
    corners = random.random((60, 2)) * 50
    boxes = np.concatenate([corners, corners + 10], 1)
    conf, classes = random.random(40), random.integers(0, 3, 60)
    matrix = ConfusionMatrix(3)
    matrix.add(boxes[:40], conf, classes[:40], boxes[40:], classes[40:])
    np.testing.assert_array_equal(matrix.counts[:, :3].sum(0), np.bincount(classes[40:], minlength=3))
    np.testing.assert_array_equal(
        matrix.counts[:3].sum(1), np.bincount(classes[:40][conf > 0.25], minlength=3)
    )


def test_normalized():
    matrix = matrix_of([(A, 0.9, 1)], [(A, 1), (B, 1)])
    assert matrix.normalized()[:, 1].tolist() == [0, 0.5, 0, 0.5]
    assert matrix.normalized()[:, 0].tolist() == [0, 0, 0, 0]
