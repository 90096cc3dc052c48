"""COCO: equal to the YOLO labels made from the same file, and files made to hurt."""

import json

import numpy as np
import pytest

from tests.data.formats.readers.sets import annotation, coco, coco_value, data_yaml, write_image
from tests.shared import SHARED, needs_shared
from tfyolo.data.detection.scan import Dataset, read_dataset, scan_split
from tfyolo.errors import TfyoloError

SQUARE = [16, 12, 32, 12, 32, 36, 16, 36]


def scan(path):
    return scan_split(read_dataset(path), "train", cache=False)


@needs_shared
def test_coco128_as_its_yolo_labels():
    root = SHARED / "data/coco128"
    yolo = read_dataset(root / "coco128.yaml")
    place = root / "instances_train2017.json"
    dataset = Dataset(root / "x.yaml", yolo.names, {"train": (place,)}, root=root)
    result, expected = (scan_split(one, "train", cache=False) for one in (dataset, yolo))
    assert (result.found, result.empty) == (126, 2)
    (problem,) = result.problems
    assert problem.message.startswith("10 annotations of crowds (`iscrowd`)")
    for ours, theirs in zip(result.samples, expected.samples, strict=True):
        assert ours.image == theirs.image
        np.testing.assert_array_equal(ours.classes, theirs.classes)
        np.testing.assert_allclose(ours.boxes_xywh_norm, theirs.boxes_xywh_norm, atol=1e-6)
    polygons = [polygon for sample in result.samples for polygon in sample.polygons_norm]
    assert sum(map(bool, map(len, polygons))) == 929  # crowds only are masks there


def test_boxes_polygons_crowds_and_masks(tmp_path):
    value = coco_value(
        annotation([16, 12, 16, 24], segmentation=[SQUARE]),
        annotation([0, 0, 64, 48], 3, segmentation={"counts": [1], "size": [48, 64]}, iscrowd=1),
        annotation([0, 0, 32, 24], 3, segmentation={"counts": "abc", "size": [48, 64]}),
    )
    result = scan(coco(tmp_path, value))
    assert sum("has an invalid polygon or mask; its box is used" in str(p) for p in result.problems) == 1
    (sample,) = result.samples
    assert sample.classes.tolist() == [1, 0]
    expected = np.float32([[0.375, 0.5, 0.25, 0.5], [0.25, 0.25, 0.5, 0.5]])
    np.testing.assert_allclose(sample.boxes_xywh_norm, expected)
    assert [polygon.shape for polygon in sample.polygons_norm] == [(4, 2), (0, 2)]
    np.testing.assert_allclose(sample.polygons_norm[0], np.array(SQUARE).reshape(-1, 2) / (64, 48))


def test_keypoints_are_ignored_with_a_word(tmp_path):
    rows = annotation([16, 12, 16, 24], keypoints=[16, 12, 2], num_keypoints=1), annotation([0, 0, 32, 24])
    result = scan(coco(tmp_path, coco_value(*rows)))
    assert [len(sample.classes) for sample in result.samples] == [2]
    (problem,) = result.problems
    assert problem.message.startswith("1 annotations have `keypoints`, which are ignored")


def rle(mask):
    """Run lengths of a mask, as a list and as a compressed string."""
    flat = mask.T.ravel().astype(int)
    ends = np.flatnonzero(np.diff(flat)) + 1
    counts = np.diff(np.concatenate([[0], ends, [len(flat)]])).tolist()
    counts = [0, *counts] if flat[0] else counts
    text = ""
    for index, count in enumerate(counts):
        number, more = count - (counts[index - 2] if index > 2 else 0), True
        while more:
            code, number = number & 31, number >> 5
            more = number != (-1 if code & 16 else 0)
            text += chr((code | 32 if more else code) + 48)
    size = list(mask.shape)
    return {"size": size, "counts": counts}, {"size": size, "counts": text}


