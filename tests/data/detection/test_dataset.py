import shutil
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.shared import SHARED, needs_shared
from tfyolo import configs
from tfyolo.data.detection import scan as dataset_module
from tfyolo.data.detection.scan import Problem, check_usable, read_dataset, scan_split
from tfyolo.data.detection.yolo_labels import label_path
from tfyolo.data.images.read import UNSUPPORTED_SUFFIXES, read_header
from tfyolo.errors import TfyoloError

YAML = "train: images/train\nval: images/val\nnames: [cat, dog, bird]\n"


@pytest.fixture
def root(tmp_path):
    """A dataset with one image, 64 wide and 48 high, and no label."""
    (tmp_path / "images/train").mkdir(parents=True)
    (tmp_path / "labels/train").mkdir(parents=True)
    (tmp_path / "data.yaml").write_text(YAML)
    Image.new("RGB", (64, 48)).save(tmp_path / "images/train/a.jpg")
    return tmp_path


def label(root, content, name="a.txt"):
    path = root / "labels/train" / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def scan(root, split="train"):
    return scan_split(read_dataset(root / "data.yaml"), split)


def counts(result):
    return result.found, result.missing, result.empty, result.corrupt


# The YAML file


@pytest.mark.parametrize("names", ["[cat, dog]", "{0: cat, 1: dog}", "{1: dog, 0: cat}", "[cat, dog]\nnc: 2"])
def test_names(tmp_path, names):
    path = tmp_path / "data.yaml"
    path.write_text(f"val: [images/val, more.txt]\nnames: {names}\ndownload: |\n  import os\n  os.exit(1)\n")
    dataset = read_dataset(path)
    assert dataset.names == ("cat", "dog")
    assert dataset.splits == {"val": (tmp_path / "images/val", tmp_path / "more.txt")}


def test_numbers_are_names(tmp_path):
    (tmp_path / "digits.yaml").write_text("val: a\nnames: [0, 1, 2.5]")
    assert read_dataset(tmp_path / "digits.yaml").names == ("0", "1", "2.5")


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("", None, "mapping"),
        ("val: a\n", None, "has no `names`"),
        ("val: a\nnames: []\n", 2, "`names` is empty"),
        ("val: a\nnames: cat\n", 2, "`names`: "),
        ("val: a\nnames: [cat, dog]\nnc: 3\n", 3, "`nc` is 3, but `names` has 2"),
        ("val: a\nnames:\n  0: cat\n  2: dog\n", 4, "`names` has class id 2 where 1 is expected"),
        ("val: a\nnames:\n  - cat\n  -\n", 4, r"`names\.1`: the name is empty"),
        (
            "val: a\nnames:\n  - cat\n  - dog\n  - 'cat '\n",
            5,
            r"`names` has 'cat' twice: as class 0 and as class 2",
        ),
        ("val: ~nosuchuser/x\nnames: [cat]\n", None, "no such user"),
        ("val: a\npath: ~nosuchuser/x\nnames: [cat]\n", None, "no such user"),
        ("val: a\nnames: [cat]\nkpt_shape: [17]\n", 3, "kpt_shape"),
        ("val: a\nnames: [cat]\ndifficult: maybe\n", 3, "difficult"),
        ("val: a\nnames:\n  - cat\n  - [dog]\n", 4, r"`names\.1`"),
        ("val: a\nnames:\n  - cat\n  - ' '\n", 4, r"`names\.1`: the name is empty"),
        ("val: a\nnames:\n  x: cat\n", 3, r"`names\.x`"),
        ("names: [cat]\npath: .\n", None, "none of `train`, `val`, `test`"),
        ("names: [cat]\nval: 7\n", 2, "`val`"),
        ("names: [cat]\nval: [a, {}]\n", 2, r"`val\.1`"),
        ("names: [cat]\nval: a\npath: [b]\n", 3, "`path`"),
        ("names: [cat\nval: a\n", 2, "YAML"),
    ],
)
def test_wrong_yaml(tmp_path, text, line, message):
    path = tmp_path / "data.yaml"
    path.write_text(text)
    with pytest.raises(TfyoloError, match=message) as caught:
        read_dataset(path)
    assert caught.value.path == path
    if line is not None:
        assert caught.value.line == line


