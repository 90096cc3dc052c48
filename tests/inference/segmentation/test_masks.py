"""Mask assembly against PyTorch's, to the pixel, in its three ways, and masks as patches."""

from dataclasses import replace

import numpy as np
import pytest

from tests.shared import SHARED, needs_shared
from tfyolo.data.images.letterbox import Letterbox
from tfyolo.export.runtime.predictions import Detections
from tfyolo.inference.segmentation.masks import (
    THRESHOLD,
    Masks,
    crop_masks,
    crop_then_enlarge,
    enlarge_then_crop,
    mask_probabilities,
    prototype_masks,
)

CELLS = np.array([[4.0, 4.0, 12.0, 12.0]], np.float32)
"""A box of 2 x 2 cells of the prototypes."""


@pytest.fixture(scope="module")
def stored():
    with np.load(SHARED / "reference" / "segment_masks.npz") as arrays:
        return dict(arrays) | {"prototypes": arrays["proto_chw"].transpose(1, 2, 0)}


@needs_shared
def test_masks_at_the_size_of_the_prototypes(stored):
    probabilities = mask_probabilities(stored["coefficients"], stored["prototypes"])
    found = crop_masks(probabilities, stored["boxes_xyxy_px"] / 4) > THRESHOLD
    np.testing.assert_array_equal(found, stored["masks_proto_size"])


@needs_shared
def test_patches_at_the_size_of_the_prototypes(stored):
    ids = np.zeros(len(stored["coefficients"]), np.int64)
    found = Detections(stored["boxes_xyxy_px"], ids, ids, "", stored["coefficients"], stored["prototypes"])
    masks = prototype_masks(found, tuple(stored["input_hw"].tolist()))
    np.testing.assert_array_equal(masks.dense(), stored["masks_proto_size"])


def test_no_detections_have_no_masks_at_the_size_of_the_prototypes():
    none = np.zeros(0)
    found = Detections(np.zeros((0, 4)), none, none, "", np.zeros((0, 2)), np.zeros((8, 4, 2)))
    assert prototype_masks(found, (32, 16)).dense().shape == (0, 8, 4)
    assert len(prototype_masks(replace(found, prototypes=None), (32, 16))) == 0


@needs_shared
def test_cropped_then_enlarged(stored):
    size = tuple(stored["input_hw"].tolist())
    letterbox = Letterbox.fit(size, size)
    masks = crop_then_enlarge(
        stored["coefficients"], stored["prototypes"], stored["boxes_xyxy_px"], letterbox
    )
    np.testing.assert_array_equal(masks.dense(), stored["masks_crop_then_upsample"])


@needs_shared
def test_enlarged_then_cropped(stored):
    size = tuple(stored["input_hw"].tolist())
    masks = enlarge_then_crop(stored["coefficients"], stored["prototypes"], stored["boxes_xyxy_px"], size)
    np.testing.assert_array_equal(masks.dense(), stored["masks_upsample_then_crop"])


def disk(size: tuple[int, int], center_xy: tuple[float, float], radius: float) -> np.ndarray:
    """Prototypes (height, width, 1) of a disk: positive inside."""
    y, x = np.indices(size) + 0.5
    return np.float32(radius - np.hypot(x - center_xy[0], y - center_xy[1]))[..., None]


@pytest.mark.parametrize("retina", [False, True])
@pytest.mark.parametrize("image_size", [(120, 200), (400, 240), (37, 51), (16, 16)])
def test_a_disk_keeps_its_place_in_images_of_any_size(image_size, retina):
    """The letterbox is undone: the mask covers the disk that the prototypes describe, in the image."""
    letterbox = Letterbox.fit(image_size, (160, 160))
    height, width = image_size
    center, radius = np.array([0.45 * width, 0.6 * height]), 0.25 * min(height, width)
    box = np.array([[*(center - radius), *(center + radius)]])
    in_cells = letterbox.to_input(box)[0] / 4
    middle, cell_radius = (in_cells[:2] + in_cells[2:]) / 2, (in_cells[2] - in_cells[0]) / 2
    prototypes = disk((40, 40), tuple(middle), cell_radius)
    one = np.ones((1, 1), np.float32)
    if retina:
        masks = enlarge_then_crop(one, prototypes, box, image_size)
    else:
        masks = crop_then_enlarge(one, prototypes, letterbox.to_input(box), letterbox)
    y, x = np.indices(image_size) + 0.5
    expected = np.hypot(x - center[0], y - center[1]) < radius
    found = masks.dense()[0]
    assert (found & expected).sum() / (found | expected).sum() > 0.9
    assert masks.areas_px[0] == found.sum()


