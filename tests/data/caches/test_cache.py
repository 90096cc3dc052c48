"""Scans that are kept, and scans that must not be."""

import io
import os
import zipfile

import numpy as np
import pytest

from tests.data.formats.readers.sets import annotation, coco, coco_value, data_yaml, voc, write_image, xml
from tfyolo.data import synthetic as datasets
from tfyolo.data.detection import scan as dataset_module
from tfyolo.data.detection.scan import read_dataset, scan_split
from tfyolo.data.formats.convert import convert_dataset
from tfyolo.data.images.read import read_header


@pytest.fixture(autouse=True)
def cache_home(tmp_path, monkeypatch):
    monkeypatch.delenv("TFYOLO_CACHE", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def looked(monkeypatch):
    """The images whose headers were read."""
    seen = []

    def read(path):
        seen.append(path)
        return read_header(path)

    monkeypatch.setattr(dataset_module, "read_header", read)
    return seen


@pytest.fixture
def root(tmp_path):
    """Two images, one with a polygon and a warning, and one that is damaged."""
    for index, name in enumerate("abc"):
        write_image(tmp_path / f"set/images/train/{name}.png", color=9 * index)
    (tmp_path / "set/images/train/c.png").write_bytes(b"")
    labels = tmp_path / "set/labels/train"
    labels.mkdir(parents=True)
    (labels / "a.txt").write_text("1 0.1 0.2 0.5 0.3 0.3 0.8\n0 0.5 0.5 1 1\n0 0.5 0.5 1 1\n")
    data_yaml(tmp_path / "set", train="images/train")
    return tmp_path / "set"


def scan(root):
    return scan_split(read_dataset(root / "data.yaml"), "train")


def cache_file(root):
    return root / "labels/.tfyolo-train.cache.npz"


def assert_equal(first, second):
    assert first.problems == second.problems
    assert first.summary() == second.summary()
    assert len(first.samples) == len(second.samples)
    for one, other in zip(first.samples, second.samples, strict=True):
        assert (one.image, one.hw, one.span, one.record) == (other.image, other.hw, other.span, other.record)
        arrays = ((s.classes, s.boxes_xywh_norm, *s.polygons_norm) for s in (one, other))
        for a, b in zip(*arrays, strict=True):
            assert a.dtype == b.dtype
            np.testing.assert_array_equal(a, b)


def test_second_scan_reads_no_image(root, looked):
    first = scan(root)
    assert len(looked) == 3
    calls = []
    second = scan_split(read_dataset(root / "data.yaml"), "train", progress=lambda *call: calls.append(call))
    assert len(looked) == 3
    assert calls == [(3, 3)]
    assert_equal(first, second)
    assert second.samples[0].boxes_xywh_norm.flags.writeable
    assert [sample.polygons_norm != () for sample in second.samples] == [True, False]


def test_no_cache_if_not_wanted(root):
    scan_split(read_dataset(root / "data.yaml"), "train", cache=False)
    assert not cache_file(root).exists()


def test_every_format_is_kept(tmp_path, looked):
    shapes = read_dataset(datasets.create_shapes_dataset(tmp_path / "shapes", 3, 1, 16))
    convert_dataset(shapes, "tfrecord", tmp_path / "shapes-rec")
    paths = [
        voc(tmp_path / "voc", a=xml(("dog", 1, 2, 30, 40)), b=None),
        coco(tmp_path / "coco", coco_value(annotation([1, 2, 3, 4], segmentation=[[1, 2, 4, 2, 4, 6]]))),
        tmp_path / "shapes-rec/shapes-rec.yaml",
    ]
    for path in paths:
        dataset = read_dataset(path)
        first = scan_split(dataset, "train")
        count = len(looked)
        assert_equal(first, scan_split(dataset, "train"))
        assert len(looked) == count
        assert len(list(path.parent.glob(".tfyolo-train.cache.npz"))) == 1


def touch(path, text=None):
    """Another time of change, as any real change brings."""
    if text is not None:
        path.write_text(text)
    os.utime(path, ns=(1, path.stat().st_mtime_ns + 1))


def same_size_and_time(root):
    path = root / "labels/train/a.txt"
    state = path.stat()
    path.write_text(path.read_text().replace("1 0.1 0.2", "2 0.1 0.2"))
    os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns))