def test_alias_bomb_and_code_are_refused(tmp_path):
    path = tmp_path / "data.yaml"
    bomb = "".join(f"x{i}: &x{i} [{', '.join([f'*x{i - 1}'] * 9)}]\n" for i in range(1, 20))
    path.write_text(f"x0: &x0 [a]\n{bomb}names: *x19\nval: a\n")
    with pytest.raises(TfyoloError, match="alias"):
        read_dataset(path)
    path.write_text("names: !!python/object/apply:os.system ['true']\nval: a\n")
    with pytest.raises(TfyoloError, match="YAML"):
        read_dataset(path)


@pytest.mark.parametrize("where", ["beside", "current", "absolute", "roboflow"])
def test_where_images_are_looked_for(root, monkeypatch, where):
    configs_folder = root / "configs"
    configs_folder.mkdir()
    monkeypatch.chdir(root)
    path, train, file = {
        "beside": ("..", "images/train", configs_folder / "data.yaml"),
        "current": (".//", "images/train", configs_folder / "data.yaml"),
        "absolute": (str(root), "images/train", configs_folder / "data.yaml"),
        "roboflow": ("", "../images/train", root / "roboflow.yaml"),
    }[where]
    if where == "current":
        path = root.name
        monkeypatch.chdir(root.parent)
    file.write_text(f"path: {path}\ntrain: {train}\nnames: [cat]\n")
    (sample,) = scan_split(read_dataset(file), "train").samples
    assert sample.image.samefile(root / "images/train/a.jpg")


def test_a_folder_does_not_hide_the_dataset_that_ships(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("bccd-mini").mkdir()
    assert read_dataset("bccd-mini").names == ("Platelets", "RBC", "WBC")


@pytest.mark.parametrize(
    ("name", "fix"),
    [
        ("bccd-minii", "did you mean `bccd-mini`?"),
        ("COCO128.yml", "did you mean `coco128`?"),
        ("fruit.yaml", "known names: bccd-mini"),
        ("folder/bccd-minii", "check the path"),
    ],
)
def test_a_misspelt_name_gets_a_suggestion(name, fix, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(TfyoloError, match="does not exist") as caught:
        read_dataset(name)
    assert fix in caught.value.fix


def test_coco_template_holds_the_80_names():
    dataset = read_dataset(Path(configs.__file__).parent / "datasets/coco128.yaml")
    assert len(dataset.names) == len(set(dataset.names)) == 80
    assert (dataset.names[0], dataset.names[79]) == ("person", "toothbrush")


# Label files


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        ("/d/images/train/a.jpg", "/d/labels/train/a.txt"),
        ("/images/x/images/train/a.b.jpg", "/images/x/labels/train/a.b.txt"),
        ("/d/my_images/a.jpg", "/d/my_images/a.txt"),
    ],
)
def test_label_path(image, expected):
    assert label_path(image) == Path(expected)


def test_no_label_file_is_a_background(root):
    result = scan(root)
    (sample,) = result.samples
    assert (sample.hw, sample.classes.shape, sample.boxes_xywh_norm.shape) == ((48, 64), (0,), (0, 4))
    assert (sample.classes.dtype, sample.boxes_xywh_norm.dtype) == (np.int64, np.float32)
    assert counts(result) == (0, 1, 0, 0)
    assert result.problems == ()


@pytest.mark.parametrize("content", ["", "\n\r\n  \n", b"\xef\xbb\xbf"])
def test_empty_label_file_is_a_background(root, content):
    label(root, content)
    result = scan(root)
    assert counts(result) == (0, 0, 1, 0)
    assert len(result.samples) == 1


ROWS = "0 0.5 0.5 0.2 0.4\n2 0.25 0.75 0.5 0.5\n"


