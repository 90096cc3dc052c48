"""`tfyolo convert-dataset` by its command line, and `tfyolo val` on what it writes."""

import shutil
import xml.etree.ElementTree as ET

import pytest

from tests.shared import SHARED, require_shared
from tfyolo.cli.main import main
from tfyolo.data import synthetic as datasets
from tfyolo.data.detection.scan import read_dataset
from tfyolo.data.formats.convert import convert_dataset
from tfyolo.data.formats.writers.table import WRITERS
from tfyolo.evaluation.detection_metrics import ValOptions
from tfyolo.evaluation.validator import validate


@pytest.fixture
def shapes_yaml(tmp_path):
    return datasets.create_shapes_dataset(tmp_path / "shapes", 3, 2, 32)


@pytest.mark.parametrize("to", WRITERS)
def test_converts_and_says_what_next(shapes_yaml, tmp_path, capsys, to):
    output = tmp_path / "out"
    assert main(["convert-dataset", "--data", str(shapes_yaml), "--to", to, "--output", str(output)]) == 0
    printed = capsys.readouterr().out
    assert "train: 3 images: 3 with labels" in printed
    assert f"boxes are in {output / 'out.yaml'}" in printed
    assert f"tfyolo train --data {output / 'out.yaml'}" in printed
    assert (
        main(["convert-dataset", "--data", str(output / "out.yaml"), "--to", "yolo", "--output", str(output)])
        == 2
    )
    assert "--exist-ok" in capsys.readouterr().err


def test_options(shapes_yaml, tmp_path, capsys):
    words = ["--data", str(shapes_yaml), "--output", str(tmp_path / "out"), "--splits", "val"]
    words += ["--names", "triangle", "--to"]
    assert main(["convert-dataset", *words, "tfrecord", "--shards", "2"]) == 0
    assert len(list((tmp_path / "out").glob("val-*-of-00002.tfrecord"))) == 2
    assert not list((tmp_path / "out").glob("train*"))
    assert main(["convert-dataset", *words, "yolo", "--link", "--exist-ok"]) == 0
    assert "0: triangle" in (tmp_path / "out/out.yaml").read_text()
    capsys.readouterr()
    for wrong in (["csv"], ["yolo", "--link", "--copy"], ["yolo", "--shards", "0"]):
        with pytest.raises(SystemExit) as caught:
            main(["convert-dataset", *words, *wrong])
        assert caught.value.code == 2
        assert capsys.readouterr().err.startswith("error: ")


def test_damaged_images_are_named(shapes_yaml, tmp_path, capsys):
    bad = shapes_yaml.parent / "images/train/00001.png"
    bad.write_bytes(b"")
    words = ["--data", str(shapes_yaml), "--output", str(tmp_path / "out"), "--to", "coco"]
    assert main(["convert-dataset", *words]) == 1
    printed = capsys.readouterr().out
    assert "00001.png: is empty" in printed
    assert "1 left out" in printed


def test_one_line_for_a_wrong_data_set(tmp_path, capsys):
    (tmp_path / "wrong.yaml").write_text("names: [a]\ntrain: x\nformat: vox\n")
    words = ["--data", str(tmp_path / "wrong.yaml"), "--output", str(tmp_path / "out"), "--to", "coco"]
    assert main(["convert-dataset", *words]) == 2
    error = capsys.readouterr().err
    assert "did you mean `voc`?" in error
    assert "Traceback" not in error


@pytest.fixture(scope="module")
def cells(tmp_path_factory):
    """Three images of blood cells: as they come, and as YOLO labels made here without tfyolo's readers."""
    require_shared()
    root, source = tmp_path_factory.mktemp("cells"), SHARED / "data/bccd"
    names = ["Platelets", "RBC", "WBC"]
    stems = (source / "ImageSets/Main/test.txt").read_text().split()[:3]
    for folder in ("voc/ImageSets/Main", "voc/JPEGImages", "voc/Annotations", "yolo/images", "yolo/labels"):
        (root / folder).mkdir(parents=True)
    (root / "voc/ImageSets/Main/test.txt").write_text("\n".join(stems))
    for stem in stems:
        for target in ("voc/JPEGImages", "yolo/images"):
            shutil.copy(source / f"JPEGImages/{stem}.jpg", root / target)
        shutil.copy(source / f"Annotations/{stem}.xml", root / "voc/Annotations")
        rows = []
        for item in ET.parse(source / f"Annotations/{stem}.xml").getroot().iter("object"):
            x1, y1, x2, y2 = (int(item.findtext(f"bndbox/{k}")) for k in ("xmin", "ymin", "xmax", "ymax"))
            box = ((x1 + x2) / 1280, (y1 + y2) / 960, (x2 - x1) / 640, (y2 - y1) / 480)
            rows.append(" ".join(map(str, (names.index(item.findtext("name")), *box))))
        (root / f"yolo/labels/{stem}.txt").write_text("\n".join(rows))
    for kind, place in (("voc", "ImageSets/Main/test.txt"), ("yolo", "images")):
        (root / kind / "data.yaml").write_text(f"test: {place}\nnames: {names}\n")
    return root


def figures(detector, data, **options):
    options = ValOptions(split="test", plots=False, save_json=True, **options)
    metrics = validate(detector, data, options)
    return {key: metrics.to_dict()[key] for key in ("map50", "map50_95", "per_class", "images", "coco")}


@pytest.fixture(scope="module")
def expected(cells, cells_detector):
    return {
        single: figures(cells_detector, cells / "yolo/data.yaml", single_cls=single)
        for single in (False, True)
    }


@pytest.mark.parametrize("to", ["voc", "coco", "tfrecord"])
def test_val_gives_the_same_figures_in_every_format(cells, cells_detector, expected, tmp_path, to):
    data = cells / "voc/data.yaml"
    if to != "voc":
        data = convert_dataset(read_dataset(data), to, tmp_path / to).yaml_path
    assert expected[False]["images"]["used"] == 3
    assert expected[False]["map50"] > 0.5
    assert figures(cells_detector, data) == expected[False]
    if to == "tfrecord":
        assert figures(cells_detector, data, single_cls=True) == expected[True]
