"""Whole runs of segmentation models: what is written, resuming after a kill, and masks that are learned."""

import csv
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import tfyolo
from tests.training.segmentation.conftest import MICRO_SEG
from tests.training.test_train import KilledError, KillIn
from tests.training.test_workers import answers, free_port, launch
from tfyolo.cli.main import main
from tfyolo.errors import TfyoloError
from tfyolo.evaluation.validator import ValOptions, validate
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
        cfg=MICRO_SEG,
        epochs=3,
        batch_size=8,
        image_size=64,
        plots=False,
        tensorboard=False,
        image_weights=True,
        patience=0,
    )


@pytest.fixture(scope="module")
def unbroken(options, tmp_path_factory):
    folder = tmp_path_factory.mktemp("unbroken")
    return train(replace(options, plots=True, tensorboard=True), folder)


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


def test_a_killed_run_goes_on_to_the_same_end(options, unbroken, tmp_path):
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
        found, expected = (float(rows(r.folder)[-1][name]) for r in (result, unbroken))
        assert found == pytest.approx(expected, rel=1e-3)


def test_a_small_network_learns_masks(options, polygons, tmp_path):
    plain = dict.fromkeys(("mosaic", "scale", "translate", "hsv_h", "hsv_s", "hsv_v"), 0.0)
    fast = replace(options, val=False, save=False, cache="ram", image_weights=False)
    steps = replace(fast, epochs=60, nominal_batch=8, optimizer="Adam")
    result = train(replace(steps, hyp_overrides={"lr0": 0.003, "box": 0.2, **plain}), tmp_path)
    losses = [float(row["train/seg_loss"]) for row in rows(tmp_path)]
    assert losses[-1] < losses[0] / 4
    found = validate(load_predictor(result.last), polygons, ValOptions(split="train", plots=False))
    assert found.mask_map50 > 0.2


def assert_learned_alike(found, alone):
    np.testing.assert_allclose(found["losses"], alone["losses"], rtol=1e-4)
    np.testing.assert_allclose(found["weights"], alone["weights"], rtol=1e-3)


@pytest.fixture(scope="module")
def one_process(polygons):
    return answers(launch(polygons, "none", "two-devices", config=MICRO_SEG))


def test_two_devices_learn_what_one_does(one_process):
    alone, pair = one_process
    assert_learned_alike(pair, alone)


@pytest.mark.slow
def test_two_workers_learn_what_one_does(polygons, one_process):
    cluster = {"worker": [f"127.0.0.1:{free_port()}" for _ in range(2)]}
    configs = [json.dumps({"cluster": cluster, "task": {"type": "worker", "index": i}}) for i in range(2)]
    workers = [launch(polygons, "multiworker", config=MICRO_SEG, TF_CONFIG=config) for config in configs]
    for (found,) in map(answers, workers):
        assert_learned_alike(found, one_process[0])


def test_fit_trains_a_loaded_model(polygons, tmp_path):
    model = tfyolo.create(MICRO_SEG, names=["circle", "square", "triangle"], image_size=64)
    said = []
    result = model.fit(
        polygons, epochs=1, batch_size=8, overlap=False, plots=False, project=tmp_path, log=said.append
    )
    assert result.metrics.mask_map50 == result.history["metrics/mAP_0.5(M)"][0]
    assert (model.names[1], model.runtime.path) == ("rectangle", result.best)
    assert any("2 of 3 classes copied by name; new: rectangle" in line for line in said)
    with pytest.raises(TfyoloError, match=r"unknown option `mask_ration`(.|\n)*mask_ratio"):
        model.fit(polygons, mask_ration=2)


def test_a_segmentation_model_starts_from_a_detector(polygons, tmp_path, monkeypatch, capsys):
    """Its backbone and the channels of boxes, objectness and classes are the detector's."""
    monkeypatch.chdir(tmp_path)
    text = Path(MICRO_SEG).read_text()
    Path("micro.yaml").write_text(text.replace("Segment, [8, 32]", "Detect, []"))
    detector = tfyolo.create("micro.yaml", names=["triangle", "circle", "square"], image_size=64)
    detector.save("detector.keras")
    words = f"segment train --data {polygons} --weights detector.keras --img 64 --epochs 1 --noplots".split()
    assert main(words) == 2
    assert "there is no segmentation model of its name\n  fix: pass --cfg" in capsys.readouterr().err
    words += f"--cfg {MICRO_SEG} --mask-ratio 2 --batch-size 8 --name run".split()
    assert main([*words, "--set", "lr0=1e-9", "warmup_epochs=0", "weight_decay=0"]) == 0
    out = capsys.readouterr().out
    assert "2 of 3 classes copied by name; new: rectangle" in out
    assert "next: tfyolo segment val --weights runs/train-seg/run/weights/best.keras" in out
    (own, start) = (
        m.model.get_layer("model.4.m.0").kernel.numpy()
        for m in (tfyolo.load("runs/train-seg/run/weights/best.keras"), detector)
    )
    own, start = own.reshape(64, 3, 5 + 3 + 8), start.reshape(64, 3, 5 + 3)
    np.testing.assert_allclose(own[..., :5], start[..., :5], atol=1e-5)
    np.testing.assert_allclose(own[..., 5], start[..., 6], atol=1e-5)  # circle
    np.testing.assert_allclose(own[..., 7], start[..., 5], atol=1e-5)  # triangle