@pytest.mark.parametrize(
    "content",
    [
        ROWS,
        ROWS.replace("\n", "\r\n"),
        ROWS.replace("\n", "\r"),
        "\ufeff" + ROWS + "\n\n",
        ROWS.replace("2 0.25", "2.0 0.25"),
        ROWS.replace(" ", "\t"),
        ROWS.rstrip(),
        ROWS.encode("utf-16"),
    ],
)
def test_boxes(root, content):
    label(root, content)
    result = scan(root)
    (sample,) = result.samples
    assert sample.classes.tolist() == [0, 2]
    expected = np.array([[0.5, 0.5, 0.2, 0.4], [0.25, 0.75, 0.5, 0.5]], np.float32)
    np.testing.assert_array_equal(sample.boxes_xywh_norm, expected)
    assert counts(result) == (1, 0, 0, 0)
    assert result.problems == ()


def test_polygon_becomes_its_box(root):
    label(root, "1 0.1 0.2 0.5 0.3 0.3 0.8\n")
    (sample,) = scan(root).samples
    np.testing.assert_allclose(sample.boxes_xywh_norm, [[0.3, 0.5, 0.4, 0.6]], atol=1e-6)


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("0 0.5 0.5 0.2", "4 columns"),
        ("0 0.5 0.5 0.2 0.2 0.9", "6 columns"),
        ("0 0.1 0.1 0.2 0.2 0.3 0.3 0.4", "8 columns"),
        ("0", "1 columns"),
        ("cat 0.5 0.5 0.2 0.2", "not a number"),
        ("0 0.5 0,5 0.2 0.2", "not a number"),
        ("0 nan 0.5 0.2 0.2", "not finite"),
        ("0 0.5 0.5 inf 0.2", "not finite"),
        ("nan 0.5 0.5 0.2 0.2", "not finite"),
        ("0 -0.1 0.5 0.2 0.2", "outside 0..1"),
        ("0 0.5 0.5 -0.2 0.2", "outside 0..1"),
        ("0 32 24 10 10", "outside 0..1"),
        ("0 0.5 0.5 1.01 0.2", "outside 0..1"),
        ("0 0.5 0.5 0 0.2", "no area"),
        ("0 0.1 0.1 0.1 0.5 0.1 0.9", "no area"),
    ],
)
def test_a_wrong_row_leaves_the_image_out(root, row, message):
    path = label(root, f"1 0.5 0.5 0.5 0.5\n\n{row}\n")
    result = scan(root)
    (problem,) = result.problems
    assert (problem.path, problem.line, problem.severity) == (path, 3, "error")
    assert message in problem.message
    assert result.samples == ()
    assert counts(result) == (0, 0, 0, 1)


def test_binary_label_file(root):
    label(root, b"\x89PNG\xff\xfe\x00")
    result = scan(root)
    assert counts(result) == (0, 0, 0, 1)
    assert "not a label text file" in result.problems[0].message


def test_box_over_the_border_is_cut(root):
    path = label(root, "0 0.1 0.5 0.4 1.0\n1 0.9995 0.5 0.002 0.5\n")
    result = scan(root)
    assert [str(problem) for problem in result.problems] == [
        f"{path}:1: box extends beyond the image; clipped"
    ]
    assert result.problems[0].severity == "warning"
    np.testing.assert_allclose(
        result.samples[0].boxes_xywh_norm, [[0.15, 0.5, 0.3, 1.0], [0.9995, 0.5, 0.002, 0.5]], atol=1e-7
    )


def test_duplicate_rows_are_used_once(root):
    label(root, "0 0.5 0.5 0.2 0.2\n1 0.5 0.5 0.2 0.2\n0 0.50 0.5 0.2 0.2\n")
    result = scan(root)
    assert result.samples[0].classes.tolist() == [0, 1]
    assert [(problem.line, problem.severity) for problem in result.problems] == [(3, "warning")]


