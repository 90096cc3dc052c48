"""Datasets from one format to another and back."""

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from tests.data.formats.readers.sets import data_yaml, write_image
from tests.shared import SHARED, needs_shared
from tfyolo.data import synthetic as datasets
from tfyolo.data.detection.scan import Dataset, Sample, read_dataset, scan_split
from tfyolo.data.detection.yolo_labels import label_path
from tfyolo.data.formats.convert import ConvertOptions, convert_dataset
from tfyolo.data.formats.writers.base import Names
from tfyolo.data.formats.writers.table import WRITERS
from tfyolo.data.images.read import read_sample_image
from tfyolo.errors import TfyoloError


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    """Polygons, a box, a background, images of one name in two folders, and names that need care."""
    root = tmp_path_factory.mktemp("source")
    for index, name in enumerate(("a/1.jpg", "b/1.png", "b/zwei 2.jpg")):
        write_image(root / f"images/{name}", (113, 77), 60 * index)
    (root / "labels/a").mkdir(parents=True)
    (root / "labels/b").mkdir(parents=True)
    (root / "labels/a/1.txt").write_text("2 0.123456 0.654321 0.2 0.1\n0 0.7 0.7 0.011111 0.033333\n")
    (root / "labels/b/1.txt").write_text("1 0.1 0.2 0.5 0.3 0.3 0.8\n0 0.5 0.5 1 1\n")
    names = ["no", "a & <b>", "größe: 3"]
    (root / "data.yaml").write_text(json.dumps({"train": "images", "val": "images/b", "names": names}))
    return root / "data.yaml"


def samples(path, split="train"):
    return scan_split(read_dataset(path), split, cache=False).samples


def assert_same(before, after):
    assert len(before) == len(after)
    for old, new in zip(before, after, strict=True):
        assert new.hw == old.hw
        np.testing.assert_array_equal(new.classes, old.classes)
        np.testing.assert_array_equal(read_sample_image(new), read_sample_image(old))
        size = np.tile(old.boxes_xywh_norm[:, 2:], 2)
        assert (np.abs(new.boxes_xywh_norm - old.boxes_xywh_norm) <= 1e-4 * size).all()


@pytest.mark.parametrize("to", WRITERS)
def test_round_trip(source, tmp_path, to):
    first = convert_dataset(read_dataset(source), to, tmp_path / "first")
    dataset = read_dataset(first.yaml_path)
    assert dataset.names == ("no", "a & <b>", "größe: 3")
    assert dataset.format == to
    for split in ("train", "val"):
        scan = scan_split(dataset, split, cache=False)
        assert scan.problems == ()
        assert_same(samples(source, split), scan.samples)
    again = convert_dataset(dataset, "yolo", tmp_path / "again")
    assert_same(samples(source), samples(again.yaml_path))
    assert (first.boxes, again.boxes) == (6, 6)
    kept = [len(polygon) for sample in samples(again.yaml_path) for polygon in sample.polygons_norm]
    assert kept == ([] if to == "voc" else [3, 4])  # beside a polygon a box is one too
    assert first.polygons_lost == (2 if to == "voc" else 0)


@pytest.mark.parametrize("to", WRITERS)
def test_round_trip_of_many_boxes_and_sizes(tmp_path, to):
    random = np.random.default_rng(0)
    for index, wh in enumerate([(31, 1999), (640, 480), (4001, 33)]):
        write_image(tmp_path / f"images/{index}.png", wh, index)
        wide = random.uniform(0.01, 0.6, (40, 2))
        center = random.uniform(wide / 2, 1 - wide / 2)
        rows = np.column_stack([random.integers(0, 3, 40), center, wide])
        (tmp_path / "labels").mkdir(exist_ok=True)
        np.savetxt(tmp_path / f"labels/{index}.txt", rows, "%g %.7f %.7f %.7f %.7f")
    path = data_yaml(tmp_path, train="images")
    done = convert_dataset(read_dataset(path), to, tmp_path / "out")
    assert_same(samples(path), samples(done.yaml_path))


