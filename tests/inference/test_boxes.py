import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from tests.shared import SHARED, needs_shared
from tfyolo.inference.boxes import (
    ciou,
    diou,
    giou,
    iou,
    iou_matrix,
    xywh_to_xyxy,
    xyxy_to_xywh,
)

EMPTY = np.zeros((0, 4), np.float32)


@pytest.mark.parametrize("function", [xywh_to_xyxy, xyxy_to_xywh])
@pytest.mark.parametrize("shape", [(0, 4), (2, 0, 4)])
def test_conversion_of_no_boxes(function, shape):
    result = function(np.zeros(shape, np.float32))
    assert result.shape == shape
    assert result.dtype == np.float32


@pytest.mark.parametrize("function", [iou, giou, diou, ciou])
def test_iou_of_no_boxes(function):
    assert function(EMPTY, EMPTY).shape == (0,)


@pytest.mark.parametrize(("n", "m"), [(0, 0), (0, 3), (3, 0)])
def test_iou_matrix_of_no_boxes(n, m):
    assert iou_matrix(np.ones((n, 4), np.float32), np.ones((m, 4), np.float32)).shape == (n, m)


@given(arrays(np.float32, (5, 4), elements=st.floats(0, 1000, width=32)))
@settings(max_examples=30, deadline=None)
def test_conversion_round_trip(boxes_xywh):
    np.testing.assert_allclose(xyxy_to_xywh(xywh_to_xyxy(boxes_xywh)), boxes_xywh, atol=2e-3)


def test_conversion_of_integers():
    assert xywh_to_xyxy(np.array([5, 5, 3, 3])).tolist() == [3.5, 3.5, 6.5, 6.5]


@needs_shared
@pytest.mark.parametrize(("name", "function"), [("IoU", iou), ("GIoU", giou), ("DIoU", diou), ("CIoU", ciou)])
def test_iou_matches_reference(name, function):
    reference = np.load(SHARED / "reference" / "iou.npz")
    a, b = xywh_to_xyxy(reference["box1_xywh"]), xywh_to_xyxy(reference["box2_xywh"])
    np.testing.assert_allclose(function(a, b), reference[name][:, 0], atol=1e-6)


@needs_shared
def test_iou_matrix_matches_reference_on_its_diagonal():
    reference = np.load(SHARED / "reference" / "iou.npz")
    a, b = xywh_to_xyxy(reference["box1_xywh"]), xywh_to_xyxy(reference["box2_xywh"])
    matrix = iou_matrix(a, b)
    np.testing.assert_allclose(np.diag(matrix), reference["IoU"][:, 0], atol=1e-6)
    np.testing.assert_allclose(matrix, iou_matrix(b, a).T, atol=1e-6)


@pytest.mark.parametrize(
    ("function", "same", "apart"), [(iou, 1, 0), (giou, 1, -0.98), (diou, 1, -0.81), (ciou, 1, -0.81)]
)
def test_iou_of_equal_and_of_distant_boxes(function, same, apart):
    box, far = np.array([0, 0, 10, 10], np.float32), np.array([90, 90, 100, 100], np.float32)
    assert function(box, box) == pytest.approx(same, abs=1e-6)
    assert function(box, far) == pytest.approx(apart, abs=1e-5)


@pytest.mark.parametrize("function", [iou, giou, diou, ciou])
def test_boxes_without_area_stay_finite(function):
    point = np.array([[5, 5, 5, 5]], np.float32)
    assert np.isfinite(function(point, point)).all()
    assert np.isfinite(function(point, np.array([[0, 0, 10, 10]], np.float32))).all()
