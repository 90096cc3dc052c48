"""What training shows fits a terminal of 80 columns."""

import io

import pytest
from rich.console import Console

from tfyolo.cli import train_display
from tfyolo.cli.classify_display import ClassifyDisplay
from tfyolo.cli.train_display import Display

LOSSES = {"box_loss": 0.12345, "obj_loss": 0.5, "cls_loss": 98765.4}
FIGURES = {
    "metrics/precision": 1.0,
    "metrics/recall": 0.0,
    "metrics/mAP_0.5": 0.95,
    "metrics/mAP_0.5:0.95": 0.5,
}


@pytest.fixture
def make(monkeypatch):
    """A display of that many epochs on a terminal of 80 columns, and what it has printed."""
    monkeypatch.setattr(train_display, "memory_gib", lambda: 123.4)

    def build(kind, epochs):
        out = io.StringIO()
        console = Console(file=out, width=80, force_terminal=True, highlight=False)
        monkeypatch.setattr(train_display, "console", lambda: console)
        return kind(epochs), out

    return build


def test_rows_of_a_detector(make):
    display, out = make(Display, 1000)
    display.row(999, LOSSES | FIGURES, 12345.6)
    display.row(1000, LOSSES, 7.0)  # not validated
    header, first, second = (line.rstrip() for line in out.getvalue().splitlines())
    assert header.split() == ["epoch", "box", "obj", "cls", "P", "R", "mAP50", "mAP50-95", "img/s", "GiB"]
    figures = "999/1000 0.1235 0.5000 98765 1.000 0.000 0.950 0.500 12346 123.4"
    assert " ".join(first.split()) == figures
    assert " ".join(second.split()) == "1000/1000 0.1235 0.5000 98765 - - - - 7.0 123.4"
    assert len(header) == len(first) == len(second) <= 80


def test_rows_of_a_classifier(make):
    display, out = make(ClassifyDisplay, 10)
    display.row(1, {"loss": 1.5, "accuracy": 0.5, "metrics/accuracy_top1": 0.75}, 100.0)
    header, row = out.getvalue().splitlines()
    assert row.split() == ["1/10", "1.5000", "0.500", "-", "0.7500", "-", "100", "123.4"]
    assert len(header) == len(row) <= 80


def test_a_bar_has_its_remaining_time(make):
    display, _ = make(Display, 1000)
    display.bar("epoch", 500, 10_000, "epoch 1000/1000 box 0.123 obj 0.123 cls 0.123")
    out = io.StringIO()
    Console(file=out, width=80).print(display.progress.get_renderable())
    (line,) = out.getvalue().splitlines()
    assert line.split()[-2:] == ["500/10000", "-:--:--"]
    assert line.startswith("epoch 1000/1000 box 0.123 obj 0.123 cls 0.123 ")
