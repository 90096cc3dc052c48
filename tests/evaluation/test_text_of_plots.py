"""Texts of plots are inside of the figure and apart from each other, also with many or long class names."""

import csv
import re
from itertools import combinations
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.text import Text

from tests.evaluation.test_plots import result_of
from tfyolo.evaluation import plot_style
from tfyolo.evaluation.plot_style import shortened
from tfyolo.evaluation.plots import save_confusion, save_curves
from tfyolo.models import load_spec
from tfyolo.quantization.chart import save_noise_chart
from tfyolo.quantization.debug import LayerNoise
from tfyolo.training.classification import plots as classifier_plots
from tfyolo.training.detection import plots

LONG = ("traffic light for pedestrians and bicycles", "Platelets", "$x_1$ costs $")


@pytest.fixture
def figures(monkeypatch):
    """The figures that are saved; no file is written."""
    saved = []

    def keep(self, path):
        self.draw_without_rendering()
        path.touch()
        saved.append(self)

    monkeypatch.setattr(Figure, "savefig", keep)
    return saved


def names(count):
    return [f"{LONG[index % 3]} {index}" for index in range(count)]


def texts(figure):
    """All that is drawn; matplotlib keeps ticks outside of the limits, too."""
    found = [] if figure._suptitle is None else [figure._suptitle]
    for axes in figure.axes:
        found += [*axes.texts, axes._left_title, axes.xaxis.label, axes.yaxis.label]
        for axis in (axes.xaxis, axes.yaxis):
            found += [tick.label1 for tick in axis._update_ticks()] + [axis.get_offset_text()]
        if axes.get_legend():
            found += axes.get_legend().findobj(Text)
    return [text for text in found if text.get_visible() and text.get_text().strip()]


def assert_texts_fit(figure):
    boxes = [(text.get_text(), text.get_window_extent()) for text in texts(figure)]
    assert len(boxes) > 3
    width, height = figure.bbox.width, figure.bbox.height
    for text, box in boxes:
        assert min(box.x0, box.y0) >= 0, text
        assert box.x1 <= width, text
        assert box.y1 <= height, text
    for (a, first), (b, second) in combinations(boxes, 2):
        apart = (
            min(first.x1, second.x1) - max(first.x0, second.x0) < 1
            or min(first.y1, second.y1) - max(first.y0, second.y0) < 1
        )
        assert apart, (a, b)


@pytest.mark.parametrize("classes", [3, 20, 80])
def test_curves(figures, tmp_path, classes):
    save_curves(result_of(classes), names(classes), tmp_path)
    assert len(figures) == 4
    for figure in figures:
        assert_texts_fit(figure)
        axes = figure.axes[0].get_window_extent()
        assert axes.width > figure.bbox.width / 2  # names leave the curves their room


@pytest.mark.parametrize("classes", [1, 3, 10, 30, 80])
def test_confusion(figures, tmp_path, classes):
    counts = np.full((classes + 1, classes + 1), 12345)
    save_confusion(counts, names(classes), tmp_path)
    assert_texts_fit(figures[0])


@pytest.mark.parametrize("classes", [1, 3, 30, 80])
def test_labels(figures, tmp_path, classes):
    random = np.random.default_rng(0)
    boxes = random.uniform(0.1, 0.4, (50, 4))
    sample = SimpleNamespace(classes=random.integers(0, classes, 50), boxes_xywh_norm=boxes)
    plots.save_labels([sample], names(classes), tmp_path / "labels.jpg")
    assert_texts_fit(figures[0])


COLUMNS = {
    plots: ("train/box_loss", "val/box_loss", "metrics/precision", "metrics/mAP_0.5", "x/lr0", "x/lr1"),
    classifier_plots: ("train/loss", "val/loss", "metrics/accuracy_top1", "x/lr0", "x/lr1"),
}


@pytest.mark.parametrize("epochs", [1, 2, 13, 300])
@pytest.mark.parametrize("module", COLUMNS)
def test_results(figures, tmp_path, module, epochs):
    """As many columns as a run has that measured some figures only."""
    every = {name for module in COLUMNS for name in COLUMNS[module]}
    every |= {"train/obj_loss", "val/obj_loss", "train/cls_loss", "val/cls_loss", "metrics/recall"}
    every |= {"metrics/mAP_0.5:0.95", "train/accuracy", "metrics/accuracy_top5"}
    path = tmp_path / "results.csv"
    with path.open("w", newline="") as stream:
        writer = csv.DictWriter(stream, ["epoch", *sorted(every)], restval="")
        writer.writeheader()
        for epoch in range(1, epochs + 1):
            rates = {"x/lr0": max(0.1 / epoch**2, 1e-5), "x/lr1": 1e-2 / epoch}
            writer.writerow({"epoch": epoch, **dict.fromkeys(COLUMNS[module], 0.5 / epoch), **rates})
    module.save_results(path, tmp_path / "results.png")
    assert_texts_fit(figures[0])
    *others, rates = figures[0].axes
    for axes in (*others, rates):
        low, high = axes.get_xlim()
        shown = [tick for tick in axes.get_xticks() if low <= tick <= high]
        assert shown[0] == 1
        assert all(tick == int(tick) for tick in shown)
    legend = [text.get_text() for text in rates.get_legend().get_texts()]
    assert legend == ["biases (lr0)", "kernels (lr1)"]
    assert rates.get_yscale() == ("linear" if epochs == 1 else "log")
    assert all("/" not in text.get_text() for text in texts(figures[0]))  # words, not columns


@pytest.mark.parametrize("model", ["yolov5n", "yolov5n-cls"])
def test_noise(figures, tmp_path, model):
    """Six noisy tensors one after the other, and many layers of one tensor."""
    spec = load_spec(model, num_classes=2)
    layers = []
    for layer in spec.layers:
        for part in range(1 + 6 * (layer.block == "C3")):
            drop = 9.0 if layer.index == 4 else 0.1
            layers.append(LayerNoise(f"model.{layer.index}.m.{part}.cv2.conv", 40.0 - layer.index, drop))
    save_noise_chart(layers, spec, tmp_path / "noise.png")
    assert_texts_fit(figures[0])
    *numbers, names = [text.get_text() for text in figures[0].axes[0].texts]
    assert numbers == ["1", "2", "3", "4", "5", "6"]
    assert names.split("\n") == [f"{part + 1}  4.m.{part}.cv2.conv" for part in range(6)]


def test_colors_are_those_of_the_page():
    styles = (Path(__file__).parents[2] / "web_demo/src/page/styles.css").read_text()
    light = set(re.findall(r"light-dark\((#[0-9a-f]{6}),", styles))
    assert {plot_style.ACCENT, plot_style.INK, plot_style.MUTED, plot_style.GRID} <= light


@pytest.mark.parametrize("name", ["x", "x" * 24, "x" * 25, "", "été" * 40])
def test_shortened(name):
    assert len(shortened(name)) == min(len(name), 24)
