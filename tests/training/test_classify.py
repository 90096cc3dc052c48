"""Whole runs of a small classifier: what is written, what is learnt, resuming after a kill."""

import csv
import shutil
import zipfile
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfyolo
from tests.data.classification.class_folders import class_folders
from tests.training.test_train import KilledError, KillIn
from tfyolo.data.classification.augment import ClassificationAugmentationOptions
from tfyolo.errors import TfyoloError
from tfyolo.evaluation.classification import ClassifierValOptions, validate_classifier
from tfyolo.inference.load import load_predictor
from tfyolo.models import Contract, load_spec
from tfyolo.training.classification.initialization import plan_initial_weights
from tfyolo.training.classification.model import ClassifierTraining, ClassifySchedule
from tfyolo.training.classification.options import ClassifyHyps, ClassifyOptions
from tfyolo.training.classification.validation import ClassifierBatchValidation
from tfyolo.training.state import newest_run, read_state
from tfyolo.training.train import train
from tfyolo.weights import load_model

TINY = str(Path(__file__).parents[1] / "tiny-cls.yaml")
NAMES = ("blue", "green", "red")
GENTLE = ClassificationAugmentationOptions(scale=0.5, jitter=0.0)


@pytest.fixture(scope="module")
def colors(tmp_path_factory):
    return class_folders(tmp_path_factory.mktemp("colors"), train=8, val=4, test=2)


@pytest.fixture(scope="module")
def options(colors):
    return ClassifyOptions(
        colors,
        TINY,
        epochs=3,
        batch_size=8,
        image_size=32,
        augmentation=GENTLE,
        plots=False,
        tensorboard=False,
        hyps=ClassifyHyps(lr0=0.01),
    )


@pytest.fixture(scope="module")
def unbroken(options, tmp_path_factory):
    folder = tmp_path_factory.mktemp("unbroken")
    wanted = replace(options, epochs=15, batch_size=4, plots=True, tensorboard=True, save_period=6)
    return train(wanted, folder)


def test_it_learns_and_says_how_well(unbroken):
    assert unbroken.metrics.top1 == 1.0
    assert unbroken.metrics.settings["split"] == "val"
    rows = list(csv.DictReader((unbroken.folder / "results.csv").open()))
    assert [int(row["epoch"]) for row in rows] == list(range(1, 16))
    assert float(rows[-1]["train/loss"]) < 0.7 * float(rows[0]["train/loss"])
    assert float(rows[-1]["val/loss"]) < float(rows[0]["val/loss"])
    assert max(float(row["metrics/accuracy_top1"]) for row in rows) == 1.0
    rates = [float(row["x/lr1"]) for row in rows]
    assert rates[1:] == sorted(rates[1:], reverse=True)
    assert max(rates) == pytest.approx(0.01, rel=0.02)


def test_a_run_writes_models_figures_and_images(unbroken):
    for name in (
        "results.csv",
        "results.png",
        "train_batch0.jpg",
        "opt.yaml",
        "weights/best.keras",
        "weights/last.keras",
        "weights/epoch6.keras",
        "metrics.json",
        "confusion_matrix.png",
        "val_batch0.jpg",
    ):
        assert (unbroken.folder / name).stat().st_size > 0, name
    assert any(unbroken.folder.glob("events.out.tfevents.*"))
    classifier = load_predictor(unbroken.best)
    assert (classifier.names, classifier.image_size) == (NAMES, (32, 32))
    red = np.zeros((50, 40, 3), np.uint8)
    red[..., 0] = 180
    assert classifier(red)[0].name == "red"


def test_an_ended_run_has_no_state_left(unbroken):
    assert "training.npz" not in zipfile.ZipFile(unbroken.last).namelist()
    with pytest.raises(TfyoloError, match="no unfinished run"):
        newest_run(unbroken.folder.parent, "classify")


def test_a_killed_run_goes_on_to_the_same_end(options, tmp_path):
    whole = train(options, tmp_path / "whole")
    with pytest.raises(KilledError):
        train(options, tmp_path / "killed", callbacks=[KillIn(2)])
    last = newest_run(tmp_path, "classify")
    assert last == tmp_path / "killed/weights/last.keras"
    assert read_state(last, "classify").epoch == 2
    with pytest.raises(TfyoloError, match="a run of a classifier"):
        read_state(last)
    wanted = ClassifyOptions.from_plain(read_state(last, "classify").options, last)
    assert wanted == options
    notes, said = (tmp_path / "killed/opt.yaml").read_text(), []
    for split in ("train", "val"):
        (options.data / split / "red").rename(options.data / split / "rot")
    with pytest.raises(TfyoloError, match="the classes of the dataset have changed"):
        train(wanted, tmp_path / "killed", resume=last)
    for split in ("train", "val"):
        (options.data / split / "rot").rename(options.data / split / "red")
    result = train(replace(wanted, epochs=9, model=""), tmp_path / "killed", resume=last, log=said.append)
    assert any(line.startswith("`epochs` = 9 is ignored: ") for line in said)
    assert (tmp_path / "killed/opt.yaml").read_text() == notes
    mine, theirs = load_model(result.last)[0].get_weights(), load_model(whole.last)[0].get_weights()
    for a, b in zip(mine, theirs, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-4)
    rows = list(csv.DictReader((tmp_path / "killed/results.csv").open()))
    assert [int(row["epoch"]) for row in rows] == [1, 2, 3]


