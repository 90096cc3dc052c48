"""Pascal VOC: the real thing, and files made to hurt."""

import numpy as np
import pytest

from tests.data.formats.readers.sets import data_yaml, listing, voc, write_image, xml
from tests.shared import SHARED, needs_shared
from tfyolo.data.detection.scan import Dataset, read_dataset, scan_split
from tfyolo.errors import TfyoloError

BOX = ("dog", 16, 12, 32, 36)


def scan(path, split="train"):
    return scan_split(read_dataset(path), split, cache=False)


def messages(result):
    return [(problem.path.name, problem.line, problem.severity) for problem in result.problems]


@needs_shared
@pytest.mark.parametrize(
    ("split", "images", "boxes", "dropped"),
    [("train", 205, 2804, 1), ("val", 87, 1137, 1), ("test", 72, 945, 0)],
)
def test_blood_cells(split, images, boxes, dropped):
    """The XML of train has 2805 objects and that of val 1138; one in each is a single point."""
    root = SHARED / "data/bccd"
    lists = {name: (root / f"ImageSets/Main/{name}.txt",) for name in ("train", "val", "test")}
    result = scan_split(Dataset(root / "x.yaml", ("Platelets", "RBC", "WBC"), lists), split, cache=False)
    assert (len(result.samples), result.found, result.duplicates) == (images, images, 0)
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


def test_image_by_the_name_in_the_annotation(tmp_path):
    path = voc(tmp_path, a=xml(BOX, filename="other.png"))
    (tmp_path / "JPEGImages/a.jpg").unlink()
    write_image(tmp_path / "JPEGImages/other.png")
    assert [sample.image.name for sample in scan(path).samples] == ["other.png"]