@needs_shared
def test_whole_corners_stay_whole(tmp_path):
    root = SHARED / "data/bccd"
    lists = {"test": (root / "ImageSets/Main/test.txt",)}
    dataset = Dataset(root / "x.yaml", ("Platelets", "RBC", "WBC"), lists)
    done = convert_dataset(dataset, "voc", tmp_path / "voc")
    assert done.boxes == 945
    text = (done.yaml_path.parent / "Annotations/BloodImage_00007.xml").read_text()
    for line in (root / "Annotations/BloodImage_00007.xml").read_text().splitlines():
        if "<xm" in line or "<ym" in line:
            assert line.strip() in text


def test_records_as_tensorflow_reads_them(source, tmp_path):
    import tensorflow as tf

    done = convert_dataset(read_dataset(source), "tfrecord", tmp_path / "rec", ConvertOptions(shards=2))
    folder = done.yaml_path.parent
    shards = sorted(str(path) for path in folder.glob("train-*-of-00002.tfrecord"))
    assert len(shards) == 2
    rows = [tf.train.Example.FromString(row.numpy()) for row in tf.data.TFRecordDataset(shards)]
    found = samples(done.yaml_path)
    assert len(rows) == len(found) == 3
    for row, sample in zip(rows, found, strict=True):
        features = row.features.feature

        def real(key, features=features):
            return np.array(features[key].float_list.value)

        (encoded,) = features["image/encoded"].bytes_list.value
        offset, length = sample.span
        with sample.image.open("rb") as stream:
            stream.seek(offset)
            assert stream.read(length) == encoded
        height, width = (features[f"image/{key}"].int64_list.value[0] for key in ("height", "width"))
        assert (height, width) == sample.hw == (77, 113)
        assert features["image/filename"].bytes_list.value[0].decode() == sample.name
        assert features["image/format"].bytes_list.value[0] in (b"jpeg", b"png")
        labels = np.array(features["image/object/class/label"].int64_list.value, int)
        np.testing.assert_array_equal(labels - 1, sample.classes)
        low, high = (
            np.stack([real(f"image/object/bbox/{axis}{end}") for axis in "xy"], 1) for end in ("min", "max")
        )
        np.testing.assert_allclose((low + high) / 2, sample.boxes_xywh_norm[:, :2], atol=1e-6)
        np.testing.assert_allclose(high - low, sample.boxes_xywh_norm[:, 2:], atol=1e-6)
        counts = list(features["image/object/polygon/count"].int64_list.value)
        assert counts == list(map(len, sample.polygons_norm))
        points = np.stack([real("image/object/polygon/x"), real("image/object/polygon/y")], 1)
        np.testing.assert_allclose(points, np.concatenate([np.zeros((0, 2)), *sample.polygons_norm]))
    index = json.loads((folder / "train.index.json").read_text())
    for shard in index["shards"]:
        assert (folder / shard["file"]).stat().st_size == shard["bytes"]
    assert [shard["records"] for shard in index["shards"]] == [2, 1]
    assert "größe" in json.loads('"' + (folder / "label_map.pbtxt").read_text().split('"')[5] + '"')


def test_classes_to_keep(source, tmp_path):
    options = ConvertOptions(["train"], ["größe: 3", "no"])
    done = convert_dataset(read_dataset(source), "coco", tmp_path / "some", options)
    dataset = read_dataset(done.yaml_path)
    assert (dataset.names, list(dataset.splits)) == (("größe: 3", "no"), ["train"])
    assert [sample.classes.tolist() for sample in samples(done.yaml_path)] == [[0, 1], [1], []]
    with pytest.raises(TfyoloError, match="größe") as caught:
        convert_dataset(read_dataset(source), "coco", tmp_path / "x", ConvertOptions(names=["Größe: 3"]))
    assert "did you mean `größe: 3`" in caught.value.fix


def test_links_and_copies(source, tmp_path):
    for link in (True, False):
        done = convert_dataset(read_dataset(source), "yolo", tmp_path / str(link), ConvertOptions(link=link))
        for old, new in zip(samples(source), samples(done.yaml_path), strict=True):
            assert new.image.samefile(old.image) == link
    with pytest.raises(TfyoloError, match="cannot link"):
        convert_dataset(read_dataset(source), "tfrecord", tmp_path / "x", ConvertOptions(link=True))


