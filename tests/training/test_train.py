"""Whole runs: what is written, and resuming after a kill."""

import csv
import json
import re
import zipfile
from dataclasses import asdict, replace
from pathlib import Path
from types import SimpleNamespace

import keras
import numpy as np
import pytest
import tensorflow as tf
import yaml

from tests.training.conftest import MICRO
from tfyolo.errors import TfyoloError
from tfyolo.evaluation.validator import ValOptions, validate
from tfyolo.inference.load import load_predictor
from tfyolo.training.detection.evolve import evolve, train
from tfyolo.training.detection.hyps import read_hyps
from tfyolo.training.detection.image_sampling import ImageSampling
from tfyolo.training.detection.options import TrainOptions
from tfyolo.training.state import RunState, read_state
from tfyolo.weights import load_model


class KilledError(Exception):
    """Stands for SIGKILL: nothing is cleaned up after it."""


class KillIn(keras.callbacks.Callback):
    def __init__(self, epoch):
        super().__init__()
        self.epoch, self.now = epoch, -1

    def on_epoch_begin(self, epoch, logs=None):
        self.now = epoch

    def on_train_batch_end(self, batch, logs=None):
        if self.now == self.epoch and batch == 1:
            raise KilledError


@pytest.fixture(scope="module")
def options(shapes):
    return TrainOptions(
        shapes,
        weights="",
        cfg=MICRO,
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
    return train(replace(options, plots=True, tensorboard=True, save_period=2), folder)


def test_a_run_writes_models_figures_and_images(unbroken):
    folder = unbroken.folder
    for name in (
        "results.csv",
        "results.png",
        "labels.jpg",
        "train_batch0.jpg",
        "opt.yaml",
        "hyp.yaml",
        "weights/best.keras",
        "weights/last.keras",
        "weights/epoch2.keras",
        "metrics.json",
    ):
        assert (folder / name).stat().st_size > 0, name
    (events,) = folder.glob("events.out.tfevents.*")
    events = tf.compat.v1.train.summary_iterator(str(events))
    assert {event.step for event in events if event.summary.value} == {1, 2, 3}
    rows = list(csv.DictReader((folder / "results.csv").open()))
    assert [int(row["epoch"]) for row in rows] == [1, 2, 3]
    assert all(float(row["val/obj_loss"]) > 0 for row in rows)
    assert load_predictor(unbroken.best).names == ("circle", "rectangle", "triangle")


def test_an_ended_run_has_no_state_left_and_says_so(unbroken):
    assert "training.npz" not in zipfile.ZipFile(unbroken.last).namelist()
    with pytest.raises(TfyoloError, match="no unfinished run"):
        read_state(unbroken.last)


def test_a_killed_run_goes_on_to_the_same_end_with_its_own_settings(
    options, unbroken, shapes, tmp_path, monkeypatch
):
    (tmp_path / "began").mkdir()
    monkeypatch.chdir(tmp_path / "began")
    for name, text in (
        ("micro.yaml", Path(MICRO).read_text()),
        ("mine.yaml", "lr0: 0.01\n"),
        ("data.yaml", shapes.read_text().replace("path: .", f"path: {shapes.parent}")),
    ):
        Path(name).write_text(text)
    begun = replace(options, data=Path("data.yaml"), cfg="micro.yaml", hyp="mine.yaml")
    with pytest.raises(KilledError):
        train(begun, tmp_path, callbacks=[KillIn(2)])
    notes = {name: (tmp_path / name).read_text() for name in ("opt.yaml", "hyp.yaml")}
    last = tmp_path / "weights/last.keras"
    assert read_state(last).epoch == 2

    Path("micro.yaml").unlink()
    Path("mine.yaml").write_text("lr0: 0.5\nmosaic: 0\n")
    elsewhere, said = replace(begun, data=Path("data.yaml").absolute(), epochs=9, image_size=96), []
    names = "names: [circle, rectangle, triangle]"
    assert names in Path("data.yaml").read_text()
    Path("data.yaml").write_text(Path("data.yaml").read_text().replace("circle, rect", "rect, circle, "))
    with pytest.raises(
        TfyoloError, match=r"data.yaml: the classes of the dataset have changed: it has rect, "
    ):
        train(elsewhere, tmp_path, resume=last)
    Path("data.yaml").write_text(Path("data.yaml").read_text().replace("rect, circle, ", "circle, rect"))
    monkeypatch.chdir(tmp_path)
    result = train(elsewhere, tmp_path, resume=last, log=said.append)

    said = "\n".join(said)
    assert "`epochs` = 9 is ignored: a resumed run keeps its settings, here 3" in said
    assert "`image_size` = 96 is ignored" in said
    assert (
        "mine.yaml has changed, but a resumed run keeps its hyperparameters: mosaic = 1.0, lr0 = 0.01" in said
    )
    assert {name: (tmp_path / name).read_text() for name in notes} == notes
    mine, theirs = load_model(result.last)[0].get_weights(), load_model(unbroken.last)[0].get_weights()
    for a, b in zip(mine, theirs, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-4)
    rows = list(csv.DictReader((tmp_path / "results.csv").open()))
    assert [int(row["epoch"]) for row in rows] == [1, 2, 3]


@pytest.mark.parametrize(
    "flags",
    [
        {
            "rect": True,
            "cache": "disk",
            "single_cls": True,
            "image_weights": True,
            "optimizer": "AdamW",
            "cos_lr": True,
            "freeze": (1,),
        },
        {
            "multi_scale": True,
            "cache": "ram",
            "amp": "bf16",
            "strategy": "mirrored",
            "sync_bn": True,
            "image_weights": True,
            "optimizer": "Adam",
            "autobalance": True,
            "val": False,
        },
    ],
)
def test_flags_work_together(options, flags, tmp_path, monkeypatch):
    monkeypatch.setenv("TFYOLO_CACHE", str(tmp_path / "cache"))
    cfg = tmp_path / "generated.yaml"  # without anchors: they are to be made from the boxes
    cfg.write_text(re.sub(r"anchors:\n(  - .*\n){1}", "anchors: 3\n", Path(MICRO).read_text()))
    said = []
    result = train(replace(options, cfg=str(cfg), epochs=2, **flags), tmp_path / "run", log=said.append)
    assert np.array(load_predictor(result.best).contract.anchors_px).max() < 64  # the images' size
    rows = list(csv.DictReader((tmp_path / "run/results.csv").open()))
    assert len(rows) == 2
    assert all(0 < float(row["train/box_loss"]) < 1 for row in rows)
    assert any(line.startswith("frozen: ") for line in said) == ("freeze" in flags)
    best, single_cls = load_predictor(result.best), "single_cls" in flags
    assert best.names == (("object",) if single_cls else ("circle", "rectangle", "triangle"))
    measured = validate(best, options.data, ValOptions(single_cls=single_cls, plots=False))
    assert result.metrics.map50_95 == pytest.approx(measured.map50_95)
    assert result.metrics.map50 == pytest.approx(measured.map50)
    (note,) = (line for line in said if "warm-up" in line)
    assert note.endswith(" epochs (100 steps), but the run has only 2")


def test_a_resumed_run_samples_images_by_the_same_map():
    samples = [SimpleNamespace(classes=np.array(classes, int)) for classes in ([0, 0], [0, 1], [2], [])]
    validation = SimpleNamespace(map_per_class=lambda num_classes: np.array([0.2, 0.9, 0.5]))
    state = RunState()
    sampling = ImageSampling(samples, validation, state, 3)
    before = sampling.weights()
    sampling.on_epoch_end(0)
    resumed = RunState(**json.loads(json.dumps(asdict(state))))
    weights = ImageSampling(samples, None, resumed, 3).weights()
    np.testing.assert_array_equal(weights, sampling.weights())
    assert not np.allclose(weights, before)
    rarity = np.array([1 / 3, 1, 1]) / (1 / 3 + 2)
    first, second, third = rarity * np.array([0.8, 0.1, 0.5]) ** 2
    np.testing.assert_allclose(weights, np.array([2 * first, first + second, third, 0]) + 1e-6)


def test_a_killed_search_begins_again_with_what_was_given(options, tmp_path, monkeypatch):
    from tfyolo.training.detection import evolve as module

    tried, kill = [], [True]

    def fake(run, folder):
        tried.append(run.hyp_overrides["lr0"])
        if kill.pop() if kill else False:
            raise KeyboardInterrupt
        return SimpleNamespace(metrics=None)

    monkeypatch.setattr(module, "train", fake)
    with pytest.raises(KeyboardInterrupt):
        evolve(options, tmp_path, 1, lambda sentence: None)
    evolve(options, tmp_path, 2, lambda sentence: None)
    evolve(options, tmp_path, 5, lambda sentence: None)
    assert tried[:2] == [pytest.approx(read_hyps("scratch-low").lr0)] * 2
    assert len(tried) == 6
    assert len(set(tried[1:])) == 5  # a resumed search tries other values


def test_evolve_tries_what_was_given_first_and_goes_on(options, tmp_path):
    short, said = replace(options, epochs=1), []
    evolve(short, tmp_path, 1, said.append)
    path = evolve(short, tmp_path, 2, said.append)
    assert [line.partition(":")[0] for line in said] == ["run 1", "run 2"]
    first, second = (yaml.safe_load((tmp_path / f"run{n}/hyp.yaml").read_text()) for n in range(2))
    assert first["lr0"] == pytest.approx(read_hyps("scratch-low").lr0)
    assert first["lr0"] != second["lr0"]
    assert read_hyps(path).lr0 in (pytest.approx(first["lr0"]), pytest.approx(second["lr0"]))


def test_data_without_labels_is_refused(options, tmp_path):
    (tmp_path / "images").mkdir()
    import cv2

    cv2.imwrite(str(tmp_path / "images/a.png"), np.zeros((32, 32, 3), np.uint8))
    path = tmp_path / "none.yaml"
    path.write_text(f"path: {tmp_path}\ntrain: images\nval: images\nnames: [a]\n")
    with pytest.raises(TfyoloError, match="none of the images in `train` has a label"):
        train(replace(options, data=path), tmp_path / "run")
