"""IoU of masks in patches equals that of dense masks."""

from pathlib import Path

import numpy as np
import pytest

from tests.shared import SHARED, needs_shared
from tfyolo.data.detection.sample import Sample
from tfyolo.data.images.letterbox import Letterbox
from tfyolo.data.segmentation.rasters import index_mask
from tfyolo.evaluation.metrics import match_overlaps
from tfyolo.evaluation.segmentation.accumulator import match_masks
from tfyolo.evaluation.segmentation.mask_iou import mask_iou
from tfyolo.export.runtime.predictions import Detections
from tfyolo.inference.segmentation.masks import Masks


def dense_iou(a, b):
    a, b = (x.reshape(len(x), 20 * 16).astype(float) for x in (a, b))
    shared = a @ b.T
    return shared / np.maximum(a.sum(1)[:, None] + b.sum(1) - shared, 1)


@pytest.mark.parametrize(("predicted", "labeled"), [(0, 0), (0, 3), (4, 0), (9, 6)])
def test_equals_dense_masks(predicted, labeled):
    rng = np.random.default_rng(predicted)
    corners = rng.integers(0, 12, (predicted, 2))
    patches = tuple(rng.random((20 - y, 16 - x)) > 0.5 for x, y in corners)
    masks = Masks(patches, corners, (20, 16))
    index, order = index_mask(rng.random((labeled, 20, 16)) > 0.7)
    shown = np.zeros((labeled, 20, 16))
    for number, label in enumerate(order, 1):
        shown[label] = index == number
    found = mask_iou(masks, index, order)
    assert found.shape == (predicted, labeled)
    np.testing.assert_allclose(found, dense_iou(masks.dense(), shown), atol=1e-6)


def test_empty_masks_overlap_with_nothing():
    masks = Masks((np.zeros((2, 2), bool), np.zeros((0, 3), bool)), np.zeros((2, 2), int), (4, 4))
    assert mask_iou(masks, np.zeros((4, 4), int), np.array([0])).tolist() == [[0], [0]]


def test_one_match_per_label_and_class():
    iou = np.array([[0.6, 0.1], [0.9, 0.8], [0.0, 0.95]])
    correct = match_overlaps(iou, np.array([1, 1, 2]), np.array([1, 1]), np.array([0.5, 0.85]))
    # The first detection takes the first label, though the second one covers it better: as for boxes.
    assert correct.tolist() == [[True, False], [False, True], [False, False]]
    assert match_overlaps(np.zeros((2, 0)), np.array([1, 1]), np.zeros(0)).shape == (2, 10)


@needs_shared
def test_equals_yolov5():
    with np.load(SHARED / "reference" / "segment_masks.npz") as stored:
        masks, expected = stored["masks_upsample_then_crop"], stored["iou_of_first_three_with_last_three"]
    predicted = Masks(tuple(masks[:3] > 0), np.zeros((3, 2), int), masks.shape[1:])
    for mask, column in zip(masks[3:], expected.T, strict=True):
        found = mask_iou(predicted, mask.astype(np.int32), np.array([0]))
        np.testing.assert_allclose(found[:, 0], column, atol=1e-6)


@pytest.mark.parametrize("stride", [4, 8])
def test_masks_are_compared_at_the_size_of_the_prototypes(stride):
    """Without a feature map of stride 8, prototypes have an eighth of the size of the input."""
    box = np.array([[0.5, 0.5, 0.5, 0.5]], np.float32)
    sample = Sample(Path("a.jpg"), (64, 64), np.array([0]), box)
    masks = np.zeros((1, 64 // stride, 64 // stride), np.float32)
    masks[0, 16 // stride : 48 // stride, 16 // stride : 48 // stride] = 1
    found = Detections(np.float32([[16, 16, 48, 48]]), np.float32([0.9]), np.array([0]), masks=masks)
    assert match_masks(sample, Letterbox.fit((64, 64), (64, 64)), found)[0, :5].all()