def test_masks_become_polygons(tmp_path):
    from tfyolo.data.segmentation.rasters import rasterize

    mask = np.zeros((48, 64), np.uint8)
    mask[5:20, 3:30], mask[10:15, 10:20], mask[30:40, 40:60] = 1, 0, 1  # with a hole, in two parts
    for encoded in rle(mask):
        row = annotation([3, 5, 57, 35], segmentation=encoded)
        result = scan(coco(tmp_path, coco_value(row)))
        assert result.problems == ()
        ((polygon,),) = (sample.polygons_norm for sample in result.samples)
        (drawn,) = rasterize([[polygon * (64, 48)]], (48, 64), 1)
        assert (drawn >= mask).all()
        assert drawn.sum() - mask.sum() < 30  # bridges


@pytest.mark.parametrize(
    "wrong",
    [
        {"size": [48, 64]},
        {"size": [64, 48], "counts": [64 * 48]},
        {"size": [10**9, 10**9], "counts": [10**18]},
        {"size": [48, 64], "counts": [3071]},
        {"size": [48, 64], "counts": [3073, -1]},
        {"size": [48, 64], "counts": [3072.0]},
        {"size": [48, 64], "counts": [True] * 3072},
        {"size": [48, 64], "counts": "o" * 99},
        {"size": [48, 64], "counts": "0" * 99999},
        {"size": [48, 64], "counts": "\u20ac"},
        {"size": [48, 64], "counts": []},
    ],
)
def test_wrong_masks_leave_the_box(tmp_path, wrong):
    result = scan(coco(tmp_path, coco_value(annotation([0, 0, 32, 24], segmentation=wrong))))
    assert [len(sample.classes) for sample in result.samples] == [1]
    assert ["invalid polygon or mask" in problem.message for problem in result.problems] == [True]


def test_a_mask_without_area_leaves_the_box(tmp_path):
    row = annotation([0, 0, 32, 24], segmentation={"size": [48, 64], "counts": [5, 1, 3066]})
    result = scan(coco(tmp_path, coco_value(row)))
    assert result.problems == ()
    assert result.samples[0].polygons_norm == ()


def test_an_object_in_parts_is_one_polygon(tmp_path):
    import cv2

    far = [40, 12, 56, 12, 56, 36, 40, 36]
    row = annotation([16, 12, 40, 24], segmentation=[SQUARE, far])
    (sample,) = scan(coco(tmp_path, coco_value(row))).samples
    (polygon,) = sample.polygons_norm
    points = (polygon * (64, 48) - (0, 0)).round().astype(np.int32)
    mask = cv2.fillPoly(np.zeros((48, 64), np.uint8), [points], 1)
    parts = cv2.fillPoly(
        np.zeros((48, 64), np.uint8), [np.int32(part).reshape(-1, 2) for part in (SQUARE, far)], 1
    )
    assert (mask >= parts).all()
    assert mask.sum() - parts.sum() < 10  # the bridge


@pytest.mark.parametrize("given", [True, False])
def test_where_images_are_looked_for(tmp_path, given):
    path = coco(tmp_path, coco_value(annotation([1, 2, 3, 4]), file_name="sub/b.jpg"))
    if given:
        write_image(tmp_path / "elsewhere/sub/b.jpg")
        path = data_yaml(tmp_path, train={"images": "elsewhere", "annotations": "train.json"})
    else:
        write_image(tmp_path / "images/train/sub/b.jpg")
    assert len(scan(path).samples) == 1


