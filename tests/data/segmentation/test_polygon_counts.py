"""Datasets that mix boxes and polygons, and datasets without polygons."""

import pytest

from tests.data.formats.readers.sets import data_yaml, write_image
from tfyolo.data.detection.scan import check_usable, read_dataset, scan_split
from tfyolo.data.segmentation.polygon_counts import boxes_without_polygon, images_with_polygons
from tfyolo.errors import TfyoloError

BOX, POLYGON = "0 0.5 0.5 0.2 0.2\n", "1 0.1 0.2 0.5 0.3 0.3 0.8\n"


def dataset_of(root, *labels):
    for number, text in enumerate(labels):
        write_image(root / f"images/{number}.png", (64, 48), 30 * number)
        (root / "labels").mkdir(exist_ok=True)
        (root / f"labels/{number}.txt").write_text(text)
    return read_dataset(data_yaml(root, train="images"))


@pytest.mark.parametrize("cache", [True, False])
def test_boxes_among_polygons_are_counted_in_one_warning(tmp_path, cache):
    dataset = dataset_of(tmp_path, BOX + POLYGON, POLYGON, BOX, "")
    for _ in range(2):  # the second from the cache
        scan = scan_split(dataset, "train", cache=cache, segmentation=True)
        (problem,) = scan.problems
        assert problem.severity == "warning"
        assert "`train` has 2 boxes without a polygon; the mask is the rectangle" in problem.message
        assert scan_split(dataset, "train", cache=cache).problems == ()  # a detector needs none
    assert (images_with_polygons(scan.samples), boxes_without_polygon(scan.samples)) == (2, 2)
    check_usable(dataset, "train", scan, segmentation=True)


def test_a_dataset_of_boxes_cannot_train_segmentation(tmp_path):
    dataset = dataset_of(tmp_path, BOX, BOX)
    scan = scan_split(dataset, "train", cache=False, segmentation=True)
    assert scan.problems == ()
    check_usable(dataset, "train", scan, labeled=True)
    with pytest.raises(TfyoloError, match="none of the labels in `train` is a polygon") as caught:
        check_usable(dataset, "train", scan, segmentation=True)
    assert "x1 y1 x2 y2 x3 y3" in caught.value.fix
