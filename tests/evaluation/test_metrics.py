import numpy as np
import pytest

from tests.shared import SHARED, needs_shared
from tfyolo.evaluation.metrics import IOU_THRESHOLDS, average_precision, match

BOXES = np.array([[0, 0, 10, 10], [20, 0, 30, 10]], np.float32)
EMPTY = np.zeros((0, 4), np.float32)


def test_thresholds():
    np.testing.assert_allclose(
        IOU_THRESHOLDS, [0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95], rtol=1e-6
    )


@pytest.mark.parametrize(("detections", "labels"), [(EMPTY, EMPTY), (EMPTY, BOXES), (BOXES, EMPTY)])
def test_match_without_boxes(detections, labels):
    correct = match(detections, np.zeros(len(detections)), labels, np.zeros(len(labels)))
    assert correct.shape == (len(detections), 10)
    assert not correct.any()


def test_match_needs_the_class():
    assert match(BOXES, np.array([0, 1]), BOXES, np.array([0, 0])).all(1).tolist() == [True, False]


def test_match_takes_the_overlap_of_its_own_class():
    """The first detection overlaps a label of another class more."""
    labels = np.array([[0, 0, 10, 10], [0, 0, 10, 8]], np.float32)
    correct = match(labels[:1], np.array([1]), labels, np.array([0, 1]))
    assert correct[0].tolist() == [True] * 7 + [False] * 3  # up to 0.8


def test_one_label_is_met_once_by_the_more_confident():
    detections = np.array([[0, 0, 10, 9], [0, 0, 10, 10]], np.float32)
    correct = match(detections, np.zeros(2), BOXES, np.zeros(2))
    np.testing.assert_array_equal(correct[:, 0], [True, False])
    np.testing.assert_array_equal(correct[:, -1], [False, True])  # the first overlaps by 0.9 only


def test_one_detection_meets_one_label():
    """A detection goes to the label it overlaps most, and is lost if another has it."""
    labels = np.array([[0, 0, 10, 10], [0, 2, 10, 12]], np.float32)
    detections = np.array([[0, 0, 10, 10], [0, 0.5, 10, 10.5]], np.float32)
    correct = match(detections, np.zeros(2), labels, np.zeros(2))
    assert correct[:, 0].tolist() == [True, False]


def pairs_rule(detections, det_classes, labels, label_classes, threshold):
    """YOLOv5's rule as it is worded: pairs by falling IoU, first of each detection, first of each label."""
    from tfyolo.inference.boxes import iou_matrix

    overlap = iou_matrix(labels, detections)
    label, detection = np.nonzero((overlap >= threshold) & (label_classes[:, None] == det_classes))
    order = np.argsort(-overlap[label, detection], kind="stable")
    label, detection = label[order], detection[order]
    first = np.unique(detection, return_index=True)[1]
    label, detection = label[first], detection[first]
    first = np.unique(label, return_index=True)[1]
    correct = np.zeros(len(detections), bool)
    correct[detection[first]] = True
    return correct


@pytest.mark.parametrize("seed", range(10))
def test_match_equals_the_rule_on_pairs(seed):
    random = np.random.default_rng(seed)
    corners = random.random((30, 2)) * 12
    boxes = np.concatenate([corners, corners + 10 + random.random((30, 2)) * 5], 1).astype(np.float32)
    classes = random.integers(0, 2, 30)
    correct = match(boxes[:20], classes[:20], boxes[20:], classes[20:])
    assert correct.any()
    for column, threshold in enumerate(IOU_THRESHOLDS):
        expected = pairs_rule(boxes[:20], classes[:20], boxes[20:], classes[20:], threshold)
        np.testing.assert_array_equal(correct[:, column], expected)


@pytest.mark.parametrize(("detections", "labels"), [(0, 0), (5, 0), (0, 5)])
def test_average_precision_without_boxes(detections, labels):
    tp = np.zeros((detections, 10), bool)
    result = average_precision(tp, np.linspace(0.1, 0.9, detections), np.zeros(detections), np.zeros(labels))
    classes = int(labels > 0)
    assert result.ap.shape == (classes, 10)
    assert result.f1_curve.shape == (classes, 1000)
    assert (result.map50, result.map50_95, result.mean_recall, result.mean_precision) == (0, 0, 0, 0)


@needs_shared
def test_average_precision_matches_reference():
    reference = np.load(SHARED / "reference" / "ap.npz")
    result = average_precision(*(reference[key] for key in ("tp", "conf", "pred_cls", "target_cls")))
    np.testing.assert_array_equal(result.class_ids, reference["classes"])
    figures = {
        "TP": result.tp,
        "FP": result.fp,
        "P": result.precision,
        "R": result.recall,
        "F1": result.f1,
        "AP": result.ap,
    }
    for name, value in figures.items():
        np.testing.assert_allclose(value, reference[name], atol=1e-6, err_msg=name)
    assert result.map50_95 == pytest.approx(reference["AP"].mean(), abs=1e-6)
    assert result.map50 == pytest.approx(reference["AP"][:, 0].mean(), abs=1e-6)


def test_average_precision_does_not_depend_on_the_order():
    random = np.random.default_rng(0)
    tp, conf, classes = random.random((200, 10)) < 0.4, random.random(200), random.integers(0, 3, 200)
    target = random.integers(0, 3, 150)
    order = random.permutation(200)
    first = average_precision(tp, conf, classes, target)
    second = average_precision(tp[order], conf[order], classes[order], target[::-1])
    np.testing.assert_array_equal(first.ap, second.ap)
    assert first.confidence == second.confidence


def test_average_precision_by_hand():
    """Two labels; a hit, a miss, a hit: precision 1, 1/2, 2/3 at recalls 1/2, 1/2, 1."""
    tp = np.array([[True], [False], [True]])
    result = average_precision(tp, np.array([0.9, 0.8, 0.7]), np.zeros(3), np.zeros(2))
    # The envelope, sampled every 0.01, is 1 below recall 0.5, 2/3 from there, 0 at 1; lines join it.
    expected = 0.49 + 0.01 * (1 + 2 / 3) / 2 + 0.49 * 2 / 3 + 0.01 * (2 / 3 + 0) / 2
    assert result.ap[0, 0] == pytest.approx(expected, abs=1e-9)
    assert result.recall[0] == pytest.approx(1)
    assert result.precision[0] == pytest.approx(2 / 3)
    assert (result.tp[0], result.fp[0]) == (2, 1)


def test_classes_without_labels_do_not_count():
    tp = np.ones((2, 10), bool)
    result = average_precision(tp, np.array([0.9, 0.8]), np.array([3, 5]), np.array([3]))
    assert result.class_ids.tolist() == [3]
    assert result.map50_95 == pytest.approx(0.995)
