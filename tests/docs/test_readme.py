"""The README's blocks run as a new user pastes them, and print what it says."""

import re

import pytest

import tfyolo
from docs.tools.blocks import ROOT
from tests.docs.pages import BLOCKS, commands_in
from tfyolo.cli.main import main

README = ROOT / "README.md"
SMALLER = (
    ("--img 320", "--img 64"),
    ("--epochs 2", "--epochs 1"),
    ("image_size=320", "image_size=64"),
    ("train --weights bccd-n", "train --weights micro.keras"),
    ('training_model("bccd-n"', 'training_model("micro.keras"'),
    ("--int8 --data", "--int8 --calibration 8 --data"),
)
"""Training a real network takes minutes; `make test-slow` runs the README's lines as they stand."""


@pytest.mark.parametrize("smaller", [SMALLER, pytest.param((), marks=pytest.mark.slow)])
def test_the_readme_runs_as_a_new_user_pastes_it(tmp_path, monkeypatch, capsys, smaller):
    monkeypatch.chdir(tmp_path)
    text, names = README.read_text(), ("Platelets", "RBC", "WBC")
    assert all(large in text for large, _ in smaller)
    tfyolo.create(ROOT / "tests/micro.yaml", names=names).save("micro.keras")
    variables = {}
    for block in [block for block in BLOCKS if block.path == README]:
        code = block.code
        for large, small in smaller:
            code = code.replace(large, small)
        if block.language == "sh":
            for words in commands_in(code):
                assert words[0] != "tfyolo" or main(list(words[1:])) == 0, words
        elif block.language == "python":
            exec(compile(code, "README.md", "exec"), variables)
    printed = capsys.readouterr().out
    pattern = r"\{'Platelets': (\d+), 'RBC': (\d+), 'WBC': (\d+)\}"
    counts, documented_counts = (re.search(pattern, x) for x in (printed, text))
    boxes, documented_boxes = (re.search(r"24 images, (\d+) boxes, 0 skipped", x) for x in (printed, text))
    # Processors add up in different orders, and a box at the threshold may be in or out.
    expected = [int(x) for x in documented_counts.groups()]
    assert [int(x) for x in counts.groups()] == pytest.approx(expected, abs=1)
    assert int(boxes[1]) == pytest.approx(int(documented_boxes[1]), abs=4)
    assert "detector with 3 classes, int8" in printed
    assert {path.name for path in tmp_path.iterdir()} >= {"cells.tflite", "cells.jpg", "cells.keras", "runs"}
    assert tfyolo.load("cells.keras").names == names


def test_the_readme_is_short():
    assert len(README.read_text().splitlines()) <= 150
