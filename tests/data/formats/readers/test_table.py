"""Which reader a split gets, and what the YOLO reader adds to labels."""

import numpy as np
import pytest

from tests.data.formats.readers.sets import data_yaml, voc, write_image, xml
from tfyolo.data.detection.scan import read_dataset, scan_split
from tfyolo.data.formats.readers.table import READERS, reader_for
from tfyolo.data.formats.writers.table import WRITERS
from tfyolo.errors import TfyoloError


def scan(path):
    return scan_split(read_dataset(path), "train", cache=False)


def test_what_is_written_can_be_read():
    assert set(READERS) == set(WRITERS) | {"masks"}
    assert all(name == reader.name for name, reader in READERS.items())


@pytest.mark.parametrize(
    ("place", "expected"),
    [
        ("ImageSets/Main/train.txt", "voc"),
        ("Annotations", "voc"),
        (".", "voc"),
        ("train.txt", "yolo"),
        ("JPEGImages", "yolo"),
        ("instances.json", "coco"),
        ("train.index.json", "tfrecord"),
        ("train-00000-of-00001.tfrecord", "tfrecord"),
    ],
)
def test_format_by_place(tmp_path, place, expected):
    path = voc(tmp_path, a=xml())
    assert reader_for(read_dataset(data_yaml(tmp_path, train=place)), "train").name == expected
    for name in READERS:
        dataset = read_dataset(data_yaml(tmp_path, train=place, format=name))
        assert reader_for(dataset, "train").name == name
    assert path.exists()


def test_a_list_called_imagesets_without_annotations_is_yolo(tmp_path):
    dataset = read_dataset(data_yaml(tmp_path, train="ImageSets/train.txt"))
    assert reader_for(dataset, "train").name == "yolo"


def test_mixed_places(tmp_path):
    with pytest.raises(TfyoloError, match="mixes the formats coco and yolo"):
        scan(data_yaml(tmp_path, train=["a.json", "images"]))


@pytest.mark.parametrize(
    ("name", "hint"), [("VOC", "`voc`"), ("koko", "coco, masks, tfrecord"), ("tfrecords", "`tfrecord`")]
)
def test_unknown_format(tmp_path, name, hint):
    with pytest.raises(TfyoloError, match="`format`") as caught:
        read_dataset(data_yaml(tmp_path, train="a", format=name))
    assert hint in caught.value.fix


def test_yaml_that_is_a_link(tmp_path, monkeypatch):
    root = tmp_path / "real"
    write_image(root / "images/a.jpg")
    path = data_yaml(root, path=".", train="images")
    link = tmp_path / "elsewhere/data.yaml"
    link.parent.mkdir()
    link.symlink_to(path)
    assert len(scan(link).samples) == 1
    write_image(link.parent / "images/mine.jpg")
    assert [sample.image.name for sample in scan(link).samples] == ["mine.jpg"]


def test_yolo_polygons(tmp_path):
    write_image(tmp_path / "images/a.jpg")
    (tmp_path / "labels").mkdir()
    rows = "0 0.5 0.5 0.2 0.2\n1 0.1 0.2 0.5 0.3 0.3 1.0004\n"
    (tmp_path / "labels/a.txt").write_text(rows)
    (sample,) = scan(data_yaml(tmp_path, train="images")).samples
    plain, polygon = sample.polygons_norm
    assert (plain.shape, polygon.dtype) == ((0, 2), np.float32)
    np.testing.assert_allclose(polygon, np.float32([[0.1, 0.2], [0.5, 0.3], [0.3, 1]]))
    (tmp_path / "labels/a.txt").write_text(rows.splitlines()[0])
    assert scan(data_yaml(tmp_path, train="images")).samples[0].polygons_norm == ()


def test_a_missing_labels_folder_is_said(tmp_path):
    write_image(tmp_path / "images/a.jpg")
    (problem,) = scan(data_yaml(tmp_path, train="images")).problems
    assert (problem.path, problem.severity) == (tmp_path / "labels", "warning")
    assert "no image has a label file" in problem.message
    (tmp_path / "labels").mkdir()
    assert scan(data_yaml(tmp_path, train="images")).problems == ()


def test_labels_beside_the_images_that_are_not_there(tmp_path):
    write_image(tmp_path / "train/a.jpg")
    (problem,) = scan(data_yaml(tmp_path, train="train")).problems
    assert problem.path == tmp_path / "train"
    (tmp_path / "train/a.txt").write_text("0 0.5 0.5 0.5 0.5")
    assert scan(data_yaml(tmp_path, train="train")).problems == ()


@pytest.mark.parametrize(
    ("images", "labels"),
    [("Images", "Labels"), ("IMAGES", "labels"), ("images", "labels"), ("Images/train", "Labels/train")],
)
def test_image_and_label_folders_in_any_case(images, labels, tmp_path):
    write_image(tmp_path / images / "a.jpg")
    (tmp_path / labels).mkdir(parents=True)
    (tmp_path / labels / "a.txt").write_text("0 0.5 0.5 0.5 0.5")
    found = scan(data_yaml(tmp_path, train=images))
    assert ([len(sample.classes) for sample in found.samples], found.problems) == ([1], ())


def test_labels_beside_the_images_in_a_folder_named_in_capitals(tmp_path):
    write_image(tmp_path / "Images/a.jpg")
    (tmp_path / "Images/a.txt").write_text("0 0.5 0.5 0.5 0.5")
    found = scan(data_yaml(tmp_path, train="Images"))
    assert (len(found.samples[0].classes), found.problems) == (1, ())


def test_equal_images_are_named_and_used(tmp_path):
    write_image(tmp_path / "images/a.png")
    write_image(tmp_path / "images/b.png")
    write_image(tmp_path / "images/c.png", color=9)
    (tmp_path / "labels").mkdir()
    result = scan(data_yaml(tmp_path, train="images"))
    assert (len(result.samples), result.duplicates) == (3, 1)
    (problem,) = result.problems
    assert (problem.path.name, problem.severity) == ("b.png", "warning")
    assert "a.png" in problem.message
    assert result.summary().endswith("0 left out, 1 duplicates")


def test_images_of_a_place_named_twice(tmp_path):
    write_image(tmp_path / "images/sub/a.jpg")
    (tmp_path / "labels").mkdir()
    result = scan(data_yaml(tmp_path, train=["images", "images/sub"]))
    assert (len(result.samples), result.duplicates) == (1, 1)
    assert "earlier path" in result.problems[0].message
