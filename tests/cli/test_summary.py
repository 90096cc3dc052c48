"""`tfyolo summary`."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from xml.etree import ElementTree

import pytest

from tests.shared import SHARED, needs_shared
from tfyolo.cli.main import main
from tfyolo.models import list_models
from tfyolo.models.registry import FOLDER

CHECKPOINT = SHARED / "reference" / "arch" / "yolov5n-v7.0.pt"


@pytest.fixture
def summary(capsys):
    def run(*arguments: str) -> str:
        assert main(["summary", *map(str, arguments)]) == 0
        return capsys.readouterr().out

    return run


@pytest.fixture
def refused(capsys):
    def run(*arguments: str) -> str:
        assert main(["summary", *map(str, arguments)]) == 2
        return capsys.readouterr().err

    return run


def rows(text: str) -> list[list[str]]:
    """Cells of a table's lines."""
    lines = [line for line in text.splitlines() if line.startswith(("│", "┃"))]
    return [[cell.strip() for cell in re.split("[│┃]", line)[1:-1]] for line in lines]


def test_columns(summary):
    found = rows(summary("yolov5n"))[0]
    assert found == ["", "from", "n", "module", "arguments", "output", "parameters", "GFLOPs"]


@pytest.mark.parametrize(
    "row",
    [
        [
            "0",
            "-1",
            "1",
            "Conv",
            "filters=16, kernel=6, stride=2, padding=2",
            "320 x 320 x 16",
            "1,760",
            "0.367",
        ],
        ["4", "3", "2", "C3", "filters=64", "80 x 80 x 64", "29,184", "0.377"],
        ["12", "11,6", "1", "Concat", "", "40 x 40 x 256", "0", "0.000"],
        ["", "", "", "total", "25 layers", "", "1,872,157", "4.563"],
    ],
    ids=lambda row: row[3],
)
def test_rows(summary, row):
    found = [other for other in rows(summary("yolov5n")) if other[:4] == row[:4]]
    assert found[0][:7] == row[:7]
    assert float(found[0][7]) == pytest.approx(float(row[7]), abs=0.01)


def test_sections_are_marked_in_their_order(summary):
    found = [row[3] for row in rows(summary("yolov5n")) if row[3] in ("backbone", "neck", "head")]
    assert found == ["backbone", "neck", "head"]


def test_parameters_sum_to_the_total(summary):
    numbers = [int(row[6].replace(",", "")) for row in rows(summary("yolov5n"))[1:] if row[6]]
    assert sum(numbers[:-1]) == numbers[-1]


def test_classes(summary):
    assert "yolov5n, 3 classes" in summary("yolov5n", "--classes", "3")


def test_size(summary):
    assert "160 x 208 x 16" in summary("yolov5n", "--img", "320", "416")


def test_every_model_by_name(summary):
    assert [row[0] for row in rows(summary())[1:]] == list_models()


def test_yaml(summary):
    assert "yolov3-tiny, 80 classes" in summary(FOLDER / "yolov3-tiny.yaml")


@needs_shared
def test_checkpoint(summary):
    assert "yolov5n-v7.0, 4 classes" in summary(CHECKPOINT)


def test_keras_file(summary, tiny_keras):
    assert ", 4 classes" in summary(tiny_keras)


def test_a_name_with_markup(summary, tmp_path):
    path = tmp_path / "a[b].yaml"
    path.write_text("backbone:\n  - [-1, 1, Conv, [8, 3, 2]]\nhead:\n  - [[0], 1, Detect, []]\n")
    assert "a[b], 80 classes" in summary(path)


@pytest.mark.parametrize("suffix", [".svg", ".png", ".md"])
def test_diagram(summary, tmp_path, suffix):
    path = tmp_path / f"net{suffix}"
    assert f"diagram: {path}" in summary("yolov3-tiny", "--diagram", path)
    assert path.stat().st_size > 500


def test_svg_diagram_is_xml(summary, tmp_path):
    summary("yolov3-tiny", "--diagram", tmp_path / "net.svg")
    assert ElementTree.parse(tmp_path / "net.svg").getroot().tag.endswith("svg")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("yolov5q",), "no model is called `yolov5q`"),
        (("none.yaml",), "none.yaml: does not exist"),
        (("none.pt",), "none.pt"),
        (("none.keras",), "none.keras: does not exist"),
        (("yolov5n", "--img", "0"), "--img"),
        (("yolov5n", "--img", "80"), "Concat needs inputs of one size"),
        (("yolov5n", "--diagram", "net.jpg"), ".svg, .png or .md"),
    ],
)
def test_mistakes(refused, arguments, words):
    error = refused(*arguments)
    assert error.startswith("error: ")
    assert words in error


@pytest.mark.parametrize("model", ["yolov5n", pytest.param(str(CHECKPOINT), marks=needs_shared)])
def test_tensorflow_is_not_imported(model):
    code = "import json, sys; from tfyolo.cli.main import main; main(['summary', sys.argv[1]]);"
    code += "print(json.dumps([m for m in sys.modules if m in ('tensorflow', 'keras', 'torch')]))"
    done = subprocess.run([sys.executable, "-c", code, model], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout.splitlines()[-1]) == []
