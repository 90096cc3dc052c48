"""`tfyolo convert-dataset` by its command line, and `tfyolo val` on what it writes."""

import json

import pytest

from tests.shared import SHARED, needs_shared
from tfyolo import datasets
from tfyolo.cli.main import main
from tfyolo.data.writers.table import WRITERS


@pytest.fixture
def shapes_yaml(tmp_path):
    return datasets.shapes(tmp_path / "shapes", 3, 2, 32)


@pytest.mark.parametrize("to", WRITERS)
def test_converts_and_says_what_next(shapes_yaml, tmp_path, capsys, to):
    output = tmp_path / "out"
    assert main(["convert-dataset", "--data", str(shapes_yaml), "--to", to, "--output", str(output)]) == 0
    printed = capsys.readouterr().out
    assert "train: 3 images: 3 with labels" in printed
    assert f"boxes are in {output / 'out.yaml'}" in printed
    assert f"tfyolo train --data {output / 'out.yaml'}" in printed
    assert main(["convert-dataset", "--data", str(output / "out.yaml"), "--to", "yolo", "--output", str(output)]) == 2
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


def test_damaged_pictures_are_named(shapes_yaml, tmp_path, capsys):
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


@needs_shared
@pytest.mark.parametrize("to", ["voc", "coco", "tfrecord"])
def test_val_gives_the_same_figures_in_every_format(tmp_path, capsys, to):
    """Eight pictures of blood cells, measured from their own XML and from each other format."""
    import shutil

    root, source = tmp_path / "bccd", SHARED / "data/bccd"
    (root / "ImageSets/Main").mkdir(parents=True)
    stems = (source / "ImageSets/Main/test.txt").read_text().split()[:8]
    (root / "ImageSets/Main/test.txt").write_text("\n".join(stems))
    for stem in stems:
        for file in (f"JPEGImages/{stem}.jpg", f"Annotations/{stem}.xml"):
            (root / file).parent.mkdir(exist_ok=True)
            shutil.copyfile(source / file, root / file)
    data = root / "bccd.yaml"
    data.write_text("path: .\ntest: ImageSets/Main/test.txt\nnames: [Platelets, RBC, WBC]\n")
    if to != "voc":
        words = ["--data", str(data), "--output", str(tmp_path / "out"), "--to", to]
        assert main(["convert-dataset", *words]) == 0
        data = tmp_path / "out/out.yaml"
    weights = SHARED / "weights/bccd_yolov5n_320.pt"
    words = ["--weights", str(weights), "--data", str(data), "--img", "320", "--task", "test", "--noplots"]
    assert main(["val", *words, "--project", str(tmp_path / "runs"), "--single-cls"]) == 0
    metrics = json.loads((tmp_path / "runs/exp/metrics.json").read_text())
    assert metrics["images"]["used"] == 8
    assert metrics["map50"] == pytest.approx(0.8843, abs=1e-3)
    assert "8 images: 8 with labels" in capsys.readouterr().out