def test_output_that_is_not_empty(tmp_path):
    source = datasets.create_shapes_dataset(tmp_path / "shapes", 2, 1, 16)
    dataset, output = read_dataset(source), tmp_path / "out"
    (output / "images/train").mkdir(parents=True)
    (output / "images/train/old.png").write_text("old")
    (output / "mine.txt").write_text("mine")
    os.mkfifo(output / "pipe.yaml")  # which nobody writes to
    with pytest.raises(TfyoloError, match="not an empty folder"):
        convert_dataset(dataset, "yolo", output)
    with pytest.raises(TfyoloError, match="not an empty folder"):
        convert_dataset(dataset, "yolo", output / "mine.txt")
    again = ConvertOptions(exist_ok=True)
    with pytest.raises(TfyoloError, match=r"images/train: cannot be replaced: it contains `old\.png`"):
        convert_dataset(dataset, "yolo", output, again)  # these images may be anyone's
    (output / "images/train/old.png").rename(output / "old.png")
    convert_dataset(dataset, "yolo", output, again)
    (output / "old.png").rename(output / "images/train/old.png")
    (output / "images/train/notes.doc").write_text("mine")
    with pytest.raises(TfyoloError, match=r"it contains `notes\.doc`"):
        convert_dataset(dataset, "yolo", output, again)
    (output / "images/train/notes.doc").unlink()
    done = convert_dataset(dataset, "yolo", output, again)
    assert (output / "mine.txt").read_text() == "mine"
    assert sorted(path.name for path in (output / "images/train").iterdir()) == ["00000.png", "00001.png"]
    assert len(samples(done.yaml_path)) == 2
    assert not [path for path in output.iterdir() if path.name.startswith(".")]
    with pytest.raises(TfyoloError, match="contains images of the dataset"):
        convert_dataset(dataset, "yolo", source.parent, ConvertOptions(exist_ok=True))


def test_a_run_that_is_stopped_leaves_nothing(source, tmp_path):
    def stop(label, done, total):
        if label.startswith("writing") and done == 2:
            raise KeyboardInterrupt

    for to in WRITERS:
        with pytest.raises(KeyboardInterrupt):
            convert_dataset(read_dataset(source), to, tmp_path / "out", progress=stop)
    assert list(tmp_path.iterdir()) == []


def test_progress_and_problems(source, tmp_path):
    root = tmp_path / "in"
    shutil.copytree(source.parent, root)
    (root / "images/b/zwei 2.jpg").write_bytes(b"\xff\xd8\xff")
    calls = []
    done = convert_dataset(
        read_dataset(root / "data.yaml"),
        "voc",
        tmp_path / "out",
        ConvertOptions(["train"]),
        lambda *call: calls.append(call),
    )
    assert calls[-1] == ("writing voc", 2, 2)
    assert done.scans["train"].corrupt == 1
    assert len(samples(done.yaml_path)) == 2
    for path in (root / "images").rglob("*.*g"):
        path.write_bytes(b"")
    with pytest.raises(TfyoloError, match=r"none of the images in `train` can be used: .*: "):
        convert_dataset(read_dataset(root / "data.yaml"), "voc", tmp_path / "none")


@pytest.mark.parametrize(
    ("record", "expected"),
    [
        ("../../x.jpg", "x.jpg"),
        ("C:\\a\\x.PNG", "x.PNG"),
        ("..", "image.jpg"),
        (".hidden.jpg", "hidden.jpg"),
        ("a\nb\0c.jpg", "a_b_c.jpg"),
        ("no ending", "no ending.jpg"),
        ("x.jpg/", "s.jpg"),
        ("w" * 999 + ".jpg", "w" * 200 + ".jpg"),
        ("größe (1).jpg", "größe (1).jpg"),
    ],
)
def test_names_of_images_lead_nowhere(tmp_path, record, expected):
    empty = np.zeros(0)
    sample = Sample(tmp_path / "s.jpg", (1, 1), empty, empty, (), (0, 1), record)
    assert Names().of(sample) == expected