@pytest.mark.parametrize(
    ("item", "message", "boxes"),
    [
        (("dog", 10, 10, 10, 20), "no area", 0),
        (("dog", 30, 10, 20, 20), "no area", 0),
        (("dog", 70, 10, 90, 20), "no area", 0),
        (("dog", 32, 24, 96, 48), "extends beyond the image; clipped", 1),
        (("dog", -1e300, 0, 1e300, 48), "extends beyond the image; clipped", 1),
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
def test_corners_that_are_no_numbers_leave_the_image_out(tmp_path, value):
    result = scan(voc(tmp_path, a=xml(BOX, ("dog", value, 1, 2, 3))))
    assert (result.samples, result.corrupt) == ((), 1)
    assert result.problems[0].severity == "error"


def test_same_object_twice(tmp_path):
    result = scan(voc(tmp_path, a=xml(BOX, BOX)))
    assert len(result.samples[0].classes) == 1
    assert "duplicate box" in result.problems[0].message


def test_size_that_is_left_out_or_has_decimals(tmp_path):
    plain = xml(BOX)
    sizeless = plain[: plain.index("<size>")] + plain[plain.index("</size>") + 7 :]
    assert scan(voc(tmp_path, a=xml(BOX, wh=("64.0", "48.0")), b=sizeless)).problems == ()


def test_jpeg_wins_among_images_of_one_name(tmp_path):
    path = voc(tmp_path, a=xml(BOX))
    write_image(tmp_path / "JPEGImages/a.png")
    assert [sample.image.name for sample in scan(path).samples] == ["a.jpg"]


def test_size_comes_from_the_image(tmp_path):
    """An annotation of an image that was resized since is scaled; one of other proportions is refused."""
    double = tuple(2 * value for value in BOX[1:])
    path = voc(
        tmp_path,
        a=xml(BOX),
        b=xml((BOX[0], *double), wh=(128, 96)),
        c=xml(BOX, wh=(640, 640)),
        d=xml(BOX, wh=("?", "?")),
    )
    result = scan(path)
    assert [(sample.image.name, sample.annotated_hw) for sample in result.samples] == [
        ("a.jpg", None),
        ("b.jpg", (96, 128)),
        ("d.jpg", None),
    ]
    boxes = [sample.boxes_xywh_norm for sample in result.samples]
    np.testing.assert_array_equal(boxes[1], boxes[0])
    np.testing.assert_array_equal(boxes[2], boxes[0])
    of_c, of_d, scaled = result.problems
    assert "says 640x640, but the image is 64x48; the aspect ratios differ" in of_c.message
    assert (of_c.severity, of_d.severity) == ("error", "warning")
    assert scaled.message.startswith("1 annotations were made for another size")


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
def test_hostile_annotation_leaves_its_image_out(tmp_path, kind):
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
    write_image(tmp_path / "out.jpg")
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
    assert "no image has a label file" in result.problems[0].message


@pytest.mark.parametrize("place", ["Annotations", "ImageSets/Main/train.txt"])
def test_an_ending_in_capitals_is_the_same_ending(tmp_path, place):
    voc(tmp_path, a=xml(BOX), b=xml(BOX))
    (tmp_path / "Annotations/b.xml").rename(tmp_path / "Annotations/b.XML")
    (tmp_path / "JPEGImages/b.jpg").rename(tmp_path / "JPEGImages/b.JPG")
    result = scan(data_yaml(tmp_path, train=place, format="voc"))
    assert [(s.image.name, len(s.classes)) for s in result.samples] == [("a.jpg", 1), ("b.JPG", 1)]
    assert result.problems == ()


def test_subfolders_are_the_same_in_annotations_and_images(tmp_path):
    path = voc(tmp_path, p=xml(BOX, filename="p.JPG"))
    write_image(tmp_path / "JPEGImages/s/p.JPG", (64, 48), 90)
    (tmp_path / "Annotations/s").mkdir()
    (tmp_path / "Annotations/s/p.xml").write_text(xml(BOX, ("dog", 1, 1, 9, 9), filename="p.JPG"))
    listing(tmp_path, "p\ns/p\n")
    found = [(sample.image, len(sample.classes)) for sample in scan(path).samples]
    images = tmp_path / "JPEGImages"
    assert found == [(images / "p.jpg", 1), (images / "s/p.JPG", 2)]


@pytest.mark.parametrize(("filename", "row"), [("p.png", "p"), ("P.PNG", "p"), ("?", "p.png")])
def test_of_images_of_one_stem_the_one_that_is_named(tmp_path, filename, row):
    path = voc(tmp_path, p=xml(BOX, filename=filename))
    write_image(tmp_path / "JPEGImages/p.png", (64, 48), 90)
    listing(tmp_path, f"{row}\n")
    assert [sample.image.name for sample in scan(path).samples] == ["p.png"]


def test_of_images_of_one_stem_none_is_guessed(tmp_path):
    path = voc(tmp_path, a=xml(BOX), p=xml(BOX, filename="?"))
    write_image(tmp_path / "JPEGImages/p.png", (64, 48), 90)
    result = scan(path)
    assert [sample.image.name for sample in result.samples] == ["a.jpg"]
    assert "there are p.jpg and p.png" in result.problems[0].message
    assert result.corrupt == 1


def test_stems_that_end_like_images(tmp_path):
    path = voc(tmp_path, **{"1": xml(BOX), "1.png": xml(BOX), "cat.jpg": xml(BOX)})
    assert [s.image.name for s in scan(path).samples] == ["1.jpg", "1.png.jpg", "cat.jpg.jpg"]


@pytest.mark.parametrize(("choice", "boxes"), [(None, 2), ("keep", 2), ("drop", 1)])
def test_difficult_objects_are_counted_and_chosen(tmp_path, choice, boxes):
    voc(tmp_path, a=xml(BOX), b=xml(BOX, difficult=1))
    keys = {"difficult": choice} if choice else {}
    result = scan(data_yaml(tmp_path, train="ImageSets/Main/train.txt", **keys))
    assert sum(len(sample.classes) for sample in result.samples) == boxes
    said = [problem.message for problem in result.problems]
    if choice == "keep":
        assert said == []
    else:
        (message,) = said
        assert message.startswith(
            "1 objects are marked as difficult and " + ("used" if boxes == 2 else "left")
        )


def test_kinds_that_cannot_be_read_are_named(tmp_path):
    path = voc(tmp_path, a=xml(BOX))
    (tmp_path / "JPEGImages/b.HEIC").write_bytes(b"x")
    (problem,) = scan(path).problems
    assert "1 .heic; convert them" in problem.message