@pytest.mark.parametrize("class_id", ["3", "7", "-1", "1.5"])
def test_class_without_a_name(root, class_id):
    label(root, f"2 0.5 0.5 0.2 0.2\n{class_id} 0.5 0.5 0.2 0.2\n")
    with pytest.raises(TfyoloError) as caught:
        scan(root)
    place = Path("labels/train/a.txt")
    assert str(caught.value) == (
        f"{root / 'data.yaml'}: `names` has 3 classes, but {place} line 2 has class {class_id}"
        "\n  fix: fix the label, or add the missing names"
    )


# Images


@pytest.mark.parametrize("damage", ["empty", "cut", "text"])
def test_damaged_image_is_left_out(root, damage):
    good = root / "images/train/a.jpg"
    data = {"empty": b"", "cut": good.read_bytes()[:-20], "text": b"<html>404</html>"}[damage]
    bad = root / "images/train/b.jpg"
    bad.write_bytes(data)
    result = scan(root)
    assert [sample.image for sample in result.samples] == [good]
    assert [(problem.path, problem.severity) for problem in result.problems] == [(bad, "error")]
    assert counts(result) == (0, 1, 0, 1)


def test_label_without_image(root):
    path = label(root, ROWS, "z.txt")
    label(root, "cat\n", "classes.txt")
    result = scan(root)
    assert result.problems == (Problem(path, None, "no image belongs to this label file", "warning"),)
    assert counts(result) == (0, 1, 0, 0)


def test_folder_is_searched_sorted_and_without_hidden_files(root):
    for name in ("sub/c.PNG", "B.bmp", "._a.jpg", ".cache/d.jpg", "notes.md"):
        path = root / "images/train" / name
        path.parent.mkdir(exist_ok=True)
        Image.new("RGB", (8, 6)).save(path, "PNG")
    result = scan(root)
    found = [sample.image.relative_to(root / "images/train").as_posix() for sample in result.samples]
    assert found == ["B.bmp", "a.jpg", "sub/c.PNG"]


def test_link_that_leads_back_up(root):
    (root / "images/train/loop").symlink_to(root / "images/train", target_is_directory=True)
    assert len(scan(root).samples) == 1


def test_exif_rotation_counts(root):
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (64, 48)).save(root / "images/train/a.jpg", exif=exif)
    assert scan(root).samples[0].hw == (64, 48)


def test_list_of_images(root, monkeypatch):
    monkeypatch.chdir(root)
    Image.new("RGB", (8, 6)).save(root / "images/train/b.png")
    label(root, ROWS, "unlisted.txt")
    lines = ["./images/train/b.png", "", "images/train/a.jpg", "images/train/b.png", "x.gif", "images/no.jpg"]
    (root / "train.txt").write_text("\ufeff" + "\r\n".join(lines), "utf-8")
    (root / "data.yaml").write_text("train: train.txt\nnames: [cat, dog, bird]\n")
    result = scan(root)
    assert [sample.image.name for sample in result.samples] == ["b.png", "a.jpg"]
    found = [(problem.path.name, problem.line, problem.severity) for problem in result.problems]
    assert found == [("train.txt", 4, "warning"), ("train.txt", 5, "warning"), ("no.jpg", None, "error")]


def test_progress(root):
    Image.new("RGB", (8, 6)).save(root / "images/train/b.png")
    calls = []
    scan_split(read_dataset(root / "data.yaml"), "train", progress=lambda *call: calls.append(call))
    assert calls == [(1, 2), (2, 2)]


def test_a_failing_progress_bar_ends_the_scan(root):
    def stop(done, total):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        scan_split(read_dataset(root / "data.yaml"), "train", progress=stop)


@pytest.mark.parametrize("delay", [0, 0.005])
def test_a_slow_disk_is_read_by_threads_in_order(root, monkeypatch, delay):
    for number in range(100):
        shutil.copy(root / "images/train/a.jpg", root / f"images/train/{number:03}.jpg")
    threads = set()

    def slow(path):
        threads.add(threading.current_thread().name)
        time.sleep(delay)
        return read_header(path)

    monkeypatch.setattr(dataset_module, "read_header", slow)
    result = scan(root)
    assert [sample.image.stem for sample in result.samples] == [
        *(f"{number:03}" for number in range(100)),
        "a",
    ]
    if delay:
        assert len(threads) > 2


