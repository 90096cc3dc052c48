import numpy as np
import pytest
from PIL import Image

from tfyolo.errors import TfyoloError
from tfyolo.inference.drawing.palette import class_color
from tfyolo.inference.results import Result, save_image

NAMES = ("ant", "bee", "cat", "bee")


def make(count=2, height=80, width=100):
    boxes = np.float32([[10, 20, 50, 60], [0, 0, 100, 80], [70, 30, 90, 40]])[:count]
    scores, classes = np.float32([0.9, 0.5, 0.4])[:count], np.array([2, 1, 3])[:count]
    return Result(boxes, scores, classes, NAMES, np.full((height, width, 3), 128, np.uint8))


EMPTY = Result(
    np.zeros((0, 4), np.float32),
    np.zeros(0, np.float32),
    np.zeros(0, np.int64),
    NAMES,
    np.full((80, 100, 3), 128, np.uint8),
)


def test_an_empty_result(tmp_path):
    assert len(EMPTY) == 0
    assert EMPTY.boxes_xywh_norm.shape == (0, 4)
    assert EMPTY.counts() == {}
    assert len(EMPTY.to_supervision()) == 0
    table = EMPTY.to_pandas()
    assert table.shape == (0, 7)
    np.testing.assert_array_equal(EMPTY.plot(), EMPTY.image)
    with Image.open(EMPTY.save(tmp_path / "empty.png")) as saved:
        np.testing.assert_array_equal(np.asarray(saved), EMPTY.image)


def test_boxes_xywh_norm():
    np.testing.assert_allclose(make().boxes_xywh_norm, [[0.3, 0.5, 0.4, 0.5], [0.5, 0.5, 1, 1]], rtol=1e-6)


def test_counts_join_classes_of_one_name():
    assert make(3).counts() == {"bee": 2, "cat": 1}


def test_to_supervision():
    result = make(3)
    detections = result.to_supervision()
    np.testing.assert_array_equal(detections.xyxy, result.boxes_xyxy_px)
    np.testing.assert_array_equal(detections.confidence, result.scores)
    np.testing.assert_array_equal(detections.class_id, [2, 1, 3])
    assert detections.data["class_name"].tolist() == ["cat", "bee", "bee"]


def test_to_pandas():
    table = make().to_pandas()
    assert table.columns.tolist() == ["xmin", "ymin", "xmax", "ymax", "confidence", "class", "name"]
    assert table.iloc[0].tolist() == [10, 20, 50, 60, pytest.approx(0.9), 2, "cat"]
    assert table.name.tolist() == ["cat", "bee"]


def test_plot_draws_on_the_outline_and_leaves_the_image():
    result = make(1)
    before = result.image.copy()
    drawn = result.plot(labels=False)
    assert drawn.shape == result.image.shape
    assert drawn.dtype == np.uint8
    np.testing.assert_array_equal(result.image, before)
    changed = (drawn != before).any(2)
    assert changed[20:60, 10].all()
    assert changed[20, 10:50].all()
    assert not changed[25:55, 15:45].any()
    assert not changed[:17].any()
    assert not changed[:, 54:].any()


def test_plot_colors_are_rgb():
    assert make(1).plot(labels=False)[40, 10].tolist() == list(class_color(2))


def changed_pixels(result, **options):
    return int((result.plot(**options) != result.image).any(2).sum())


def test_plot_options():
    result = make(1)
    bare = changed_pixels(result, labels=False)
    name = changed_pixels(result, confidences=False)
    assert bare < name < changed_pixels(result)
    assert bare < changed_pixels(result, labels=False, thickness=6)


@pytest.mark.parametrize("hw", [(1, 1), (1, 50), (2000, 3)])
def test_plot_of_odd_sizes(hw):
    result = Result(
        np.float32([[0, 0, hw[1], hw[0]]]),
        np.float32([0.5]),
        np.array([0]),
        NAMES,
        np.zeros((*hw, 3), np.uint8),
    )
    assert result.plot().shape == (*hw, 3)


def test_plot_of_a_view_that_is_not_contiguous():
    result = make(1)
    turned = Result(
        result.boxes_xyxy_px,
        result.scores,
        result.class_ids,
        NAMES,
        result.image[::-1, ::-1].transpose(1, 0, 2),
    )
    assert turned.plot().shape == (100, 80, 3)


@pytest.mark.parametrize("suffix", [".jpg", ".JPEG", ".png", ".bmp", ".webp", ".tif", ".tiff"])
def test_save(tmp_path, suffix):
    path = make().save(tmp_path / "new" / f"out{suffix}")
    with Image.open(path) as saved:
        difference = np.abs(np.asarray(saved.convert("RGB")).astype(int) - make().plot())
    assert difference.mean() < (0.01 if suffix in (".png", ".bmp", ".tif", ".tiff") else 8)


@pytest.mark.parametrize("name", ["out.xyz", "out"])
def test_save_of_an_unknown_kind_leaves_nothing(tmp_path, name):
    with pytest.raises(TfyoloError, match="cannot be written: unknown file extension"):
        make().save(tmp_path / name)
    assert list(tmp_path.iterdir()) == []


def test_a_image_that_cannot_be_written_leaves_the_last_one(tmp_path):
    path = save_image(make().image, tmp_path / "a.jpg")
    before = path.read_bytes()
    with pytest.raises(TfyoloError, match="cannot be written"):
        save_image(np.zeros((1, 70_000, 3), np.uint8), path)  # JPEG has 16 bits for a side
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]
