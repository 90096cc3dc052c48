import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.shared import SHARED, needs_shared
from tfyolo.export.runtime.predictions import Candidates, Detections
from tfyolo.inference.boxes import iou_matrix, xywh_to_xyxy
from tfyolo.inference.nms import NmsOptions, non_max_suppression, refine

EMPTY = Candidates(np.zeros((0, 4), np.float32), np.zeros((0, 4), np.float32))
OPTIONS = {
    "default": NmsOptions(),
    "agnostic": NmsOptions(agnostic=True),
    "classes": NmsOptions(class_ids=[1, 3]),
    "max_det": NmsOptions(max_detections=17),
    "multi_label": NmsOptions(confidence=0.05, multi_label=True),
    "val": NmsOptions(confidence=0.001, iou_threshold=0.6, multi_label=True),
}


def random_candidates(seed, count, classes):
    rng = np.random.default_rng(seed)
    low = rng.uniform(0, 60, (count, 2))
    boxes = np.concatenate([low, low + rng.uniform(0, 40, (count, 2))], 1)
    return Candidates(boxes.astype(np.float32), rng.uniform(0, 1, (count, classes)).astype(np.float32))


@pytest.mark.parametrize("name", OPTIONS)
def test_no_candidates(name):
    found = non_max_suppression(EMPTY, OPTIONS[name])
    assert found.boxes_xyxy_px.shape == (0, 4)
    assert found.scores.shape == found.class_ids.shape == (0,)


@needs_shared
@pytest.mark.parametrize("name", OPTIONS)
def test_nms_matches_reference(name):
    stored = np.load(SHARED / "reference" / "nms.npz")
    prediction = stored["pred"]
    candidates = Candidates(xywh_to_xyxy(prediction[:, :4]), prediction[:, 5:] * prediction[:, 4:5])
    found = non_max_suppression(candidates, OPTIONS[name])
    expected = stored[f"out_{name}"]
    assert len(found) == len(expected)
    np.testing.assert_array_equal(found.class_ids, expected[:, 5])
    np.testing.assert_allclose(found.scores, expected[:, 4], atol=1e-6)
    np.testing.assert_allclose(found.boxes_xyxy_px, expected[:, :4], atol=1e-3)


@given(
    seed=st.integers(0, 2**32 - 1),
    count=st.integers(0, 60),
    iou=st.floats(0.05, 0.95),
    agnostic=st.booleans(),
    multi_label=st.booleans(),
)
@settings(max_examples=60, deadline=None)
def test_what_is_kept_does_not_overlap_and_falls(seed, count, iou, agnostic, multi_label):
    options = NmsOptions(0.2, iou, None, agnostic, multi_label, 300)
    found = non_max_suppression(random_candidates(seed, count, 3), options)
    overlap = np.triu(iou_matrix(found.boxes_xyxy_px, found.boxes_xyxy_px), 1)
    rivals = (found.class_ids[:, None] == found.class_ids) | agnostic
    assert (overlap[rivals] <= iou + 1e-5).all()
    assert (np.diff(found.scores) <= 0).all()
    assert (found.scores > 0.2).all()


@given(seed=st.integers(0, 2**32 - 1), count=st.integers(1, 40))
@settings(max_examples=40, deadline=None)
def test_what_goes_is_overlapped_by_a_better_box_of_its_class(seed, count):
    candidates = random_candidates(seed, count, 2)
    found = non_max_suppression(candidates, NmsOptions(0.0, 0.3, max_detections=count))
    best, label = candidates.scores.max(1), candidates.scores.argmax(1)
    overlap = iou_matrix(candidates.boxes_xyxy_px, found.boxes_xyxy_px)
    better = (label[:, None] == found.class_ids) & (found.scores >= best[:, None]) & (overlap > 0.3 - 1e-5)
    kept = np.isin(best, found.scores)
    assert (kept | better.any(1)).all()


def test_of_equal_scores_the_first_wins():
    left = np.arange(100, dtype=np.float32) * 20
    boxes = np.stack([left, left * 0, left + 10, left * 0 + 10], 1)
    scores = np.resize(np.float32([0.5, 0.6, 0.7]), 100)
    found = non_max_suppression(Candidates(boxes, scores[:, None]))
    order = sorted(range(100), key=lambda i: -scores[i])
    np.testing.assert_array_equal(found.boxes_xyxy_px, boxes[order])
    twice = non_max_suppression(
        Candidates(np.float32([[0, 0, 10, 10], [0, 0, 10, 9]]), np.float32([[0.5]] * 2))
    )
    assert twice.boxes_xyxy_px.tolist() == [[0, 0, 10, 10]]


@pytest.mark.parametrize("multi_label", [False, True])
def test_a_score_at_the_threshold_is_too_low(multi_label):
    candidates = Candidates(np.float32([[0, 0, 10, 10]]), np.float32([[0.5, 0.25]]))
    for confidence, count in ((0.5, 0), (0.25, 1), (0.2, 2 if multi_label else 1)):
        assert len(non_max_suppression(candidates, NmsOptions(confidence, multi_label=multi_label))) == count


def test_boxes_without_area():
    points = np.tile(np.float32([[5, 5, 5, 5]]), (3, 1))
    found = non_max_suppression(Candidates(points, np.float32([[0.9], [0.8], [0.7]])))
    assert found.scores.tolist() == pytest.approx([0.9, 0.8, 0.7])


@pytest.mark.parametrize(
    ("options", "scores"),
    [
        (NmsOptions(), [0.9, 0.8, 0.3]),
        (NmsOptions(confidence=0.5), [0.9, 0.8]),
        (NmsOptions(confidence=0.9), []),
        (NmsOptions(class_ids=[1]), [0.8, 0.3]),
        (NmsOptions(class_ids=[]), []),
        (NmsOptions(max_detections=1), [0.9]),
        (NmsOptions(iou_threshold=0.3), [0.9, 0.8]),  # stricter than the graph's
        (NmsOptions(agnostic=True), [0.9, 0.3]),
    ],
)
def test_refining_suppressed_detections(options, scores):
    # The first two are one place, in two classes; the last two overlap by 0.4, in one class.
    boxes = np.float32([[0, 0, 10, 10], [0, 0, 10, 10], [0, 0, 10, 4]])
    found = Detections(boxes, np.array([0.9, 0.8, 0.3]), np.array([0, 1, 1]))
    assert refine(found, options).scores.tolist() == scores
