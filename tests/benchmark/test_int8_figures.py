"""`benchmarks/int8_figures.py`: from a float model to the table of the docs; no step is repeated."""

import os
import runpy
import subprocess
import sys
from pathlib import Path

import keras
import pytest

from tfyolo.data import synthetic
from tfyolo.inference.load import create_predictor

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def workplace(tmp_path_factory):
    folder = tmp_path_factory.mktemp("figures")
    synthetic.create_shapes_dataset(folder / "shapes", train=4, val=4, image_size=64)
    keras.utils.set_random_seed(0)
    create_predictor(ROOT / "tests/micro.yaml", names=synthetic.SHAPES).save(folder / "exact.keras")
    return folder


SCRIPT = ROOT / "benchmarks/int8_figures.py"
OPTIONS = "--weights exact.keras --data shapes/shapes.yaml --img 64 --calibration 4 --name micro --budgets 0"


def run(folder, *words):
    """The script as a process of its own."""
    path = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
    return subprocess.run(
        [sys.executable, str(SCRIPT), *OPTIONS.split(), *words],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def again(workplace, monkeypatch, capsys):
    """The script in this process, which has imported TensorFlow: exit status and what it printed."""
    monkeypatch.chdir(workplace)
    monkeypatch.setattr(sys, "path", [str(SCRIPT.parent), *sys.path])

    def call(*words):
        monkeypatch.setattr(sys, "argv", [str(SCRIPT), *OPTIONS.split(), *words])
        with pytest.raises(SystemExit) as end:
            runpy.run_path(str(SCRIPT), run_name="__main__")
        return end.value.code, capsys.readouterr().out

    return call


def test_the_table_is_written_and_no_step_is_repeated(workplace, again):
    page = workplace / "page.md"
    page.write_text("before\n<!-- int8-figures micro -->\nold\n<!-- /int8-figures -->\nafter\n")
    first = run(workplace, "--steps", "2", "--write", "page.md")
    assert first.returncode == 0, first.stderr[-2000:]
    assert "calibrated-0.keras: " in first.stdout
    assert "qat2-0.keras: " in first.stdout
    text = page.read_text()
    assert text.startswith("before\n<!-- int8-figures micro -->\n| file | mAP50-95 | points lost |")
    assert text.endswith("<!-- /int8-figures -->\nafter\n")
    assert "old" not in text
    rows = [line.split(" | ")[0] for line in text.splitlines() if line.startswith("| ")]
    assert rows[1:] == [
        f"| {kind}, {nms}"
        for kind, nms in (
            ("float32", "raw heads"),
            ("float32", "NMS inside"),
            ("int8, calibrated", "raw heads"),
            ("int8, calibrated", "NMS inside"),
            ("int8, QAT 2 steps", "raw heads"),
            ("int8, QAT 2 steps", "NMS inside"),
        )
    ]
    refusal, _ = again("--steps", "2", "--splits", "val")
    assert "holds figures of other options (splits): pass another --name" in refusal
    code, fewer = again("--steps", "0")  # other rows of the same model are measured anew
    assert code == 0
    assert "minutes" not in fewer  # and no model is quantized again
    assert "QAT 2 steps" not in fewer
    assert "int8, calibrated, NMS inside" in fewer
    refusal, _ = again("--steps", "2", "--write", "shapes/shapes.yaml")
    assert "has no comment <!-- int8-figures micro -->" in refusal
