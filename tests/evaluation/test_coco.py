import json
from pathlib import Path

import numpy as np
import pytest

from tests.shared import SHARED, needs_shared
from tfyolo.data.detection.scan import Sample, read_dataset, scan_split
from tfyolo.errors import TfyoloError
from tfyolo.evaluation import coco, coco_ids
from tfyolo.inference.boxes import xywh_to_xyxy

COCO128 = SHARED / "data" / "coco128"


def sample(name="7.jpg", classes=(0,), boxes=((0.5, 0.5, 0.5, 0.5),)):
    boxes = np.array(boxes, np.float32).reshape(-1, 4)
    return Sample(Path(name), (100, 200), np.array(classes, np.int64), boxes)


def perfect(samples, names, ids):
    rows = []
    for image_id, one in zip(ids, samples, strict=True):
        corners = xywh_to_xyxy(one.boxes_xywh_norm) * np.tile(one.hw[::-1], 2)
        scores = np.full(len(corners), 0.9)
        rows += coco.results(image_id, corners, scores, one.classes, coco_ids.category_ids(names))
    return rows


def test_no_detections():
    assert coco.results(1, np.zeros((0, 4)), np.zeros(0), np.zeros(0), [1]) == []


def test_nothing_to_find():
    figures = coco.evaluate(coco.ground_truth([sample(classes=(), boxes=())], ["cat"]), [])
    assert figures == dict.fromkeys(coco.FIGURES, -1.0)


def test_nothing_found():
    figures = coco.evaluate(coco.ground_truth([sample()], ["cat"]), [])
    assert (figures["ap"], figures["ar_100"], figures["ap_small"]) == (0, 0, -1)


def test_category_ids_of_coco():
    ids = coco_ids.category_ids(coco_ids.coco_names())
    assert (len(ids), ids[0], ids[11], ids[79]) == (80, 1, 13, 90)
    assert coco_ids.category_ids(["person", "car"]) == (0, 1)


@pytest.mark.parametrize(
    ("names", "ids"),
    [
        ([], ()),
        (["000139.jpg", "7.png"], (139, 7)),
        (["139.jpg", "b.jpg"], (1, 2)),
        (["a/7.jpg", "b/7.jpg"], (1, 2)),
        (["07.jpg", "7.jpg"], (1, 2)),
        (["²3.jpg", "4.jpg"], (1, 2)),
    ],
)
def test_image_ids(names, ids):
    assert coco_ids.image_ids([Path(name) for name in names]) == ids


def test_ground_truth_of_a_box():
    truth = coco.ground_truth([sample(classes=(1,), boxes=((0.5, 0.5, 0.25, 0.5),))], ["cat", "dog"])
    assert truth["images"] == [{"id": 7, "file_name": "7.jpg", "height": 100, "width": 200}]
    (row,) = truth["annotations"]
    assert (row["image_id"], row["category_id"], row["bbox"], row["area"]) == (7, 1, [75, 25, 50, 50], 2500)
    assert truth["categories"] == [{"id": 0, "name": "cat"}, {"id": 1, "name": "dog"}]


def test_results_are_rounded_and_json():
    rows = coco.results(
        7, np.array([[1.23456, 2, 3.5, 4]], np.float32), np.float32([1 / 3]), np.array([1]), [5, 6]
    )
    assert json.loads(json.dumps(rows)) == [
        {"image_id": 7, "category_id": 6, "bbox": [1.235, 2, 2.265, 2], "score": 0.33333}
    ]


def test_save_results(tmp_path):
    rows = coco.results(7, np.array([[1, 2, 3, 4]]), np.array([0.5]), np.array([0]), [1])
    assert json.loads(coco.save_results(rows, tmp_path / "new" / "predictions.json").read_text()) == rows


def test_arguments_are_not_changed_and_nothing_is_printed(capfd):
    truth = coco.ground_truth([sample()], ["cat"])
    rows = perfect([sample()], ["cat"], [7])
    before = json.dumps([truth, rows])
    assert coco.evaluate(truth, rows)["ap"] == pytest.approx(1)
    assert json.dumps([truth, rows]) == before
    assert capfd.readouterr() == ("", "")


def test_only_the_images_looked_at_count():
    samples = [sample("7.jpg"), sample("8.jpg")]
    truth = coco.ground_truth(samples, ["cat"])
    rows = perfect(samples[:1], ["cat"], [7])
    assert coco.evaluate(truth, rows)["ar_100"] == pytest.approx(0.5)
    assert coco.evaluate(truth, rows, ids=[7])["ar_100"] == pytest.approx(1)


def test_annotation_id_zero_is_found_too():
    """Annotations numbered from 0, as some tools write them, must not lose one."""
    truth = coco.ground_truth([sample()], ["cat"])
    truth["annotations"][0]["id"] = 0
    del truth["annotations"][0]["iscrowd"], truth["annotations"][0]["area"]
    assert coco.evaluate(truth, perfect([sample()], ["cat"], [7]))["ap"] == pytest.approx(1)


def test_results_of_a_strange_image():
    truth = coco.ground_truth([sample()], ["cat"])
    with pytest.raises(TfyoloError, match="image id 9 is not in"):
        coco.evaluate(truth, perfect([sample()], ["cat"], [9]))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "does not exist"),
        ("", "is not valid JSON"),
        ("[" * 100_000, "is not valid JSON"),
        ("[]", "has no list `images`"),
        ('{"images": [], "annotations": []}', "has no list `categories`"),
        ('{"images": [{"id": 1}]}', r"`images\[0\]` has no `file_name`"),
    ],
)
def test_wrong_annotations(tmp_path, content, message):
    path = tmp_path / "a.json"
    if content is not None:
        path.write_text(content)
    with pytest.raises(TfyoloError, match=message):
        coco.read_annotations(path)


