"""Whole runs of segmentation models: what is written, going on after a kill, and masks that are learned."""

import csv
from dataclasses import replace

import pytest

from tests.training.segmentation.conftest import TINY_SEG
from tests.training.test_train import KilledError, KillIn
from tfyolo.errors import TfyoloError
from tfyolo.inference.load import load_predictor
from tfyolo.training.segmentation.options import SegmentOptions
from tfyolo.training.state import read_state
from tfyolo.training.train import train

COLUMNS = [
    "epoch",
    *(f"train/{name}_loss" for name in ("box", "seg", "obj", "cls")),
    *(
        f"metrics/{name}({kind})"
        for kind in "BM"
        for name in ("precision", "recall", "mAP_0.5", "mAP_0.5:0.95")
    ),
    *(f"val/{name}_loss" for name in ("box", "seg", "obj", "cls")),
    *("x/lr0", "x/lr1", "x/lr2"),
]
"""Of YOLOv5's segment/train.py."""


@pytest.fixture(scope="module")
def options(polygons):
    return SegmentOptions(
        polygons,
        weights="",
        cfg=TINY_SEG,
        epochs=3,
        batch_size=8,
        image_size=64,
        plots=False,
        tensorboard=False,
        patience=0,
    )


@pytest.fixture(scope="module")
def unbroken(options, tmp_path_factory):
    folder = tmp_path_factory.mktemp("unbroken")
    return train(replace(options, plots=True, tensorboard=True, image_weights=True), folder)


def rows(folder):
    return list(csv.DictReader((folder / "results.csv").open()))


def test_a_run_writes_yolov5s_columns_and_images(unbroken):
    found = rows(unbroken.folder)
    assert list(found[0]) == COLUMNS
    assert all(float(row[name]) >= 0 for row in found for name in COLUMNS)
    assert all(float(row["val/seg_loss"]) > 0 for row in found)
    for name in ("labels.jpg", "train_batch0.jpg", "results.png", "opt.yaml", "hyp.yaml", "metrics.json"):
        assert (unbroken.folder / name).stat().st_size > 0, name
    assert unbroken.metrics.mask_map50 is not None
    model = load_predictor(unbroken.best)
    assert (model.contract.task, model.names) == ("segment", ("circle", "rectangle", "triangle"))


def test_a_killed_run_goes_on_to_the_same_end(options, tmp_path):
    whole = train(options, tmp_path / "whole")
    with pytest.raises(KilledError):
        train(options, tmp_path / "run", callbacks=[KillIn(2)])
    last = tmp_path / "run/weights/last.keras"
    state = read_state(last, "segment")
    assert (state.epoch, state.task) == (2, "segment")
    with pytest.raises(
        TfyoloError, match=r"belongs to a run of a segmentation model(.|\n)*segment train --resume"
    ):
        read_state(last)
    with pytest.raises(TfyoloError, match="belongs to a run of a segmentation model"):
        read_state(last, "classify")
    result = train(replace(options, epochs=9), tmp_path / "run", resume=last)
    for name in ("train/seg_loss", "val/seg_loss"):
        found, expected = (float(rows(r.folder)[-1][name]) for r in (result, whole))
        assert found == pytest.approx(expected, rel=1e-3)


def test_a_tiny_network_learns_masks(options, tmp_path):
    """What it finds after a minute of training has the shape of the objects, and not of their boxes."""
    steps = replace(options, epochs=120, nominal_batch=8, val=False, optimizer="Adam", cache="ram")
    steps = replace(steps, hyp_overrides={"lr0": 0.01, "mosaic": 0.0, "scale": 0.2, "translate": 0.0})
    result = train(steps, tmp_path)
    losses = [float(row["train/seg_loss"]) for row in rows(tmp_path)]
    print(
        losses[0], losses[-1], result.metrics.map50, result.metrics.mask_map50, result.metrics.mask_map50_95
    )
    assert losses[-1] < losses[0] / 2
    assert result.metrics.mask_map50 > 0.3
