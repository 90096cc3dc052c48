"""Conversion of polygons between dataset formats."""

import numpy as np
import pytest

from tests.data.formats.readers.sets import annotation, coco, coco_value, data_yaml, write_image
from tests.data.formats.test_convert import assert_same, samples
from tests.shared import SHARED, needs_shared
from tfyolo.data.detection.scan import Dataset, read_dataset, scan_split
from tfyolo.data.formats.convert import ConvertOptions, convert_dataset
from tfyolo.errors import TfyoloError


@needs_shared
def test_polygons_of_real_objects_survive(tmp_path):
    root = SHARED / "data/coco128"
    names = read_dataset(root / "coco128.yaml").names
    dataset = Dataset(root / "x.yaml", names, {"train": (root / "instances_train2017.json",)}, root=root)
    done = convert_dataset(dataset, "yolo", tmp_path / "yolo", ConvertOptions(link=False))
    before, after = scan_split(dataset, "train", cache=False).samples, samples(done.yaml_path)
    assert_same(before, after)
    pairs = [
        pair
        for old, new in zip(before, after, strict=True)
        for pair in zip(old.polygons_norm, new.polygons_norm, strict=True)
    ]
    kept = sum(len(old) == len(new) and bool(np.allclose(old, new, atol=1e-6)) for old, new in pairs)
    assert kept > 0.5 * len(pairs)


@pytest.fixture(scope="module")
def polygons(tmp_path_factory):
    """Polygons, in parts and in boxes that they do not fill, a run-length encoded mask, and a plain box."""
    parts = [[4, 4, 20, 6, 12, 30], [40, 12, 56, 12, 56, 36]]
    rows = [
        annotation([4, 4, 52, 32], segmentation=parts),
        annotation([1.5, 2, 30, 30], 3, segmentation=[[3, 4, 20.123, 6, 12, 30.5, 5, 20]]),
        annotation(
            [10, 10, 20, 16], 3, segmentation={"size": [48, 64], "counts": [490, 16] + [32, 16] * 10 + [2086]}
        ),
        annotation([0, 0, 5, 5]),
    ]
    return coco(tmp_path_factory.mktemp("polygons"), coco_value(*rows))


def assert_same_polygons(before, after):
    for old, new in zip(before, after, strict=True):
        for a, b in zip(old.polygons_norm, new.polygons_norm, strict=True):
            assert a.shape == b.shape
            np.testing.assert_allclose(a, b, atol=2e-6)


@pytest.mark.parametrize("way", [("coco",), ("tfrecord",), ("coco", "tfrecord", "coco")])
def test_polygons_survive_every_format_that_has_them(polygons, tmp_path, way):
    path = polygons
    for number, to in enumerate(way):
        done = convert_dataset(read_dataset(path), to, tmp_path / str(number), ConvertOptions(["train"]))
        assert done.polygons_lost == 0
        path = done.yaml_path
    assert [len(polygon) for polygon in samples(path)[0].polygons_norm] == [8, 4, 4, 0]
    assert_same(samples(polygons), samples(path))
    assert_same_polygons(samples(polygons), samples(path))


def test_yolo_has_polygons_or_boxes(polygons, tmp_path):
    dataset = read_dataset(polygons)
    boxes = convert_dataset(dataset, "yolo", tmp_path / "boxes", ConvertOptions(["train"]))
    assert boxes.polygons_lost == 2
    assert_same(samples(polygons), samples(boxes.yaml_path))
    kept = convert_dataset(dataset, "yolo", tmp_path / "kept", ConvertOptions(["train"], polygons=True))
    assert kept.polygons_lost == 0
    (before,), (after,) = samples(polygons), samples(kept.yaml_path)
    for a, b in list(zip(before.polygons_norm, after.polygons_norm, strict=True))[:3]:
        np.testing.assert_allclose(a, b, atol=2e-6)
    assert len(after.polygons_norm[3]) == 4  # beside polygons a box is one too
    with pytest.raises(TfyoloError, match="voc does not support polygons"):
        convert_dataset(dataset, "voc", tmp_path / "voc", ConvertOptions(polygons=True))


def test_masks_become_polygons_of_other_formats(tmp_path):
    from PIL import Image

    write_image(tmp_path / "images/train/a.jpg", (64, 48))
    mask = np.zeros((48, 64), np.uint8)
    mask[4:20, 4:20], mask[30:40, 30:60] = 1, 2
    (tmp_path / "masks/train/cat").mkdir(parents=True)
    Image.fromarray(mask).save(tmp_path / "masks/train/cat/a.png")
    path = data_yaml(tmp_path, train="images/train")
    for to in ("yolo", "coco", "tfrecord"):
        options = ConvertOptions(polygons=True)
        done = convert_dataset(read_dataset(path), to, tmp_path / to, options)
        assert_same_polygons(samples(path), samples(done.yaml_path))
