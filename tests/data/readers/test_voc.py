"""Pascal VOC: the real thing, and files made to hurt."""

import numpy as np
import pytest

from tests.data.readers.sets import data_yaml, listing, picture, voc, xml
from tests.shared import SHARED, needs_shared
from tfyolo.data.dataset import Dataset, read_dataset, scan_split
from tfyolo.errors import TfyoloError

BOX = ("dog", 16, 12, 32, 36)


def scan(path, split="train"):
    return scan_split(read_dataset(path), split, cache=False)


def messages(result):
    return [(problem.path.name, problem.line, problem.severity) for problem in result.problems]


@needs_shared
@pytest.mark.parametrize(
    ("split", "pictures", "boxes", "dropped"),
    [("train", 205, 2804, 1), ("val", 87, 1137, 1), ("test", 72, 945, 0)],
)
def test_blood_cells(split, pictures, boxes, dropped):
    """The XML of train has 2805 objects and that of val 1138; one in each is a single point."""
    root = SHARED / "data/bccd"
    lists = {name: (root / f"ImageSets/Main/{name}.txt",) for name in ("train", "val", "test")}
    result = scan_split(Dataset(root / "x.yaml", ("Platelets", "RBC", "WBC"), lists), split, cache=False)
    assert (len(result.samples), result.found, result.duplicates) == (pictures, pictures, 0)
    assert sum(len(sample.classes) for sample in result.samples) == boxes
    assert ["no area" in problem.message for problem in result.problems] == [True] * dropped
    assert {sample.hw for sample in result.samples} == {(480, 640)}


@needs_shared
def test_blood_cells_template(tmp_path):
    from pathlib import Path

    from tfyolo import configs

    template = (Path(configs.__file__).parent / "datasets/bccd.yaml").read_text()
    (tmp_path / "bccd").symlink_to(SHARED / "data/bccd")
    (tmp_path / "bccd.yaml").write_text(template)
    dataset = read_dataset(tmp_path / "bccd.yaml")
    assert (dataset.names, dataset.format) == (("Platelets", "RBC", "WBC"), "voc")
    assert len(scan_split(dataset, "test", cache=False).samples) == 72


def test_corners_are_shares_of_the_size_as_they_stand(tmp_path):
    result = scan(voc(tmp_path, a=xml(BOX, ("RBC", 0.5, 0, 64, 48))))
    (sample,) = result.samples
    assert sample.classes.tolist() == [1, 2]
    expected = np.float32([[0.375, 0.5, 0.25, 0.5], [32.25 / 64, 0.5, 63.5 / 64, 1]])
    np.testing.assert_allclose(sample.boxes_xywh_norm, expected, atol=1e-7)
    assert (result.problems, sample.polygons_norm, sample.span) == ((), (), None)


@pytest.mark.parametrize("place", ["Annotations", ".", "flat", "ImageSets/Main/train.txt"])
def test_places(tmp_path, place):
    root = tmp_path / place if place == "flat" else tmp_path
    path = voc(root, a=xml(BOX), b=xml())
    if place == "flat":
        for folder in ("Annotations", "JPEGImages"):
            for file in (root / folder).iterdir():
                file.rename(root / file.name)
            (root / folder).rmdir()
    path = data_yaml(tmp_path, train=place, format="voc")
    result = scan(path)
    assert [sample.image.name for sample in result.samples] == ["a.jpg", "b.jpg"]
    assert (result.found, result.empty, result.missing) == (1, 1, 0)


def test_list_of_a_class_and_names_with_blanks(tmp_path):
    path = voc(tmp_path, **{"a": xml(BOX), "cell 1": xml(BOX), "c": None})
    listing(tmp_path, "a  1\r\ncell 1\n\nc.jpg -1\na 0\n")
    result = scan(path)
    assert [sample.image.stem for sample in result.samples] == ["a", "cell 1", "c"]
    assert messages(result) == [("train.txt", 5, "warning")]
    assert (result.found, result.missing, result.duplicates) == (2, 1, 1)


def test_picture_by_the_name_in_the_annotation(tmp_path):
    path = voc(tmp_path, a=xml(BOX, filename="other.png"))
    (tmp_path / "JPEGImages/a.jpg").unlink()
    picture(tmp_path / "JPEGImages/other.png")
    assert [sample.image.name for sample in scan(path).samples] == ["other.png"]


@pytest.mark.parametrize(
    ("item", "message", "boxes"),
    [
        (("dog", 10, 10, 10, 20), "no area", 0),
        (("dog", 30, 10, 20, 20), "no area", 0),
        (("dog", 70, 10, 90, 20), "no area", 0),
        (("dog", 32, 24, 96, 48), "cut at the border", 1),
        (("dog", -1e300, 0, 1e300, 48), "cut at the border", 1),
    ],
)
def test_boxes_that_are_mended(tmp_path, item, message, boxes):
    result = scan(voc(tmp_path, a=xml(item)))
    (problem,) = result.problems
    assert message in problem.message
    assert (problem.path.name, problem.line, problem.severity) == ("a.xml", 3, "warning")
    (sample,) = result.samples
    assert len(sample.classes) == boxes
    assert np.isfinite(sample.boxes_xywh_norm).all()
    assert result.corrupt == 0