@pytest.mark.parametrize(
    "flags",
    [
        {
            "optimizer": "SGD",
            "freeze": (2,),
            "cos_lr": False,
            "cache": "disk",
            "val": False,
            "hyps": ClassifyHyps(dropout=0.5, warmup_epochs=0),
        },
        {
            "optimizer": "AdamW",
            "amp": "bf16",
            "cache": "none",
            "freeze": (0, 3),
            "augmentation": ClassificationAugmentationOptions(randaugment=1, mixup=0.5, cutmix=0.5),
        },
    ],
)
def test_flags_work_together(options, flags, tmp_path, monkeypatch):
    monkeypatch.setenv("TFYOLO_CACHE", str(tmp_path / "cache"))
    said = []
    result = train(replace(options, epochs=2, **flags), tmp_path / "run", log=said.append)
    rows = list(csv.DictReader((tmp_path / "run/results.csv").open()))
    assert len(rows) == 2
    assert (rows[0]["val/loss"] == "") == (not flags.get("val", True))
    assert any(line.startswith("frozen: ") for line in said)
    again = validate_classifier(load_predictor(result.best), options.data, ClassifierValOptions(plots=False))
    assert again.top1 == result.metrics.top1


def test_frozen_layers_stay_as_they_were(options, tmp_path):
    said = []
    first = train(replace(options, epochs=1), tmp_path / "first")
    wanted = replace(options, epochs=1, pretrained=str(first.last), model="", freeze=(3,))
    second = train(wanted, tmp_path / "second", log=said.append)
    assert "weights: 32 of 32 arrays copied" in said
    before, after = (load_model(result.last)[0] for result in (first, second))
    for old, new in zip(before.layers, after.layers, strict=True):
        frozen = old.name.startswith(("model.0.", "model.1.", "model.2."))
        for a, b in zip(old.trainable_weights, new.trainable_weights, strict=True):
            assert np.array_equal(a.numpy(), b.numpy()) == frozen, old.name


def test_patience_ends_a_run(options, tmp_path):
    hyps = ClassifyHyps(lr0=1e-9, warmup_epochs=0)
    train(replace(options, epochs=9, patience=2, hyps=hyps), tmp_path)
    assert len(list(csv.DictReader((tmp_path / "results.csv").open()))) == 3


def test_a_detector_begins_a_classifier(tmp_path):
    detector = tfyolo.create("yolov5n", num_classes=2)
    path = detector.save(tmp_path / "detector.keras")
    start = plan_initial_weights("", str(path), NAMES, 64)
    assert start.contract.config["name"] == "yolov5n-cls"
    assert (start.contract.names, start.contract.image_size) == (NAMES, (64, 64))
    names = {layer.name for layer in detector.model.layers if layer.weights}
    spec_layers = [f"model.{i}." for i in range(9)]
    backbone = [
        w
        for layer in detector.model.layers
        if layer.name.startswith(tuple(spec_layers))
        for w in layer.weights
    ]
    assert names
    assert start.num_copied == len(backbone)
    assert start.num_arrays == start.num_copied + 5 + 2  # of the head: convolution, batch-norm, linear layer


def test_a_classifier_gives_its_normalization_too(options, tmp_path):
    spec = load_spec(TINY, num_classes=5, normalize="imagenet")
    from tfyolo.models import build_model
    from tfyolo.weights.keras_file import save_keras

    path = save_keras(build_model(spec), Contract.of(spec), tmp_path / "imagenet.keras")
    for model in ("", TINY):
        start = plan_initial_weights(model, str(path), NAMES, 32)
        assert start.contract.config["normalize"] == "imagenet"
        assert start.num_arrays - start.num_copied == 2  # the last layer has other classes


def test_data_for_fit_is_checked_as_that_of_the_command(tmp_path):
    root = class_folders(tmp_path / "colors", train=3, val=1)
    (root / "train/blue/0.png").write_bytes(b"no image")
    with pytest.warns(UserWarning, match=r"1 of 9 images cannot be used:\n.*blue.0\.png") as found:
        assert len(tfyolo.ClassificationData(root, image_size=32, batch_size=2).samples) == 8
    assert [warning.filename for warning in found] == [__file__]
    with pytest.raises(TfyoloError, match="has no `train`"):
        tfyolo.ClassificationData(root / "train", image_size=32)
    for name in ("green", "red"):
        for split in ("train", "val"):
            shutil.rmtree(root / split / name)
    with pytest.raises(TfyoloError, match="`train` has only one class, blue"):
        tfyolo.ClassificationData(root, image_size=32)


