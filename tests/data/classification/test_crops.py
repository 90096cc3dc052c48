"""Boxes cut into folders of classes."""

import json

import numpy as np
import pytest
from PIL import Image

from tfyolo.data import synthetic as datasets
from tfyolo.data.classification.crops import CropOptions, class_folders, crop_dataset, crop_places
from tfyolo.data.classification.folders import read_folders, scan_folders
from tfyolo.data.detection.scan import Dataset, Sample, read_dataset, scan_split
from tfyolo.data.images.read import read_image
from tfyolo.errors import TfyoloError


def sample(*boxes, hw=(100, 200)):
    """An image with these boxes, left, top, right, bottom in pixels."""
    corners = np.array(boxes, np.float64) / np.array([hw[1], hw[0]] * 2)
    xywh = np.concatenate([(corners[:, :2] + corners[:, 2:]) / 2, corners[:, 2:] - corners[:, :2]], 1)
    return Sample("a.jpg", hw, np.zeros(len(boxes), np.int64), xywh.astype(np.float32))


@pytest.mark.parametrize(
    ("box", "margin", "square", "expected"),
    [
        ((20, 30, 60, 50), 0.0, False, (20, 30, 60, 50)),
        ((20, 30, 60, 50), 0.1, False, (16, 28, 64, 52)),
        ((20, 30, 60, 50), 0.0, True, (20, 20, 60, 60)),
        ((20, 30, 60, 50), 0.5, True, (0, 0, 80, 80)),
        ((0, 30, 40, 50), 0.0, True, (0, 20, 40, 60)),
        ((0, 0, 40, 20), 0.25, False, (0, 0, 50, 25)),  # cut at the edges
        ((0, 0, 40, 20), 0.0, True, (0, 0, 40, 40)),  # moved inside
        ((160, 90, 200, 100), 0.0, True, (160, 60, 200, 100)),
        ((0, 0, 200, 100), 0.0, True, (0, 0, 200, 100)),  # larger than the image is high
    ],
)
def test_where_boxes_are_cut(box, margin, square, expected):
    assert crop_places(sample(box), margin, square).tolist() == [list(expected)]


def test_no_boxes_no_places():
    empty = Sample("a.jpg", (10, 10), np.zeros(0, np.int64), np.zeros((0, 4), np.float32))
    assert crop_places(empty, 0.1, True).shape == (0, 4)


@pytest.fixture(scope="module")
def shapes(tmp_path_factory):
    return datasets.create_shapes_dataset(tmp_path_factory.mktemp("shapes"), train=6, val=3, image_size=64)


@pytest.mark.parametrize("kind", ["png", "jpg"])
def test_every_box_becomes_a_image_of_its_class(shapes, tmp_path, kind):
    seen = []
    done = crop_dataset(
        read_dataset(shapes),
        tmp_path / "crops",
        CropOptions(margin=0.0, format=kind, workers=3),
        lambda label, done, total: seen.append((label, done, total)),
    )
    assert seen[-1] == ("cropping boxes", 9, 9)
    data = read_folders(tmp_path / "crops")
    assert data.names == ("circle", "rectangle", "triangle")
    for split in ("train", "val"):
        labeled = scan_split(read_dataset(shapes), split, cache=False).samples
        assert sum(done.counts[split].values()) == sum(len(s.classes) for s in labeled)
        files = [s.image for s in scan_folders(data, split).samples]
        assert len(files) == sum(done.counts[split].values())
        for image in labeled:
            pixels = read_image(image.image)
            for index, (left, top, right, bottom) in enumerate(crop_places(image, 0.0, False)):
                name = done.folder / split / data.names[image.classes[index]]
                crop = read_image(name / f"{image.image.stem}_{index + 1}.{kind}")
                difference = crop.astype(int) - pixels[top:bottom, left:right]
                assert np.abs(difference).mean() <= (0 if kind == "png" else 12)
    assert done.small == 0
    assert done.problems == ()


def test_small_boxes_and_splits_are_left_out(shapes, tmp_path):
    done = crop_dataset(read_dataset(shapes), tmp_path / "crops", CropOptions(("train",), min_size=16))
    assert list(done.counts) == ["train"]
    boxes = scan_split(read_dataset(shapes), "train", cache=False).samples
    sides = np.concatenate([s.boxes_xywh_norm[:, 2:].min(1) * 64 for s in boxes])
    assert done.small == (sides < 15.99).sum() > 0
    assert not (tmp_path / "crops/val").exists()


def test_images_of_one_name_in_two_folders_do_not_meet(tmp_path):
    for folder in "ab":
        (tmp_path / f"images/{folder}").mkdir(parents=True)
        (tmp_path / f"labels/{folder}").mkdir(parents=True)
        Image.new("RGB", (32, 32), (0, 50 * ord(folder) % 255, 0)).save(tmp_path / f"images/{folder}/1.png")
        (tmp_path / f"labels/{folder}/1.txt").write_text("0 0.5 0.5 0.5 0.5\n")
    (tmp_path / "data.yaml").write_text(json.dumps({"train": "images", "names": ["../x/y"]}))
    done = crop_dataset(read_dataset(tmp_path / "data.yaml"), tmp_path / "crops", CropOptions())
    assert done.counts == {"train": {"../x/y": 2}}
    names = sorted(str(p.relative_to(done.folder)) for p in done.folder.rglob("*.jpg"))
    assert names == ["train/_x_y/1_1.jpg", "train/_x_y/1_2_1.jpg"]


def test_what_breaks_off_leaves_nothing(shapes, tmp_path):
    def stop(label, done, total):
        if label == "cropping boxes" and done == 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        crop_dataset(read_dataset(shapes), tmp_path / "crops", None, stop)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_in_use_is_refused(shapes, tmp_path):
    (tmp_path / "mine.txt").touch()
    with pytest.raises(TfyoloError, match="is not an empty folder"):
        crop_dataset(read_dataset(shapes), tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["mine.txt"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (CropOptions(margin=-0.1), "--margin must be between 0 and 10, not -0.1"),
        (CropOptions(format="gif"), "use jpg or png"),
        (CropOptions(min_size=65), "`train` has no boxes to crop"),
        (CropOptions(("test",)), "has no `test`"),
    ],
)
def test_mistakes_are_named(shapes, tmp_path, options, message):
    with pytest.raises(TfyoloError, match=message):
        crop_dataset(read_dataset(shapes), tmp_path / "crops", options)
    assert not (tmp_path / "crops").exists()


def test_classes_that_would_share_a_folder_are_refused(tmp_path):
    data = Dataset(tmp_path / "a.yaml", ("a/b", "A_b"), {})
    with pytest.raises(TfyoloError, match="`a_b` and `A_b` would share the folder"):
        class_folders(data)
