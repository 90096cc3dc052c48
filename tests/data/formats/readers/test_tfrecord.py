"""TFRecord datasets: shards and indices that are not as they should be."""

import json

import numpy as np
import pytest

from tfyolo.data import synthetic as datasets
from tfyolo.data.detection.scan import read_dataset, scan_split
from tfyolo.data.formats.convert import ConvertOptions, convert_dataset
from tfyolo.data.images.read import ImageError, read_image, read_sample_image
from tfyolo.errors import TfyoloError


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """A dataset in two formats: (YOLO's YAML, folder of records)."""
    root = tmp_path_factory.mktemp("records")
    source = datasets.create_shapes_dataset(root / "shapes", 6, 1, 32)
    return source, convert_dataset(read_dataset(source), "tfrecord", root / "rec", ConvertOptions(shards=2))


@pytest.fixture
def folder(written, tmp_path):
    import shutil

    target = tmp_path / "rec"
    shutil.copytree(written[1].yaml_path.parent, target)
    return target


def scan(folder):
    return scan_split(read_dataset(folder / "rec.yaml"), "train", cache=False)


def spoil(folder, change):
    path = folder / "train.index.json"
    value = json.loads(path.read_text())
    change(value)
    path.write_text(json.dumps(value))


def test_images_by_span_are_those_of_the_files(written):
    before = scan_split(read_dataset(written[0]), "train", cache=False).samples
    after = scan_split(read_dataset(written[1].yaml_path), "train", cache=False)
    assert (after.problems, len(after.samples)) == ((), len(before))
    for old, new in zip(before, after.samples, strict=True):
        assert new.name == old.name
        np.testing.assert_array_equal(read_sample_image(new), read_image(old.image))
        np.testing.assert_array_equal(read_sample_image(old), read_image(old.image))


@pytest.mark.parametrize(("cut", "message"), [(10, "truncated"), (-4, "not the file"), (0, "damaged")])
def test_a_wrong_shard_is_named(folder, cut, message):
    shard = folder / "train-00001-of-00002.tfrecord"
    data = bytearray(shard.read_bytes())
    data[len(data) // 2] ^= 1
    shard.write_bytes(data[: len(data) - cut] if cut >= 0 else data + b"more")
    with pytest.raises(TfyoloError, match=message) as caught:
        scan(folder)
    assert caught.value.path == shard


def test_a_shard_that_is_not_there(folder):
    (folder / "train-00000-of-00002.tfrecord").unlink()
    with pytest.raises(TfyoloError, match="cannot be read: No such file or directory") as caught:
        scan(folder)
    assert caught.value.path.name == "train-00000-of-00002.tfrecord"


def test_a_shard_cut_after_the_scan(folder):
    samples = scan(folder).samples
    shard = samples[-1].image
    shard.write_bytes(shard.read_bytes()[: sum(samples[-1].span) - 1])
    with pytest.raises(ImageError, match="truncated"):
        read_sample_image(samples[-1])


def record(**changes):
    def change(value):
        value["records"][3].update(changes)

    return change


def shard(**changes):
    def change(value):
        value["shards"][0].update(changes)

    return change


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda value: value.update(kind="x"), "not an index"),
        (lambda value: value.update(version=9), "version 9"),
        (lambda value: value.pop("records"), "no list `records`"),
        (shard(file="../train-00000-of-00002.tfrecord"), "points outside"),
        (shard(file="/etc/passwd"), "points outside"),
        (shard(file=3), "no `file`"),
        (shard(bytes=10**400), "no `file` and `bytes`"),
        (shard(sha256=None), "damaged"),
        (record(shard=2), "no valid `shard`"),
        (record(shard=-1), "no valid `shard`"),
        (record(offset=1.5), "no valid `shard`"),
        (record(length=10**400), "no valid `shard`"),
        (record(length=0), "no valid `shard`"),
        (record(name=None), "no `name`"),
        (record(classes=[0] * 99), "number of classes differs"),
        (record(classes=[7], boxes_xywh_norm=[[0.5] * 4]), "not one of 0 to 2"),
        (record(classes=[10**40], boxes_xywh_norm=[[0.5] * 4]), "not numbers"),
        (record(classes=[0], boxes_xywh_norm=[[0.5, 0.5, float("nan"), 0.5]]), "outside 0..1"),
        (record(classes=[0], boxes_xywh_norm=[[0.5, 0.5, 1e999, 0.5]]), "outside 0..1"),
        (record(classes=[0], boxes_xywh_norm=[[0.5, 0.5, 0, 0.5]]), "no area"),
        (record(boxes_xywh_norm="x"), "not numbers"),
        (record(classes=None), "not numbers"),
        (record(polygons_norm=[[[1]]]), "not numbers"),
    ],
)
def test_a_wrong_index(folder, change, message):
    spoil(folder, change)
    with pytest.raises(TfyoloError, match=message) as caught:
        scan(folder)
    assert caught.value.fix


def test_a_span_that_is_no_image_leaves_it_out(folder):
    spoil(folder, record(offset=0))
    result = scan(folder)
    assert (len(result.samples), result.corrupt) == (5, 1)
    spoil(folder, record(offset=10**9))
    assert "truncated" in scan(folder).problems[0].message


def test_names_must_be_those_of_the_index(folder):
    path = folder / "rec.yaml"
    path.write_text(path.read_text().replace("circle", "ball"))
    with pytest.raises(TfyoloError, match="`names` differ from those") as caught:
        scan(folder)
    assert "circle" in caught.value.fix


def test_a_shard_in_place_of_the_index(folder):
    path = folder / "rec.yaml"
    path.write_text(path.read_text().replace("train.index.json", "train-00000-of-00002.tfrecord"))
    with pytest.raises(TfyoloError, match="is a shard"):
        scan(folder)
    path.write_text(path.read_text().replace("train-00000-of-00002.tfrecord", "."))
    assert len(scan(folder).samples) == 6


def test_a_record_that_is_listed_twice_is_named(folder):
    spoil(
        folder,
        lambda value: value["records"].append({**value["records"][0], "classes": [], "boxes_xywh_norm": []}),
    )
    result = scan(folder)
    assert (len(result.samples), result.duplicates) == (6, 1)
    assert len(result.samples[0].classes) > 0
    assert "`records[6]` is the same record" in result.problems[0].message