def test_pixels_outside_of_the_box_are_not_in_the_mask():
    prototypes = np.full((4, 4, 1), 9, np.float32)
    letterbox = Letterbox.fit((16, 16), (16, 16))
    found = crop_then_enlarge(np.ones((1, 1), np.float32), prototypes, CELLS, letterbox).dense()[0]
    expected = np.zeros((16, 16), bool)
    expected[4:12, 4:12] = True
    expected[[4, 4, 11, 11], [4, 11, 4, 11]] = False  # interpolation rounds the corners
    np.testing.assert_array_equal(found, expected)
    found = enlarge_then_crop(np.ones((1, 1), np.float32), prototypes, CELLS + 1, (16, 16)).dense()[0]
    assert found[5:13, 5:13].all()
    assert found.sum() == 64


@pytest.mark.parametrize(
    "box",
    [(5.2, 5.1, 5.3, 5.2), (-40, -40, -8, -8), (20, 20, 40, 40), (-9, 3, 60, 9), (8, 8, 8, 8)],
    ids=["inside of a cell", "left of the image", "right of the image", "wider than the image", "empty"],
)
def test_odd_boxes_have_masks_inside_of_the_image(box):
    prototypes = np.full((4, 4, 1), 9, np.float32)
    boxes, letterbox = np.array([box], np.float32), Letterbox.fit((16, 16), (16, 16))
    for masks in (
        crop_then_enlarge(np.ones((1, 1), np.float32), prototypes, boxes, letterbox),
        enlarge_then_crop(np.ones((1, 1), np.float32), prototypes, boxes, (16, 16)),
    ):
        assert masks.dense().shape == (1, 16, 16)
        assert masks.areas_px[0] == masks.dense().sum()
        assert len(masks.polygons()) == 1


def test_an_image_of_one_row():
    letterbox = Letterbox.fit((1, 100), (64, 64), stride=32)
    prototypes = np.full((letterbox.out_hw[0] // 4, 16, 1), 9, np.float32)
    boxes = letterbox.to_input(np.float32([[10, 0, 60, 1]]))
    one = np.ones((1, 1), np.float32)
    assert crop_then_enlarge(one, prototypes, boxes, letterbox).dense().shape == (1, 1, 100)
    native = enlarge_then_crop(one, prototypes, np.float32([[10, 0, 60, 1]]), (1, 100))
    assert native.areas_px.tolist() == [50]


def test_no_objects():
    prototypes, size = np.zeros((4, 4, 8), np.float32), (16, 16)
    nothing, boxes = np.zeros((0, 8), np.float32), np.zeros((0, 4), np.float32)
    for masks in (
        Masks.empty(size),
        crop_then_enlarge(nothing, prototypes, boxes, Letterbox.fit(size, size)),
        enlarge_then_crop(nothing, prototypes, boxes, size),
    ):
        assert (len(masks), masks.dense().shape, masks.areas_px.shape) == (0, (0, 16, 16), (0,))
        assert masks.polygons() == []


def test_polygons_have_a_part_per_piece_and_the_largest_first():
    patch = np.zeros((12, 20), bool)
    patch[1:3, 1:4] = patch[4:11, 6:18] = True
    patch[0, 19] = True  # one pixel is not a polygon
    (parts,) = Masks((patch,), np.array([[100, 50]]), (80, 200)).polygons()
    assert [part.min(0).tolist() for part in parts] == [[106, 54], [101, 51]]
    assert [part.max(0).tolist() for part in parts] == [[117, 60], [103, 52]]
    assert all(part.dtype == np.float32 for part in parts)


def test_a_polygon_filled_again_is_the_mask():
    import cv2

    y, x = np.indices((60, 80))
    patch = np.hypot(x - 40, y - 30) < 25
    ((outline,),) = Masks((patch,), np.array([[0, 0]]), (60, 80)).polygons()
    again = np.zeros((60, 80), np.uint8)
    cv2.fillPoly(again, [outline.astype(np.int32)], 1)
    np.testing.assert_array_equal(again.astype(bool), patch)
