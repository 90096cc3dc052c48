"""Ground-truth masks of labeled images, letterboxed."""

from pathlib import Path

import numpy as np
import pytest

from tfyolo.data.detection.sample import Sample
from tfyolo.data.images.letterbox import Letterbox
from tfyolo.data.segmentation.ground_truth import (
    ground_truth_index,
    ground_truth_masks,
    input_polygons_px,
)

BOXES = np.array([[0.5, 0.5, 1, 1], [0.25, 0.25, 0.5, 0.5]], np.float32)
TRIANGLE = np.array([[0, 0], [1, 0], [0, 1]], np.float32)


def sample(polygons=(), boxes=BOXES, hw=(64, 128)) -> Sample:
    return Sample(Path("a.jpg"), hw, np.arange(len(boxes)), boxes, tuple(polygons))


def test_empty():
    empty, letterbox = sample(boxes=np.zeros((0, 4), np.float32)), Letterbox.fit((64, 128), (64, 64))
    assert ground_truth_masks(empty, letterbox).shape == (0, 16, 16)
    index, order = ground_truth_index(empty, letterbox)
    assert (index.shape, index.max(), order.tolist()) == ((16, 16), 0, [])


def test_polygons_are_scaled_and_shifted_by_the_letterbox():
    letterbox = Letterbox.fit((64, 128), (64, 64))  # half the size, 16 rows of padding above and below
    (polygon, box) = input_polygons_px(sample([TRIANGLE, np.zeros((0, 2), np.float32)]), letterbox)
    assert polygon.tolist() == [[0, 16], [64, 16], [0, 48]]
    assert box.tolist() == [[0, 16], [32, 16], [32, 32], [0, 32]]


@pytest.mark.parametrize("polygons", [(), (np.zeros((0, 2), np.float32),) * 2])
def test_boxes_stand_in_for_missing_polygons(polygons):
    letterbox = Letterbox.fit((64, 128), (64, 64))
    boxes = sample(polygons)
    whole, quarter = ground_truth_masks(boxes, letterbox)
    assert whole.sum() == 16 * 8
    assert quarter[4:8, :8].all()
    assert quarter.sum() == 4 * 8


def test_smaller_objects_hide_larger_ones():
    index, order = ground_truth_index(sample(boxes=BOXES[::-1]), Letterbox.fit((64, 128), (64, 64)), stride=8)
    assert order.tolist() == [1, 0]
    assert index.tolist() == [[0] * 8] * 2 + [[2] * 4 + [1] * 4] * 2 + [[1] * 8] * 2 + [[0] * 8] * 2