def test_fit_in_a_few_lines(colors, tmp_path):
    data = tfyolo.ClassificationData(colors, image_size=32, batch_size=8, augmentation=GENTLE)
    assert (data.names, data.steps) == (NAMES, 3)
    model = tfyolo.training_classifier(data, TINY)
    model.compile("Adam", epochs=2, steps_per_epoch=data.steps, batch_size=8)
    validation = data.validation()
    history = model.fit(
        data.stream(), epochs=2, steps_per_epoch=data.steps, callbacks=[validation], verbose=0
    ).history
    assert set(history) >= {"loss", "accuracy", "val/loss", "metrics/accuracy_top1"}
    assert validation.metrics.names == NAMES
    assert model(tf.zeros((2, 32, 32, 3))).shape == (2, 3)
    saved = load_predictor(model.save_averaged(tmp_path / "colors.keras"))
    assert {name for _, name, _ in saved(np.zeros((40, 40, 3), np.uint8))[0].top(3)} == set(NAMES)
    assert saved.names == NAMES


@pytest.mark.parametrize(("logit", "accuracy", "top5"), [(np.nan, 0, 0), (0, 1 / 6, 5 / 6)])
def test_equal_logits_are_not_all_correct(logit, accuracy, top5):
    class Model:
        def __call__(self, images):
            return np.full((len(images), 6), logit, np.float32)

        def checked_labels(self, labels):
            return labels

    validation = ClassifierBatchValidation([(np.zeros((6, 8, 8, 3), np.uint8), np.eye(6, dtype=np.float32))])
    validation.set_model(Model())
    results = validation.validate()
    assert (results["accuracy"], results["top5"]) == pytest.approx((accuracy, top5))


def test_the_loss_is_smoothed_cross_entropy():
    keras.utils.set_random_seed(0)
    model = ClassifierTraining(Contract.of(load_spec(TINY), NAMES), 32)
    hyps = ClassifyHyps(label_smoothing=0.2, lr0=1e-6)
    model.compile("SGD", epochs=1, steps_per_epoch=1, batch_size=4, hyps=hyps, run_eagerly=True)
    images = tf.random.stateless_uniform((4, 32, 32, 3), (0, 0))
    labels = np.eye(3, dtype=np.float32)[[0, 1, 2, 0]]
    logits = model.network(images, training=True).numpy()
    log_p = logits - np.log(np.exp(logits).sum(1, keepdims=True))
    expected = -((labels * 0.8 + 0.2 / 3) * log_p).sum(1).mean()
    logs = model.step(images, tf.constant(labels))
    assert float(logs["loss"]) == pytest.approx(expected, rel=1e-4)
    assert float(logs["accuracy"]) == pytest.approx((logits.argmax(1) == labels.argmax(1)).mean())


def test_the_warm_up_is_a_tenth_of_the_run_at_most():
    assert ClassifySchedule(10, 40, 64, warmup_epochs=1.0).warmup_steps == 40
    assert ClassifySchedule(5, 40, 64, warmup_epochs=3.0).warmup_steps == 20
    assert ClassifySchedule(5, 40, 64, warmup_epochs=0.0).warmup_steps == 0


def test_options_become_plain_values_and_back(options):
    assert ClassifyOptions.from_plain(options.to_plain(), Path("x")) == options
    with pytest.raises(TfyoloError, match="its `epochs` is 'many'"):
        ClassifyOptions.from_plain({**options.to_plain(), "epochs": "many"}, Path("x"))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"image_size": 40}, "use --img 32"),
        ({"freeze": (99,)}, "all layers are frozen"),
        ({"model": "yolov5n"}, "is a detector, not a classifier"),
        ({"model": "yolov5q-cls"}, "unknown model"),
        ({"optimizer": "Lion"}, "use one of SGD, Adam, AdamW"),
        ({"pretrained": "nowhere.keras"}, "nowhere.keras"),
        ({"data": Path("nowhere")}, "does not exist"),
    ],
)
def test_mistakes_are_named(options, tmp_path, change, message):
    with pytest.raises(TfyoloError, match=message):
        train(replace(options, **change), tmp_path)


@pytest.mark.parametrize(
    ("counts", "message"), [({"train": 1}, "has no `val`"), ({"val": 1}, "has no `train`")]
)
def test_data_without_a_split_is_refused(options, tmp_path, counts, message):
    root = class_folders(tmp_path / "data", **counts)
    with pytest.raises(TfyoloError, match=message):
        train(replace(options, data=root), tmp_path / "run")


def test_one_class_is_refused(options, tmp_path):
    root = class_folders(tmp_path / "data", train=1, val=1)
    for split in ("train", "val"):
        for name in ("red", "green"):
            (root / split / name).rename(tmp_path / f"{split}{name}")
    with pytest.raises(TfyoloError, match="only one class, blue"):
        train(replace(options, data=root), tmp_path / "run")