@pytest.mark.parametrize("train", [{"images": "a"}, {"images": "a", "annotations": 3}, [["a"]]])
def test_wrong_places(tmp_path, train):
    with pytest.raises(TfyoloError, match="train"):
        read_dataset(data_yaml(tmp_path, train=train))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"bbox": [1, 2, 3]}, "four finite numbers"),
        ({"bbox": [1, 2, float("nan"), 4]}, "four finite numbers"),
        ({"bbox": [1, 2, float("inf"), 4]}, "four finite numbers"),
        ({"bbox": [1, 2, 10**400, 4]}, "four finite numbers"),
        ({"bbox": ["1", 2, 3, 4]}, "four finite numbers"),
        ({"bbox": None}, "four finite numbers"),
        ({"category_id": 55}, "not listed"),
        ({"category_id": [1]}, "not listed"),
        ({"category_id": None}, "not listed"),
    ],
)
def test_a_wrong_annotation_leaves_the_image_out(tmp_path, changes, message):
    result = scan(coco(tmp_path, coco_value({**annotation([1, 2, 3, 4], number=31), **changes})))
    assert (result.samples, result.corrupt) == ((), 1)
    assert message in result.problems[0].message
    assert "a.jpg: annotation 31" in result.problems[0].message


@pytest.mark.parametrize(
    ("changes", "message", "boxes"),
    [
        ({"bbox": [1, 2, 0, 4]}, "no area", 0),
        ({"bbox": [32, 0, 64, 48]}, "extends beyond the image; clipped", 1),
        ({"segmentation": [[1, 2, 3]]}, "invalid polygon", 1),
        ({"segmentation": [[1, 2, 3, 4, 5, float("nan")]]}, "invalid polygon", 1),
        ({"segmentation": "x"}, "invalid polygon", 1),
        ({"image_id": 99}, "not in the file", 0),
    ],
)
def test_annotations_that_are_mended(tmp_path, changes, message, boxes):
    result = scan(coco(tmp_path, coco_value({**annotation([1, 2, 3, 4]), **changes})))
    assert message in result.problems[0].message
    assert result.problems[0].severity == "warning"
    assert len(result.samples[0].classes) == boxes


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("", "is not valid JSON"),
        ("{", "is not valid JSON"),
        ("[" * 200_000, "nested too deep"),
        ("9" * 5000, "is not valid JSON"),
        ("\ud800".encode("utf-16", "surrogatepass").decode("latin1"), "is not valid JSON"),
        ("[]", "has no list"),
        ('{"images": []}', "has no list"),
        ('[{"image_id": 1, "bbox": [1, 2, 3, 4], "category_id": 1, "score": 0.5}]', "has no list"),
        ({**coco_value(), "images": [7]}, r"images\[0\]. is not an object"),
        ({**coco_value(), "images": [{"id": 7}]}, "file_name"),
        ({**coco_value(), "images": [{"id": [], "file_name": "a.jpg"}]}, "`id`"),
        ({**coco_value(), "categories": [{"id": 1}]}, "name"),
        ({**coco_value(), "annotations": [{"bbox": [1, 2, 3, 4]}]}, "image_id"),
    ],
)
def test_not_a_coco_file(tmp_path, value, message):
    with pytest.raises(TfyoloError, match=message) as caught:
        scan(coco(tmp_path, value))
    assert caught.value.path == tmp_path / "train.json"


def test_category_that_the_data_set_does_not_name(tmp_path):
    value = coco_value(annotation([1, 2, 3, 4]))
    value["categories"][0]["name"] = "Dog"
    with pytest.raises(TfyoloError, match=r"category 1 of train\.json") as caught:
        scan(coco(tmp_path, value))
    assert "did you mean `dog`" in caught.value.fix


@pytest.mark.parametrize("name", ["../out.jpg", "/etc/passwd", "..\\out.jpg", "x/../../out.jpg", "a\0.jpg"])
def test_images_outside_are_refused(tmp_path, name):
    write_image(tmp_path / "out.jpg")
    value = coco_value(annotation([1, 2, 3, 4]))
    value["images"].append({"id": 8, "file_name": name})
    result = scan(coco(tmp_path / "set", value))
    assert len(result.samples) == 1
    assert "points outside" in result.problems[0].message
    assert result.corrupt == 1