def test_record_names_cannot_leave_the_output(tmp_path):
    source = datasets.create_shapes_dataset(tmp_path / "shapes", 1, 1, 16)
    records = convert_dataset(read_dataset(source), "tfrecord", tmp_path / "rec")
    path = records.yaml_path.parent / "train.index.json"
    value = json.loads(path.read_text())
    value["records"][0]["name"] = "../../../escaped.png"
    path.write_text(json.dumps(value))
    convert_dataset(
        read_dataset(records.yaml_path), "voc", tmp_path / "deep/er/voc", ConvertOptions(["train"])
    )
    assert (tmp_path / "deep/er/voc/JPEGImages/escaped.png").is_file()
    assert len(list(tmp_path.rglob("escaped*"))) == 2


AWKWARD = (
    "1.jpg",
    "1.png.jpg",
    "cat.jpg.jpg",
    "CAT.JPEG",
    "a b.png",
    "x 1.jpg",
    "x -1.jpg",
    "x.jpg",
    "-1.jpg",
    "0.png",
    "größe.jpg",
    "e\u0301.jpg",
    "日" * 83 + ".jpg",
    "a" * 250 + ".jpg",
    "😀.jpg",
    "😁.jpg",
    'it\'s "q".jpg',
    "new\nline.jpg",
    "tab\t.jpg",
    "n.tar.gz.png",
    "end .jpg",
    "end.jpg",
    "images.jpg",
    "labels.png",
    "[1].jpg",
    "50%.jpg",
    "#.jpg",
    "&amp;.jpg",
    "a,b.jpg",
    "ab.txt.jpg",
    "back\\slash.jpg",
    "c.xml.jpg",
    "train/1.bmp",
    "val/1.webp",
    "images/1.png",
    "labels/1.jpg",
)
"""File names that one format or another may trip over."""


def contents(path):
    """Class names, boxes and pixels of every image, by its pixels: names change on the way."""
    dataset = read_dataset(path)
    result = scan_split(dataset, "train", cache=False)
    assert (result.corrupt, result.problems) == (0, ())
    return {
        read_sample_image(sample).tobytes(): sorted(
            (dataset.names[number], *np.round(box, 5).tolist())
            for number, box in zip(sample.classes.tolist(), sample.boxes_xywh_norm, strict=True)
        )
        for sample in result.samples
    }


@pytest.fixture(scope="module")
def awkward(tmp_path_factory):
    """An image of its own color for each name, with one to three boxes, and names like numbers."""
    root = tmp_path_factory.mktemp("awkward")
    random = np.random.default_rng(0)
    names = ["no", "010", "12:30", "a & <b>", "null", "größe: 3", "'"]
    for index, name in enumerate(AWKWARD):
        image = write_image(root / "images" / name, (16, 12), 6 * index)
        low = random.integers(0, 4, (1 + index % 3, 2)) / 8
        rows = [[random.integers(len(names)), *(corner + 0.25), 0.5, 0.5] for corner in low]
        label = label_path(image)
        label.parent.mkdir(parents=True, exist_ok=True)
        label.write_text("".join(" ".join(map(str, row)) + "\n" for row in {tuple(row) for row in rows}))
    return data_yaml(root, train="images", names=names)


@pytest.mark.parametrize("through", WRITERS)
def test_no_format_loses_images_of_awkward_names(awkward, tmp_path, through):
    expected = contents(awkward)
    assert len(expected) == len(AWKWARD)
    path = awkward
    for number, to in enumerate((through, "voc", "yolo")):
        path = convert_dataset(read_dataset(path), to, tmp_path / str(number)).yaml_path
        assert contents(path) == expected


def test_names_of_any_length_and_letters_stay_apart():
    names, empty = Names(), np.zeros(0)
    given = [names.of(Sample(Path(f"{i}/" + "日" * 83 + ".jpg"), (1, 1), empty, empty)) for i in range(12)]
    assert len(set(given)) == 12
    assert max(len(name.encode()) for name in given) < 255
