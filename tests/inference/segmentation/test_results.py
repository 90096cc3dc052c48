"""`SegmentationResult`: conversions, drawing, crops and label rows."""

import numpy as np
import pytest
from PIL import Image

from tfyolo.inference.drawing.draw_masks import draw_masks
from tfyolo.inference.drawing.palette import class_color
from tfyolo.inference.segmentation.masks import Masks
from tfyolo.inference.segmentation.results import SegmentationResult

NAMES = ("ant", "bee", "cat")


def result() -> SegmentationResult:
    """A square of a cat, over an ant of two pieces, and a bee without a single pixel."""
    square, pieces = np.ones((20, 30), bool), np.zeros((50, 60), bool)
    pieces[:, :10] = pieces[:, 40:] = True
    masks = Masks(
        (square, pieces, np.zeros((0, 3), bool)), np.array([[10, 20], [0, 10], [90, 70]]), (80, 100)
    )
    boxes = np.float32([[10, 20, 40, 40], [0, 10, 60, 60], [90, 70, 93, 72]])
    image = np.full((80, 100, 3), 128, np.uint8)
    return SegmentationResult(
        boxes, np.float32([0.9, 0.8, 0.5]), np.array([2, 0, 1]), NAMES, image, instances=masks
    )


EMPTY = SegmentationResult(
    np.zeros((0, 4), np.float32),
    np.zeros(0, np.float32),
    np.zeros(0, np.int64),
    NAMES,
    np.zeros((80, 100, 3), np.uint8),
    instances=Masks.empty((80, 100)),
)


def test_masks_and_areas():
    masks = result().masks
    assert (masks.shape, masks.dtype) == ((3, 80, 100), bool)
    assert masks[0, 20:40, 10:40].all()
    np.testing.assert_array_equal(result().areas_px, [600, 1500, 0])
    np.testing.assert_array_equal(masks.sum((1, 2)), [600, 1500, 0])


def test_polygons():
    square, pieces, nothing = result().polygons_px
    assert [len(square), len(pieces), len(nothing)] == [1, 2, 0]
    assert sorted(map(tuple, square[0].tolist())) == [(10, 20), (10, 39), (39, 20), (39, 39)]
    assert pieces[0][:, 0].min() == 40


def test_to_supervision():
    detections = result().to_supervision()
    np.testing.assert_array_equal(detections.mask, result().masks)
    assert detections.data["class_name"].tolist() == ["cat", "ant", "bee"]
    assert detections[detections.class_id == 0].mask.sum() == 1500
    assert len(EMPTY.to_supervision()) == 0


def test_to_pandas():
    table = result().to_pandas()
    assert table.columns.tolist()[-2:] == ["name", "area"]
    assert table.area.tolist() == [600, 1500, 0]
    assert EMPTY.to_pandas().shape == (0, 8)


def test_label_rows_are_polygons_of_the_largest_part():
    rows = result().label_rows()
    assert [class_id for class_id, _ in rows] == [2, 0, 1]
    assert sorted(rows[0][1].reshape(-1, 2)[:, 0].tolist()) == pytest.approx([0.1, 0.1, 0.39, 0.39])
    assert rows[1][1].reshape(-1, 2)[:, 0].min() == pytest.approx(0.4)
    assert rows[2][1].size == 0


def test_crops():
    crops = result().crops()
    assert [crop.shape for crop in crops] == [(31, 41, 3), (61, 65, 3), (13, 14, 3)]
    masked = result().crops(masked=True)
    assert [crop.shape for crop in masked] == [crop.shape for crop in crops]
    assert (masked[0] > 0).any(-1).sum() == 600
    assert EMPTY.crops() == EMPTY.crops(masked=True) == []


def test_plot_blends_the_color_of_the_class():
    drawn = result().plot(labels=False, thickness=1)
    color = np.array(class_color(2))
    np.testing.assert_allclose(drawn[30, 25], 0.55 * 128 + 0.45 * color, atol=1)
    np.testing.assert_array_equal(drawn[5, 5], 128)
    np.testing.assert_array_equal(result().image, 128)


def test_the_most_confident_mask_is_on_top():
    image = np.full((4, 4, 3), 100, np.uint8)
    patches, corners = [np.ones((2, 2), bool), np.ones((3, 3), bool)], np.zeros((2, 2), int)
    drawn = draw_masks(image, patches, corners, np.array([0, 1]))
    np.testing.assert_allclose(drawn[0, 0], 0.55 * 100 + 0.45 * np.array(class_color(0)), atol=1)
    np.testing.assert_allclose(drawn[2, 2], 0.55 * 100 + 0.45 * np.array(class_color(1)), atol=1)


def test_save_and_repr(tmp_path):
    with Image.open(result().save(tmp_path / "a.png")) as saved:
        np.testing.assert_array_equal(np.asarray(saved), result().plot())
    assert repr(result()) == "1 ant, 1 bee, 1 cat in 100x80"
    np.testing.assert_array_equal(EMPTY.plot(), EMPTY.image)