def test_image_twice_and_missing(tmp_path):
    value = coco_value(annotation([1, 2, 3, 4]))
    value["images"] += [{"id": 8, "file_name": "a.jpg"}, {"id": 9, "file_name": "gone.jpg"}]
    result = scan(coco(tmp_path, value))
    assert (len(result.samples), result.corrupt, result.duplicates) == (1, 1, 1)
    assert ["listed again" in result.problems[0].message, "not exist" in result.problems[1].message] == [
        True
    ] * 2


def test_not_a_file(tmp_path):
    (tmp_path / "x.json").mkdir()
    with pytest.raises(TfyoloError, match="not a file"):
        scan(data_yaml(tmp_path, train="x.json"))
    with pytest.raises(TfyoloError, match="does not exist"):
        scan(data_yaml(tmp_path, train="y.json"))


def test_json_bytes_are_read_as_utf8(tmp_path):
    value = coco_value(annotation([1, 2, 3, 4]), file_name="grün.jpg")
    path = coco(tmp_path, json.dumps(value, ensure_ascii=False))
    write_image(tmp_path / "images/grün.jpg")
    assert scan(path).samples[0].image.name == "grün.jpg"


def test_two_images_of_one_id_are_refused(tmp_path):
    value = coco_value(annotation([1, 2, 3, 4]))
    value["images"].append({"id": 7, "file_name": "b.jpg", "width": 64, "height": 48})
    with pytest.raises(TfyoloError, match=r"two images have the id 7: 'a\.jpg' and 'b\.jpg'"):
        scan(coco(tmp_path, value))


def test_two_categories_of_one_id_are_refused(tmp_path):
    value = coco_value(annotation([1, 2, 3, 4]))
    value["categories"].append({"id": 1, "name": "cat"})
    with pytest.raises(TfyoloError, match="two categories have the id 1: 'dog' and 'cat'"):
        scan(coco(tmp_path, value))


def test_two_categories_of_one_name_are_one_class(tmp_path):
    value = coco_value(annotation([1, 2, 3, 4]), annotation([8, 9, 3, 4], 5))
    value["categories"].append({"id": 5, "name": "dog"})
    (sample,) = scan(coco(tmp_path, value)).samples
    assert sample.classes.tolist() == [1, 1]


def test_one_image_under_two_ids_keeps_all_its_boxes(tmp_path):
    value = coco_value(annotation([1, 2, 3, 4]), annotation([8, 9, 3, 4], image=8))
    value["images"].append({"id": 8, "file_name": "a.jpg", "width": 64, "height": 48})
    result = scan(coco(tmp_path, value))
    (sample,) = result.samples
    assert len(sample.classes) == 2
    assert result.duplicates == 1


def test_one_image_in_two_files_has_the_categories_of_each(tmp_path):
    coco(tmp_path, coco_value(annotation([1, 2, 3, 4])))
    other = coco_value(annotation([8, 9, 3, 4]))
    other["categories"] = [{"id": 1, "name": "cat"}]
    (tmp_path / "more.json").write_text(json.dumps(other))
    (sample,) = scan(data_yaml(tmp_path, train=["train.json", "more.json"])).samples
    assert sample.classes.tolist() == [1, 0]


@pytest.mark.parametrize(
    "name",
    ["/label-studio/upload/1/a.jpg", "..\\..\\upload\\1\\a.jpg", "C:\\data\\a.jpg", "../../a.jpg"],
)
def test_names_that_lead_elsewhere_are_found_by_their_last_part(tmp_path, name):
    result = scan(coco(tmp_path, coco_value(annotation([1, 2, 3, 4]), file_name=name)))
    assert [sample.image for sample in result.samples] == [tmp_path / "images/a.jpg"]
    assert "file names point outside the dataset" in result.problems[0].message


def test_a_last_part_that_two_names_share_is_no_key(tmp_path):
    value = coco_value(annotation([1, 2, 3, 4]), file_name="/upload/1/a.jpg")
    value["images"].append({"id": 8, "file_name": "/upload/2/a.jpg"})
    with pytest.raises(TfyoloError, match="has no images"):
        scan(coco(tmp_path, value))