def test_annotations_of_another_data_set():
    truth = coco.ground_truth([sample()], ["cat"])
    with pytest.raises(TfyoloError, match="no category 'dog'"):
        coco_ids.category_ids(["cat", "dog"], truth)
    with pytest.raises(TfyoloError, match=r"8\.jpg: is not in the COCO annotations"):
        coco_ids.image_ids([Path("8.jpg")], truth)


@needs_shared
def test_against_coco_annotations():
    """Ids made from file and class names are those of COCO's own file, and its boxes are found."""
    dataset = read_dataset(COCO128 / "coco128.yaml")
    samples = scan_split(dataset, "train").samples
    official = coco.read_annotations(COCO128 / "instances_train2017.json")
    files = [one.image for one in samples]
    ids = coco_ids.image_ids(files)
    assert ids == coco_ids.image_ids(files, official)
    assert coco_ids.category_ids(dataset.names) == coco_ids.category_ids(dataset.names, official)
    rows = perfect(samples, dataset.names, ids)
    figures = coco.evaluate(official, rows, ids)
    assert figures["ap"] > 0.99
    assert figures["ap50"] > 0.99
    shifted = [{**row, "bbox": [row["bbox"][0] + row["bbox"][2] * 0.2, *row["bbox"][1:]]} for row in rows]
    assert (
        coco.evaluate(official, shifted, ids)["ap75"] < 0.05 < coco.evaluate(official, shifted, ids)["ap50"]
    )


def annotated(*file_names, **more):
    images = [{"id": 10 + index, "file_name": name, **more} for index, name in enumerate(file_names)]
    return {"images": images, "annotations": [], "categories": [{"id": 1, "name": "cat"}]}


@pytest.mark.parametrize(
    ("file_names", "images", "ids"),
    [
        (("s0/f.jpg", "s1/f.jpg"), ("d/images/s1/f.jpg", "d/images/s0/f.jpg"), (11, 10)),
        (("s0\\f.jpg", "s1\\f.jpg"), ("d/s1/f.jpg", "d/s0/f.jpg"), (11, 10)),
        (("f.jpg", "s1/f.jpg"), ("d/s1/f.jpg", "d/f.jpg"), (11, 10)),
        (("val2017/f.jpg",), ("images/f.jpg",), (10,)),
        (("f.jpg", "F.JPG"), ("d/F.JPG", "d/f.jpg"), (11, 10)),
        (("f.jpg",), ("d/f.JPG",), (10,)),
    ],
)
def test_annotations_are_found_by_their_folders_too(file_names, images, ids):
    assert coco_ids.image_ids(list(map(Path, images)), annotated(*file_names)) == ids


@pytest.mark.parametrize(
    ("file_names", "images"),
    [
        (("s0/f.jpg", "s1/f.jpg"), ("d/f.jpg",)),
        (("f.jpg",), ("s0/f.jpg", "s1/f.jpg")),
    ],
)
def test_images_that_cannot_be_told_apart_are_refused(file_names, images):
    with pytest.raises(
        TfyoloError, match="is ambiguous: the COCO annotations list several images of this name"
    ):
        coco_ids.image_ids(list(map(Path, images)), annotated(*file_names))


def test_of_two_categories_of_one_name_the_one_in_use():
    value = annotated("f.jpg")
    value["categories"].append({"id": 5, "name": "cat"})
    value["annotations"] = [{"category_id": 5}]
    assert coco_ids.category_ids(["cat"], value) == (5,)
    value["annotations"].append({"category_id": 1})
    with pytest.raises(TfyoloError, match="two categories named 'cat': 1 and 5"):
        coco_ids.category_ids(["cat"], value)


@pytest.mark.parametrize(
    ("images", "message"),
    [
        ([{"id": 1, "file_name": "a.jpg"}, {"id": 1, "file_name": "b.jpg"}], "two images have the id 1"),
        ([{"id": "x", "file_name": "a.jpg"}], "`id` is not a whole number"),
    ],
)
def test_ids_of_annotations_are_checked(tmp_path, images, message):
    path = tmp_path / "a.json"
    path.write_text(json.dumps({"images": images, "annotations": [], "categories": []}))
    with pytest.raises(TfyoloError, match=message):
        coco.read_annotations(path)


@pytest.mark.parametrize("given", [False, True])
def test_sizes_are_those_of_the_annotated_images(given):
    """A box of 50 x 50 pixels is small after resizing to a quarter, but was annotated as a large one."""
    one = Sample(
        Path("7.jpg"), (100, 200), np.array([0]), np.float32([[0.5, 0.5, 0.25, 0.5]]), annotated_hw=(400, 800)
    )
    truth = coco.ground_truth([one], ["cat"])
    assert truth["annotations"][0]["bbox"] == [300, 100, 200, 200]
    (frame,) = coco.frames([one], [7], truth if given else None)
    rows = coco.results(7, frame.boxes_to_pixels([[0.375, 0.25, 0.625, 0.75]]), np.ones(1), np.zeros(1), [0])
    figures = coco.evaluate(truth, rows)
    assert (figures["ap_small"], figures["ap_medium"], figures["ap_large"]) == (-1, -1, pytest.approx(1))


def test_annotations_of_other_proportions_are_refused():
    value = annotated("7.jpg", width=640, height=480)
    with pytest.raises(TfyoloError, match="is 200x100, but the COCO annotations say 640x480"):
        coco.frames([sample()], [10], value)
