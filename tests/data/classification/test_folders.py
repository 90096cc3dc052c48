"""Folders of classes: what is found, and what is said of mistakes."""

import os
import shutil

import numpy as np
import pytest

from tests.data.classification.class_folders import class_folders
from tfyolo.data.classification.folders import read_folders, scan_folders, scan_summary
from tfyolo.errors import TfyoloError


def test_splits_classes_and_samples(tmp_path):
    data = read_folders(class_folders(tmp_path, (20, 30), train=2, valid=1))
    assert data.names == ("blue", "green", "red")
    assert list(data.splits) == ["train", "val"]
    scan = scan_folders(data, "train")
    assert [int(sample.classes[0]) for sample in scan.samples] == [0, 0, 1, 1, 2, 2]
    assert [sample.hw for sample in scan.samples] == [(20, 30)] * 6
    assert [sample.image.parent.name for sample in scan.samples][::2] == ["blue", "green", "red"]
    np.testing.assert_array_equal(scan.samples[0].boxes_xywh_norm, [[0.5, 0.5, 1, 1]])
    assert scan.problems == ()
    assert scan_summary(scan, 3) == "6 images of 3 classes; 0 left out, 0 duplicates"
    assert not data.is_whole


def test_a_folder_of_classes_is_every_split(tmp_path):
    data = read_folders(class_folders(tmp_path, all=2) / "all")
    assert data.is_whole
    assert [len(scan_folders(data, split).samples) for split in ("val", "test")] == [6, 6]


def test_val_comes_before_valid_and_hidden_folders_are_passed_over(tmp_path):
    class_folders(tmp_path, train=1, valid=1, val=2)
    (tmp_path / "train/.thumbnails").mkdir()
    (tmp_path / "train/red/._0.png").write_bytes(b"no image")
    data = read_folders(tmp_path)
    assert data.splits["val"].name == "val"
    assert len(scan_folders(data, "train").samples) == 3


def test_images_that_cannot_be_used_are_named_and_left_out(tmp_path):
    class_folders(tmp_path, train=2)
    (tmp_path / "train/red/broken.jpg").write_bytes(b"\xff\xd8\xff nothing follows")
    (tmp_path / "train/red/notes.txt").write_text("not an image")
    shutil.copy(tmp_path / "train/red/0.png", tmp_path / "train/red/again.png")
    scan = scan_folders(read_folders(tmp_path), "train")
    assert (len(scan.samples), scan.corrupt, scan.duplicates) == (7, 1, 1)
    error, warning = scan.problems
    assert (error.path.name, error.severity) == ("broken.jpg", "error")
    assert "the same image" in warning.message
    assert warning.severity == "warning"


def test_links_are_followed_but_not_in_circles(tmp_path):
    class_folders(tmp_path / "data", train=1)
    class_folders(tmp_path / "elsewhere", train=2)
    red = tmp_path / "data/train/red"
    shutil.rmtree(red)
    red.symlink_to(tmp_path / "elsewhere/train/red")
    (tmp_path / "elsewhere/train/red/up").symlink_to(tmp_path / "elsewhere/train/red")
    (tmp_path / "data/train/green/gone.png").symlink_to(tmp_path / "nowhere.png")
    scan = scan_folders(read_folders(tmp_path / "data"), "train")
    assert [int(sample.classes[0]) for sample in scan.samples] == [0, 1, 2, 2]
    assert "does not exist" in scan.problems[0].message


def test_a_class_missing_in_val_is_a_warning(tmp_path):
    class_folders(tmp_path, train=1, val=1)
    shutil.rmtree(tmp_path / "val/green")
    scan = scan_folders(read_folders(tmp_path), "val")
    assert [int(sample.classes[0]) for sample in scan.samples] == [0, 2]
    assert [problem.message for problem in scan.problems] == ["`val` has no image of `green`"]


@pytest.mark.parametrize("name", ["größe", "猫", "a b", "C++ & co"])
def test_names_of_many_kinds(tmp_path, name):
    class_folders(tmp_path, train=1)
    (tmp_path / "train/red").rename(tmp_path / "train" / name)
    assert name in read_folders(tmp_path).names


def unknown_class(root):
    (root / "val/red").rename(root / "val/yellow")


def empty_class(root):
    (root / "train/yellow").mkdir()


def no_images(root):
    shutil.rmtree(root / "val")
    (root / "val/red").mkdir(parents=True)


def no_classes(root):
    shutil.rmtree(root / "train")
    (root / "train").mkdir()


def undecodable_name(root):
    (root / "train" / os.fsdecode(b"caf\xe9")).mkdir()


@pytest.mark.parametrize(
    ("spoil", "split", "message"),
    [
        (unknown_class, "val", "`yellow` does not match any of the classes blue, green, red"),
        (empty_class, "train", "`yellow` has no usable image"),
        (no_images, "val", "`val` has no images"),
        (no_classes, "train", "contains no class folders"),
        (undecodable_name, "train", "contains invalid characters"),
        (lambda root: None, "test", "has no `test`"),
    ],
)
def test_mistakes_are_named(tmp_path, spoil, split, message):
    spoil(class_folders(tmp_path, train=1, val=1))
    with pytest.raises(TfyoloError, match=message):
        scan_folders(read_folders(tmp_path), split)


def test_a_place_that_is_no_folder(tmp_path):
    with pytest.raises(TfyoloError, match="does not exist"):
        read_folders(tmp_path / "nowhere")
    (tmp_path / "file").touch()
    with pytest.raises(TfyoloError, match="is not a folder"):
        read_folders(tmp_path / "file")


def test_classes_are_numbered_as_a_model_has_them(tmp_path):
    data = read_folders(class_folders(tmp_path, train=1))
    mapped = data.with_names(("red", "yellow", "green", "blue"))
    assert sorted(int(s.classes[0]) for s in scan_folders(mapped, "train").samples) == [0, 2, 3]
    with pytest.raises(TfyoloError, match=r"`green` is not a class of the model; .* has: blue, red"):
        data.with_names(("blue", "red"))
    with pytest.raises(TfyoloError, match="the dataset has: blue, green, red; the model has: tench"):
        data.with_names(("tench", "goldfish", "shark"))  # as many, but others


@pytest.mark.parametrize("names", [("class0", "class1", "class2"), ("0", "1", "2")])
def test_folders_are_taken_in_order_for_a_model_without_names(tmp_path, names):
    data = read_folders(class_folders(tmp_path, train=1)).with_names(names)
    assert [int(s.classes[0]) for s in scan_folders(data, "train").samples] == [0, 1, 2]
    assert (data.names, data.by_name) == (names, False)


def test_images_outside_of_the_folders_of_classes_are_named(tmp_path):
    root = class_folders(tmp_path, train=1)
    for name in ("x.JPG", "y.png", "._y.png", "notes.txt"):
        (root / "train" / name).write_bytes(b"x")
    (problem,) = scan_folders(read_folders(root), "train").problems
    assert problem.message == "2 images are in no folder of a class; left out"


def test_kinds_that_cannot_be_read_are_named(tmp_path):
    root = class_folders(tmp_path, train=1)
    (root / "train/red/x.HEIC").write_bytes(b"x")
    (problem,) = scan_folders(read_folders(root), "train").problems
    assert "1 .heic; convert them" in problem.message
