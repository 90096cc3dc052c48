"""`tfyolo summary`."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from xml.etree import ElementTree

import pytest
from rich.console import Console

from tests.shared import SHARED, needs_shared
from tfyolo.cli.main import main
from tfyolo.models import list_models, load_spec
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
    """Cells of a table's lines that end in figures; those before the module are empty in the total."""
    found = []
    for line in text.splitlines():
        words = line.split()
        if len(words) < 4 or not re.fullmatch(r"\d+\.\d{3}", words[-1]):
            continue
        at = next(i for i, word in enumerate(words) if word[0].isalpha())
        *arguments, output = words[at + 1 : -2] or [""]
        if not re.fullmatch(r"\d+(x\d+)*", output):
            arguments, output = [*arguments, output], ""
        before = words[:at] or [""] * 3
        found.append([*before, words[at], " ".join(arguments), output, *words[-2:]])
    return found


def test_columns(summary):
    headings = ["from", "n", "module", "arguments", "output", "parameters", "GFLOPs"]
    assert summary("yolov5n").splitlines()[1].split() == headings


@pytest.mark.parametrize("model", ["", *list_models()])
def test_a_terminal_of_80_columns_is_enough(summary, monkeypatch, model):
    monkeypatch.setattr("tfyolo.cli.console.console", lambda: Console(width=80, highlight=False))
    out = summary(*filter(None, [model]))
    assert max(map(len, out.splitlines())) <= 80
    assert "…" not in out
    if model:
        assert len(rows(out)) == len(load_spec(model).layers) + 1


@pytest.mark.parametrize(
    "row",
    [
        [
            "0",
            "-1",
            "1",
            "Conv",
            "16 k6 s2 p2",
            "320x320x16",
            "1,760",
            "0.367",
        ],
        ["4", "3", "2", "C3", "64", "80x80x64", "29,184", "0.377"],
        ["12", "11,6", "1", "Concat", "", "40x40x256", "0", "0.000"],
        ["", "", "", "total", "25 layers", "", "1,872,157", "4.563"],
    ],
    ids=lambda row: row[3],
)
def test_rows(summary, row):
    found = [other for other in rows(summary("yolov5n")) if other[:4] == row[:4]]
    assert found[0][:7] == row[:7]
    assert float(found[0][7]) == pytest.approx(float(row[7]), abs=0.01)


def test_sections_are_marked_in_their_order(summary):
    lines = [line.strip() for line in summary("yolov5n").splitlines()]
    found = [line for line in lines if line in ("backbone", "neck", "head")]
    assert found == ["backbone", "neck", "head"]


def test_parameters_sum_to_the_total(summary):
    numbers = [int(row[6].replace(",", "")) for row in rows(summary("yolov5n"))]
    assert sum(numbers[:-1]) == numbers[-1]


def test_classes(summary):
    assert "yolov5n, 3 classes" in summary("yolov5n", "--classes", "3")


def test_size(summary):
    assert "160x208x16" in summary("yolov5n", "--img", "320", "416")


def test_every_model_by_name(summary):
    assert [line.split()[0] for line in summary().splitlines()[1:]] == list_models()


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
        (("yolov5q",), "unknown model `yolov5q`"),
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