# Splits


@pytest.mark.parametrize(
    ("split", "prepare", "message"),
    [
        ("test", None, "has no `test`"),
        ("val", None, "`val`: .*does not exist"),
        ("val", "folder", "`val` has no images"),
        ("val", "file", "`val`: .*neither a folder nor a .txt list"),
    ],
)
def test_split_that_cannot_be_used(root, split, prepare, message):
    if prepare == "folder":
        (root / "images/val").mkdir()
    if prepare == "file":
        (root / "images/val").write_text("")
    with pytest.raises(TfyoloError, match=message) as caught:
        scan(root, split)
    assert caught.value.fix
    assert caught.value.path == root / "data.yaml"


@needs_shared
@pytest.mark.parametrize(("split", "missing", "boxes"), [("train", 2, 929), ("val", 0, 898)])
def test_coco128(split, missing, boxes):
    result = scan_split(read_dataset(SHARED / "data/coco128/coco128.yaml"), split)
    assert counts(result) == (128 - missing, missing, 0, 0)
    assert sum(len(sample.classes) for sample in result.samples) == boxes
    assert result.problems == ()


# What is a key, and what only looks like one


@pytest.mark.parametrize("layout", ["[{}]", "{{{}}}"])
def test_names_are_taken_as_they_are_written(tmp_path, layout):
    words = ["010", "1.10", "12:30", "1_000", "yes", "no", "null", "~", "2024-01-02", "0x1F", "1e3", "'no'"]
    if layout == "[{}]":
        text = layout.format(", ".join(words))
    else:
        text = layout.format(", ".join(f"{index}: {word}" for index, word in enumerate(words[:-1])))
        words = words[:-1]
    path = tmp_path / "data.yaml"
    path.write_text(f"val: a\nnames: {text}\n".replace("'no'", "'on'"))
    assert read_dataset(path).names == tuple(word.replace("'no'", "on") for word in words)


@pytest.mark.parametrize(("labels", "image"), [("a.TXT", "a.jpg"), ("a.txt", "a.JPG"), ("a.Txt", "a.JPEG")])
def test_an_ending_in_capitals_is_the_same_ending(root, labels, image):
    (root / "images/train/a.jpg").rename(root / "images/train" / image)
    label(root, "1 0.5 0.5 0.5 0.5\n", labels)
    result = scan(root)
    assert counts(result) == (1, 0, 0, 0)
    assert result.problems == ()


def test_images_that_share_a_label_file_are_named(root):
    Image.new("RGB", (64, 48), "red").save(root / "images/train/a.png")
    label(root, "1 0.5 0.5 0.5 0.5\n")
    (problem,) = scan(root).problems
    assert str(problem).endswith("a.png: shares its label file a.txt with a.jpg; both are used")


def test_pose_labels_have_their_box_in_columns_2_to_5(root):
    with (root / "data.yaml").open("a") as stream:
        stream.write("kpt_shape: [2, 3]\n")
    label(root, "1 0.5 0.5 0.5 0.25 0.9 0.9 2 0.1 0.1 0\n0 0.5 0.5 1 1\n")
    result = scan(root)
    np.testing.assert_array_equal(
        result.samples[0].boxes_xywh_norm, np.float32([[0.5, 0.5, 0.5, 0.25], [0.5, 0.5, 1, 1]])
    )
    assert result.samples[0].polygons_norm == ()
    assert result.problems[0].message.startswith("1 objects have keypoints")
    label(root, "1 0.5 0.5 0.5 0.25 0.9 0.9 0.1 0.1\n")
    assert "with this `kpt_shape`, a row has 11" in scan(root).problems[0].message