@pytest.mark.parametrize("value", ["nan", "inf", "", "ten", "9" * 5000])
def test_corners_that_are_no_numbers_leave_the_picture_out(tmp_path, value):
    result = scan(voc(tmp_path, a=xml(BOX, ("dog", value, 1, 2, 3))))
    assert (result.samples, result.corrupt) == ((), 1)
    assert result.problems[0].severity == "error"


def test_same_object_twice(tmp_path):
    result = scan(voc(tmp_path, a=xml(BOX, BOX)))
    assert len(result.samples[0].classes) == 1
    assert "twice" in result.problems[0].message


def test_size_that_is_left_out_or_has_decimals(tmp_path):
    plain = xml(BOX)
    sizeless = plain[: plain.index("<size>")] + plain[plain.index("</size>") + 7 :]
    assert scan(voc(tmp_path, a=xml(BOX, wh=("64.0", "48.0")), b=sizeless)).problems == ()


def test_jpeg_wins_among_pictures_of_one_name(tmp_path):
    path = voc(tmp_path, a=xml(BOX))
    picture(tmp_path / "JPEGImages/a.png")
    assert [sample.image.name for sample in scan(path).samples] == ["a.jpg"]


def test_size_comes_from_the_picture(tmp_path):
    result = scan(voc(tmp_path, a=xml(BOX, wh=(640, 480))))
    assert result.samples[0].hw == (48, 64)
    assert "says 640x480, but the picture is 64x48" in result.problems[0].message
    assert result.problems[0].severity == "warning"


@pytest.mark.parametrize(
    ("name", "hint"), [("rbc", "did you mean `RBC`"), ("doog", "`dog`"), ("zebra", "correct")]
)
def test_unknown_name(tmp_path, name, hint):
    with pytest.raises(TfyoloError, match=r"a\.xml line 3") as caught:
        scan(voc(tmp_path, a=xml((name, 1, 2, 3, 4))))
    assert hint in caught.value.fix
    assert caught.value.path == tmp_path / "data.yaml"


BOMB = "".join(f'<!ENTITY l{i} "{f"&l{i - 1};" * 10}">' for i in range(1, 12))
HOSTILE = {
    "bomb": xml(BOX, head=f'<!DOCTYPE a [<!ENTITY l0 "lol">{BOMB}]>').replace("dog", "&l11;"),
    "file": xml(BOX, head='<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]>').replace("dog", "&x;"),
    "utf16": xml(BOX, head='<?xml version="1.0" encoding="utf-16"?><!DOCTYPE a>').encode("utf-16"),
    "ebcdic": b'<?xml version="1.0" encoding="cp037"?>' + xml(BOX, head="<!DOCTYPE a>").encode("cp037"),
    "deep": "<annotation>" + "<object>" * 100_000,
    "other": "<html></html>",
    "cut": xml(BOX)[:80],
    "binary": b"\xff\xd8\xff\0\0",
    "empty": "",
    "coding": '<?xml version="1.0" encoding="klingon"?><annotation/>',
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_hostile_annotation_leaves_its_picture_out(tmp_path, kind):
    path = voc(tmp_path, a=xml(BOX), b="")
    text = HOSTILE[kind]
    (tmp_path / "Annotations/b.xml").write_bytes(text if isinstance(text, bytes) else text.encode())
    result = scan(path)
    assert [sample.image.name for sample in result.samples] == ["a.jpg"]
    (problem,) = result.problems
    assert (problem.path.name, problem.severity) == ("b.xml", "error")
    assert result.corrupt == 1
    if kind in ("bomb", "file", "utf16"):
        assert "DOCTYPE" in problem.message


@pytest.mark.parametrize("stem", ["../out", "/etc/passwd", "..\\out", "C:\\out", "sub/../../out"])
def test_names_that_lead_out_are_refused(tmp_path, stem):
    root = tmp_path / "set"
    path = voc(root, a=xml(BOX))
    picture(tmp_path / "out.jpg")
    (tmp_path / "out.xml").write_text(xml(BOX))
    listing(root, f"a\n{stem}\n")
    result = scan(path)
    assert len(result.samples) == 1
    assert messages(result) == [("train.txt", 2, "error")]
    assert result.corrupt == 1
    (root / "JPEGImages/a.jpg").unlink()
    (root / "Annotations/a.xml").write_text(xml(BOX, filename=stem + ".jpg"))
    listing(root, "a\n")
    assert scan(path).samples == ()


def test_list_without_annotations_above_it(tmp_path):
    listing(tmp_path, "a\n")
    with pytest.raises(TfyoloError, match="no Annotations folder"):
        scan(data_yaml(tmp_path, train="ImageSets/Main/train.txt", format="voc"))


def test_no_annotation_at_all_is_said(tmp_path):
    result = scan(voc(tmp_path, a=None, b=None))
    assert result.missing == 2
    assert "no picture has a label file" in result.problems[0].message
