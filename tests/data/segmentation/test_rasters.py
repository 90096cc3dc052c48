"""Rasterization of polygons, to the pixel that of YOLOv5."""

import numpy as np
import pytest

from tests.shared import SHARED, needs_shared
from tfyolo.data.segmentation.rasters import index_mask, rasterize


@pytest.fixture(scope="module")
def stored():
    with np.load(SHARED / "reference" / "segment_rasters.npz") as arrays:
        return dict(arrays)


@needs_shared
def test_polygons_are_rasterized_as_yolov5_does(stored):
    objects = [[stored[f"polygon_xy_px_{i}"]] for i in range(5)]
    size = tuple(stored["image_hw"].tolist())
    masks = rasterize(objects, size, int(stored["ratio"]))
    np.testing.assert_array_equal(masks, stored["separate"])
    merged, order = index_mask(masks)
    np.testing.assert_array_equal(merged, stored["overlap"])
    np.testing.assert_array_equal(order, stored["sorted_index"])


def test_parts_of_one_object_are_joined():
    square = np.array([[0, 0], [15, 0], [15, 15], [0, 15]])
    (mask,) = rasterize([[square, square + 8, square + np.array([40, 0])]], (64, 64))
    assert mask[:4, :4].all()
    assert mask[3, 3] == 1  # where parts overlap
    assert mask[:4, 10:14].all()


def test_objects_outside_of_the_image_and_none_at_all():
    far = np.array([[100, 100], [120, 100], [120, 120]])
    masks = rasterize([[far], []], (32, 48))
    assert masks.shape == (2, 8, 12)
    assert not masks.any()
    assert rasterize([], (32, 48)).shape == (0, 8, 12)
    merged, order = index_mask(rasterize([], (32, 48)))
    assert (merged.shape, merged.any(), order.shape) == ((8, 12), False, (0,))
