import sys
import threading

import cv2
import numpy as np
import pytest

from tfyolo.errors import TfyoloError
from tfyolo.evaluation.metrics import average_precision
from tfyolo.evaluation.mosaic import MAX_WIDTH, mosaic
from tfyolo.evaluation.plots import save_confusion, save_curves


def result_of(classes, detections=300):
    random = np.random.default_rng(0)
    tp = np.sort(random.random((detections, 10)), 1) < 0.5
    ids = random.integers(0, max(classes, 1), (2, detections))
    return average_precision(tp, random.random(detections), ids[0], ids[1] if classes else ids[1][:0])


@pytest.mark.parametrize("classes", [0, 1, 15, 80])
def test_curves(tmp_path, classes):
    files = save_curves(result_of(classes), [f"class {index}" for index in range(classes)], tmp_path / "new")
    assert [file.name for file in files] == ["PR_curve.png", "F1_curve.png", "P_curve.png", "R_curve.png"]
    drawn = [cv2.imread(str(file)) for file in files]
    assert all(image.shape[:2] == (900, 1350) for image in drawn)
    mean = [int((np.abs(image.astype(int) - (99, 107, 11)).max(-1) < 12).sum()) for image in drawn]  # BGR
    assert all(count > 1000 for count in mean) if classes else not any(mean)  # the line of the mean


@pytest.mark.parametrize("classes", [1, 3, 80, 200])
def test_confusion(tmp_path, classes):
    names = [f"class {index}" for index in range(classes)]
    blue = []
    for counts in (np.zeros((classes + 1, classes + 1), int), np.eye(classes + 1, dtype=int)):
        image = cv2.imread(str(save_confusion(counts, names, tmp_path)))
        assert max(image.shape) <= 2400
        left = image[:, : int(image.shape[1] * 0.85)].astype(int)  # without the color bar
        blue.append(int((left[..., 0] - left[..., 2] > 60).sum()))
    assert blue[1] > blue[0] + 500  # the diagonal is there


def test_pyplot_is_not_touched_and_threads_may_draw(tmp_path):
    before = "matplotlib.pyplot" in sys.modules
    errors = []

    def draw():
        try:
            save_curves(result_of(2), ["a", "b"], tmp_path)
        except Exception as error:
            errors.append(error)

    thread = threading.Thread(target=draw)
    thread.start()
    thread.join()
    assert errors == []
    assert ("matplotlib.pyplot" in sys.modules) == before


def gray(height, width):
    return np.full((height, width, 3), 90, np.uint8)


def boxes(*rows):
    return np.array(rows, np.float32).reshape(-1, 4)


def test_mosaic_without_images(tmp_path):
    with pytest.raises(TfyoloError, match="needs at least one image"):
        mosaic([], [], [], [], tmp_path / "a.jpg")


def test_mosaic_without_boxes_shows_the_image(tmp_path):
    image = mosaic([gray(60, 100)], [boxes()], [np.zeros(0)], [], tmp_path / "a.jpg")
    shown = cv2.imread(str(image))
    assert shown.shape == (108, 108, 3)
    assert abs(int(shown[54, 54, 0]) - 90) <= 2
    assert abs(int(shown[10, 54, 0]) - 114) <= 2


@pytest.mark.parametrize(
    ("count", "columns", "rows"), [(1, 1, 1), (2, 2, 1), (5, 3, 2), (16, 4, 4), (20, 4, 4)]
)
def test_mosaic_size(tmp_path, count, columns, rows):
    images = [gray(300, 640)] * count
    path = mosaic(images, [boxes()] * count, [np.zeros(0)] * count, ["cat"], tmp_path / "a.jpg")
    height, width = cv2.imread(str(path)).shape[:2]
    tile = min(640, (MAX_WIDTH - 4 * (columns + 1)) // columns)
    assert (height, width) == (rows * (tile + 4) + 4, columns * (tile + 4) + 4)
    assert width <= MAX_WIDTH


def test_mosaic_draws_boxes_where_they_are(tmp_path):
    image = gray(400, 800)
    before = image.copy()
    options = {"confidences": [np.array([0.5, 0.9])], "titles": ["a.jpg"]}
    corners = boxes([100, 100, 300, 300], [0, 0, 800, 400])
    path = mosaic([image], [corners], [np.array([0, 1])], ["cat", "dog"], tmp_path / "a.jpg", **options)
    shown = cv2.imread(str(path)).astype(int)
    saturation = shown.max(-1) - shown.min(-1)
    top = 4 + 200  # 400 rows in the middle of an 800 pixel tile
    assert saturation[top + 200, 4 + 100 - 3 : 4 + 100 + 3].max() > 60  # the left edge
    assert saturation[top + 200, 4 + 300 - 3 : 4 + 300 + 3].max() > 60  # the right edge
    assert saturation[top + 150 : top + 250, 4 + 120 : 4 + 280].max() < 15  # nothing inside
    np.testing.assert_array_equal(image, before)
