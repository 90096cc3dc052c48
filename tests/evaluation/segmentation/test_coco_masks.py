"""Masks in COCO's formats."""

from pathlib import Path

import numpy as np
import pytest
from faster_coco_eval.core import mask as library

from tfyolo.data.detection.frame import Frame
from tfyolo.data.detection.sample import Sample
from tfyolo.errors import TfyoloError
from tfyolo.evaluation import coco
from tfyolo.evaluation.segmentation.coco_masks import add_outlines, check_outlines, encode, in_frame
from tfyolo.inference.segmentation.masks import Masks

TRIANGLE = np.array([[0, 0], [1, 0], [0, 1]], np.float32)


def test_no_masks():
    assert encode(Masks.empty((4, 6))) == []


@pytest.mark.parametrize("seed", range(40))
def test_run_lengths_are_those_of_the_library(seed):
    rng = np.random.default_rng(seed)
    height, width = rng.integers(1, 40, 2).tolist()
    part_height, part_width = rng.integers(0, height + 1), rng.integers(0, width + 1)
    corner = rng.integers(0, width - part_width + 1), rng.integers(0, height - part_height + 1)
    patch = rng.random((part_height, part_width)) > rng.random()
    masks = Masks((patch,), np.array([corner]), (height, width))
    (found,) = encode(masks)
    expected = library.encode(np.asfortranarray(masks.dense()[0].astype(np.uint8)))
    assert found == {"size": [height, width], "counts": expected["counts"].decode()}


@pytest.mark.parametrize("orientation", range(1, 9))
def test_masks_follow_the_boxes_into_another_frame(orientation):
    """A mask that fills a box still fills it, in an unrotated or scaled copy of the image."""
    size_wh = (80, 60) if orientation < 5 else (60, 80)
    frame = Frame((float(size_wh[0]), float(size_wh[1])), orientation)
    masks = Masks((np.ones((10, 5), bool),), np.array([[30, 2]]), (30, 40))
    dense = library.decode(in_frame(encode(masks)[0], frame))
    left, top, right, bottom = frame.boxes_to_pixels(np.array([[30 / 40, 2 / 30, 35 / 40, 12 / 30]]))[0]
    assert dense.shape == size_wh[::-1]
    y, x = np.nonzero(dense)
    assert (x.min(), y.min(), x.max() + 1, y.max() + 1) == pytest.approx((left, top, right, bottom))
    assert dense.sum() == 4 * 50


def test_outlines_of_labels():
    boxes = np.array([[0.5, 0.5, 1, 1], [0.25, 0.5, 0.5, 1]], np.float32)
    polygons = (TRIANGLE, np.zeros((0, 2), np.float32))
    sample = Sample(Path("7.jpg"), (40, 80), np.array([0, 0]), boxes, polygons, annotated_hw=(20, 40))
    plain = coco.ground_truth([sample], ["cat"])
    first, second = add_outlines(plain, [sample])["annotations"]
    assert first["segmentation"] == [[0, 0, 40, 0, 0, 20]]
    assert first["area"] == pytest.approx(400, abs=20)
    assert second["segmentation"] == [[0, 0, 20, 0, 20, 20, 0, 20]]
    assert "segmentation" not in plain["annotations"][0]


def test_a_perfect_prediction():
    sample = Sample(Path("7.jpg"), (40, 80), np.array([0]), np.float32([[0.5, 0.5, 1, 1]]), (TRIANGLE,))
    truth = add_outlines(coco.ground_truth([sample], ["cat"]), [sample])
    rle = library.frPyObjects(truth["annotations"][0]["segmentation"], 40, 80)[0]
    row = {"image_id": 7, "category_id": 0, "bbox": [0, 0, 80, 40], "score": 0.9}
    rows = [{**row, "segmentation": {**rle, "counts": rle["counts"].decode()}}]
    assert coco.evaluate(truth, rows, iou_type="segm")["ap"] == pytest.approx(1)
    assert coco.evaluate(truth, rows)["ap"] == pytest.approx(1)
    whole = encode(Masks((np.ones((40, 80), bool),), np.array([[0, 0]]), (40, 80)))[0]
    figures = coco.evaluate(truth, [{**row, "segmentation": whole}], iou_type="segm")
    assert figures["ap75"] == pytest.approx(0)  # half of it is not the object


def test_annotations_without_outlines_are_refused():
    sample = Sample(Path("7.jpg"), (40, 80), np.array([0]), np.float32([[0.5, 0.5, 1, 1]]))
    truth = coco.ground_truth([sample], ["cat"])
    with pytest.raises(TfyoloError, match=r"a\.json: `annotations\[0\]` has no `segmentation`"):
        check_outlines(truth, "a.json")
    check_outlines(add_outlines(truth, [sample]), "a.json")
    del truth["images"][0]["height"]
    with pytest.raises(TfyoloError, match=r"`images\[0\]` has no `height`"):
        check_outlines(truth, "a.json")