def test_kinds_that_cannot_be_read_are_named(root):
    for name in ("b.HEIC", "c.heic", "d.mp4", "notes.txt"):
        (root / "images/train" / name).write_bytes(b"x")
    assert "1 .mp4" in str(scan(root).problems)
    assert "2 .heic" in str(scan(root).problems)
    for suffix in UNSUPPORTED_SUFFIXES:
        (root / "images/train" / f"e{suffix}").write_bytes(b"x")
    assert all(f" {suffix}" in str(scan(root).problems) for suffix in UNSUPPORTED_SUFFIXES)
    (root / "images/train/a.jpg").unlink()
    with pytest.raises(TfyoloError, match=r"has no images in .*3 \.heic"):
        scan(root)


def test_backslashes_in_the_yaml_and_in_lists(root):
    (root / "data.yaml").write_text("train: images\\train\nval: .\\list.txt\nnames: [cat]\n")
    (root / "list.txt").write_text(".\\images\\train\\a.jpg\n")
    assert [len(scan(root, split).samples) for split in ("train", "val")] == [1, 1]


def test_lists_may_be_relative_to_path(root):
    (root / "lists").mkdir()
    (root / "lists/val.txt").write_text("images/train/a.jpg\n")
    (root / "data.yaml").write_text(f"path: {root}\nval: lists/val.txt\nnames: [cat]\n")
    assert len(scan(root, "val").samples) == 1


@pytest.mark.parametrize("row", ["C:\\data\\a.jpg", "/content/data/a.jpg", "\\\\host\\data\\a.jpg"])
def test_lists_of_another_machine_get_a_hint(root, row):
    (root / "val.txt").write_text(f"{row}\nimages/train/a.jpg\n")
    (root / "data.yaml").write_text("val: val.txt\nnames: [cat]\n")
    found = [str(problem) for problem in scan(root, "val").problems]
    assert any("1 of 2 images do not exist" in text and "relative to" in text for text in found)


def test_a_list_whose_images_are_all_missing_gets_the_hint(root):
    (root / "val.txt").write_text("C:\\data\\a.jpg\nC:\\data\\b.jpg\n")
    (root / "data.yaml").write_text("val: val.txt\nnames: [cat]\n")
    dataset = read_dataset(root / "data.yaml")
    with pytest.raises(TfyoloError, match=r"val\.txt: 2 of 2 images do not exist.*relative to"):
        check_usable(dataset, "val", scan_split(dataset, "val"))


@pytest.mark.parametrize("place", ["C:\\data\\images", "D:/data/images"])
def test_places_of_another_machine_get_a_hint(root, place):
    (root / "data.yaml").write_text(f"train: '{place}'\nnames: [cat]\n")
    with pytest.raises(TfyoloError) as caught:
        scan(root)
    assert "as paths on this machine" in caught.value.fix


def test_a_list_of_another_machine_is_refused_before_it_is_read_to_its_end(root, monkeypatch):
    from tfyolo.data.formats.readers import yolo

    asked = []
    monkeypatch.setattr(yolo, "_listed", lambda bases, row: asked.append(row))
    (root / "list.txt").write_text("".join(f"C/{i}.jpg\n" for i in range(30_000)))
    (root / "data.yaml").write_text(YAML.replace("train: images/train", "train: list.txt"))
    with pytest.raises(TfyoloError, match=r"list\.txt:10000: 10,000 of the first 10,000 images do not exist"):
        scan_split(read_dataset(root / "data.yaml"), "train")
    assert len(asked) == 10_000


def test_a_list_that_repeats_itself_asks_once_and_is_reported_briefly(root):
    (root / "list.txt").write_text("images/train/a.jpg\n" * 1000)
    (root / "data.yaml").write_text(YAML.replace("train: images/train", "train: list.txt"))
    scan = scan_split(read_dataset(root / "data.yaml"), "train")
    lines = [problem.message for problem in scan.problems if "line" in problem.message]
    assert len(scan.samples) == 1
    assert len(lines) == 201
    assert lines[-1] == "799 more lines like these are not listed"