def image_of_the_same_size_and_time(root, replaced):
    """Its EXIF orientation mended by a tool that keeps the time, in place or by a new file."""
    path = root / "images/train/a.png"
    state, data = path.stat(), path.read_bytes()
    if replaced:
        path.with_suffix(".new").write_bytes(data)
        path.with_suffix(".new").replace(path)
    else:
        path.write_bytes(data)
    os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns))
    assert (path.stat().st_size, path.stat().st_mtime_ns) == (state.st_size, state.st_mtime_ns)


CHANGES = {
    "image mended in place": lambda root: image_of_the_same_size_and_time(root, replaced=False),
    "image replaced": lambda root: image_of_the_same_size_and_time(root, replaced=True),
    "label": same_size_and_time,
    "new label": lambda root: (root / "labels/train/b.txt").write_text(""),
    "label gone": lambda root: (root / "labels/train/a.txt").unlink(),
    "stray label": lambda root: (root / "labels/train/z.txt").write_text(""),
    "image": lambda root: touch(root / "images/train/a.png"),
    "image mended": lambda root: write_image(root / "images/train/c.png"),
    "new image": lambda root: write_image(root / "images/train/d.png"),
    "image gone": lambda root: (root / "images/train/b.png").unlink(),
    "names": lambda root: data_yaml(root, train="images/train", names=["x", "y", "z"]),
    "cut": lambda root: cache_file(root).write_bytes(cache_file(root).read_bytes()[:-50]),
    "text": lambda root: cache_file(root).write_text("{}"),
    "nothing": lambda root: cache_file(root).write_text(""),
    "folder": lambda root: (cache_file(root).unlink(), cache_file(root).mkdir()),
    "gone": lambda root: cache_file(root).unlink(),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_is_seen(root, looked, change):
    scan(root)
    CHANGES[change](root)
    looked.clear()
    fresh = scan(root)
    assert looked
    assert_equal(fresh, scan_split(read_dataset(root / "data.yaml"), "train", cache=False))
    looked.clear()
    assert_equal(fresh, scan(root))
    assert not looked


def rewritten(root, compress=zipfile.ZIP_STORED, **changes):
    with np.load(cache_file(root)) as arrays:
        values = {**{name: arrays[name] for name in arrays.files}, **changes}
    with zipfile.ZipFile(cache_file(root), "w", compress) as archive:
        for name, value in values.items():
            data = io.BytesIO()
            np.lib.format.write_array(data, value, allow_pickle=True)
            archive.writestr(f"{name}.npy", data.getvalue())


class Exploit:
    def __reduce__(self):
        return (os.mkdir, ("exploited",))


@pytest.mark.parametrize(
    "changes",
    [
        {"classes": np.array([7, 7])},
        {"classes": np.array([Exploit(), 1], object)},
        {"classes": np.array([0.5, 1])},
        {"boxes": np.array([2, 5])},
        {"boxes": np.array([3, -1])},
        {"image": np.array([0, 99])},
        {"xy": np.zeros((0, 2), np.float32)},
        {"meta": np.array([Exploit()], object)},
        {"compress": zipfile.ZIP_DEFLATED},
    ],
)
def test_a_made_up_cache_is_passed_over(root, looked, tmp_path, monkeypatch, changes):
    monkeypatch.chdir(tmp_path)
    first = scan(root)
    rewritten(root)
    looked.clear()
    scan(root)
    assert not looked  # rewritten as it was, it is used
    rewritten(root, **changes)
    assert_equal(first, scan(root))
    assert looked
    assert not (tmp_path / "exploited").exists()


@pytest.mark.parametrize("variable", ["XDG_CACHE_HOME", "TFYOLO_CACHE"])
def test_a_folder_without_write_permission(root, looked, tmp_path, monkeypatch, variable):
    monkeypatch.setenv(variable, str(tmp_path / variable))
    (root / "labels").chmod(0o555)
    first = scan(root)
    assert not cache_file(root).exists()
    assert len(list((tmp_path / variable).rglob("*.tfyolo-train.cache.npz"))) == 1
    looked.clear()
    assert_equal(first, scan(root))
    assert not looked
    (root / "labels").chmod(0o755)


def test_nowhere_to_write(root, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("TFYOLO_CACHE", str(tmp_path / "file"))
    (root / "labels").chmod(0o555)
    assert len(scan(root).samples) == 2
    (root / "labels").chmod(0o755)


def test_a_image_that_could_not_be_read_is_tried_again(root, looked, monkeypatch):
    from tfyolo.data.images.read import ImageError

    def fails(path):
        raise ImageError("cannot be read: Input/output error", path=path)

    with monkeypatch.context() as context:
        context.setattr(dataset_module, "read_header", fails)
        assert scan(root).corrupt == 3
    assert scan(root).corrupt == 1
