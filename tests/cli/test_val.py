"""`tfyolo val` by its command line."""

import json

import pytest

from tests.shared import SHARED, require_shared
from tfyolo.cli.main import main

WEIGHTS = SHARED / "weights" / "bccd_yolov5n_320.pt"


@pytest.fixture
def cells_yaml(tmp_path):
    """Eight images of the blood cell test split in YOLO's layout."""
    import shutil
    import xml.etree.ElementTree as ET

    require_shared()
    source = SHARED / "data" / "bccd"
    names = ["Platelets", "RBC", "WBC"]
    (tmp_path / "images").mkdir()
    (tmp_path / "labels").mkdir()
    for stem in (source / "ImageSets" / "Main" / "test.txt").read_text().split()[:8]:
        shutil.copy(source / "JPEGImages" / f"{stem}.jpg", tmp_path / "images")
        root = ET.parse(source / "Annotations" / f"{stem}.xml").getroot()
        width, height = (float(root.findtext(f"size/{side}")) for side in ("width", "height"))
        rows = []
        for item in root.iter("object"):
            x1, y1, x2, y2 = (float(item.findtext(f"bndbox/{k}")) for k in ("xmin", "ymin", "xmax", "ymax"))
            box = ((x1 + x2) / 2 / width, (y1 + y2) / 2 / height, (x2 - x1) / width, (y2 - y1) / height)
            rows.append(" ".join(map(str, (names.index(item.findtext("name")), *box))))
        (tmp_path / "labels" / f"{stem}.txt").write_text("\n".join(dict.fromkeys(rows)))
    path = tmp_path / "cells.yaml"
    path.write_text(
        "path: .\ntrain: images\nval: images\ntest: images\nnames: {0: Platelets, 1: RBC, 2: WBC}\n"
    )
    return path


def test_val_prints_and_writes_the_figures(cells_yaml, tmp_path, capsys):
    words = [
        "--weights",
        str(WEIGHTS),
        "--data",
        str(cells_yaml),
        "--img",
        "320",
        "--task",
        "test",
        "--save-json",
    ]
    code = main(["val", *words, "--project", str(tmp_path / "runs")])
    printed = capsys.readouterr().out
    metrics = json.loads((tmp_path / "runs" / "exp" / "metrics.json").read_text())
    assert code == 0
    # FACTS: 0.852 on all 72 images of the split; eight of them are close.
    assert 0.75 < metrics["map50"] < 0.95
    for name in ("all", "Platelets", "RBC", "WBC", "COCO protocol"):
        assert name in printed
    assert f"{metrics['map50_95']:.3f}" in printed
    assert metrics["coco"]["ap"] == pytest.approx(metrics["map50_95"], abs=0.03)
    assert metrics["settings"]["split"] == "test"


def test_corrupt_data_is_named_and_the_exit_code_says_so(cells_yaml, tmp_path, capsys):
    first = sorted((cells_yaml.parent / "images").iterdir())[0]
    first.write_bytes(first.read_bytes()[:2000])
    words = ["--weights", str(WEIGHTS), "--data", str(cells_yaml), "--img", "320", "--noplots"]
    assert main(["val", *words, "--project", str(tmp_path / "runs")]) == 1
    assert first.name in capsys.readouterr().out


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("names: [Platelets, RBC, WBC]\ntrain: images\nval: nowhere\n", "nowhere"),
        ("names: [RBC, dog]\ntrain: images\nval: images\n", "`dog` is not a class of the model"),
        ("train: images\nval: images\n", "names"),
        ("names: [a, b, c\n", "not valid YAML"),
    ],
)
def test_wrong_data_is_one_line(cells_yaml, tmp_path, capsys, text, message):
    wrong = tmp_path / "wrong.yaml"
    wrong.write_text(text)
    words = ["--weights", str(WEIGHTS), "--data", str(wrong), "--project", str(tmp_path / "runs")]
    assert main(["val", *words]) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert message in error
    assert "Traceback" not in error


def test_missing_data_file(capsys):
    assert main(["val", "--weights", str(WEIGHTS), "--data", "nothing.yaml"]) == 2
    assert "nothing.yaml" in capsys.readouterr().err
