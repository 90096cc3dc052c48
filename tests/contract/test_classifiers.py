"""Every format and precision with a classifier: the classes and probabilities that Keras gives."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.pairs import rest_is_slow
from tests.shared import ELSEWHERE, needs_shared
from tests.small import IMAGES
from tfyolo.data.images.center_crop import center_crop
from tfyolo.data.images.read import read_image
from tfyolo.errors import TfyoloError
from tfyolo.export.job import ExportJob, export_model
from tfyolo.export.options import ExportOptions
from tfyolo.export.registry import exportable, find_format
from tfyolo.inference.load import (
    create_predictor,
    load_classification_predictor,
    load_detection_predictor,
    load_predictor,
)
from tfyolo.quantization.calibration import CalibrationOptions
from tfyolo.quantization.model import calibrate_model

HW = (96, 96)
SWEEP = [
    (entry.name, nms, precision)
    for entry in exportable()
    for nms in entry.nms
    for precision in entry.precisions
    if entry.name not in ELSEWHERE and nms in ("none", "raw") and precision != "dynamic"
]
WITHIN = {"float32": 1e-4, "float16": 0.01, "int8": 0.12, "int16x8": 0.12}  # weights have 8 bits in both
pytestmark = needs_shared


@pytest.fixture(scope="module")
def images():
    """Two photographs and parts of them, uint8 (n, height, width, 3)."""
    whole = [read_image(path) for path in IMAGES]
    parts = [image[: image.shape[0] // 2, : image.shape[1] // 2] for image in whole]
    return np.stack([center_crop(image, HW) for image in (*whole, *parts)])


@pytest.fixture(scope="module")
def requests(images):
    """A small classifier whose logits are spread so that classes differ; and the same, quantized."""
    import keras

    keras.utils.set_random_seed(0)
    classifier = create_predictor(Path(__file__).parents[1] / "tiny-cls.yaml", num_classes=7, image_size=HW)
    for layer in classifier.model.layers:  # signals would vanish in the untrained normalization
        if type(layer).__name__ == "Conv2D":
            layer.set_weights([4 * layer.get_weights()[0], *layer.get_weights()[1:]])
    logits = np.asarray(classifier.model(images / np.float32(255))).reshape(len(images), -1)
    layer = next(layer for layer in reversed(classifier.model.layers) if layer.weights)
    kernel, bias = layer.get_weights()
    scale = 1.0 / logits.std(0)
    layer.set_weights([kernel * scale, (bias - logits.mean(0)) * scale])
    exact = ExportJob(
        classifier.model, classifier.contract, ExportOptions(image_size=HW), calibration_images=images
    )
    quantized = calibrate_model(exact.model, exact.contract, images, CalibrationOptions(reconstruct=False))
    return classifier, exact, replace(exact, model=quantized[0], contract=quantized[1])


@pytest.mark.parametrize(("name", "nms", "precision"), rest_is_slow(SWEEP))
def test_same_classes_as_keras(requests, images, tmp_path, name, nms, precision):
    classifier, exact, int8 = requests
    request = (int8 if precision == "int8" else exact).with_options(nms=nms, precision=precision)
    path = export_model(request, [name], tmp_path / "best")[name]
    exported = load_predictor(path, HW)
    assert exported.contract.task == "classify"
    assert exported.names == classifier.names
    expected, found = classifier(list(images)), exported(list(images))
    for a, b in zip(expected, found, strict=True):
        np.testing.assert_allclose(b.probabilities, a.probabilities, atol=WITHIN[precision])
        assert b.probabilities.sum() == pytest.approx(1, abs=0.02)
        (_, _, first), (_, _, second) = a.top(2)
        if first - second > 2 * WITHIN[precision]:
            assert b.index == a.index
    inspection = find_format(name).inspect(path)
    assert inspection.contract.names == classifier.names


def test_classifiers_hold_no_suppression():
    for entry in exportable():
        kinds = {"none", "raw"} & set(entry.nms)
        assert entry.check("auto", entry.precisions[0], "classify") in kinds
    with pytest.raises(TfyoloError, match="does not support --nms builtin for a classifier"):
        find_format("onnx").check("builtin", task="classify")


@pytest.mark.parametrize(
    "words",
    [
        ["train", "--data", "cells.yaml", "--epochs", "1", "--weights"],
        ["train", "--data", "cells.yaml", "--weights", "", "--cfg"],
        ["train", "--qat", "--data", "cells.yaml", "--weights"],
        ["detect", "--source", str(IMAGES[0]), "--weights"],
        ["val", "--data", "cells.yaml", "--weights"],
    ],
    ids=lambda words: " ".join(words),
)
def test_commands_of_detectors_refuse_a_classifier(words, requests, tmp_path, monkeypatch, capsys):
    from tfyolo.cli.main import main
    from tfyolo.data import synthetic as datasets

    data = datasets.create_shapes_dataset(tmp_path / "shapes", train=2, val=2, image_size=64)
    requests[0].save(tmp_path / "cls.keras")
    monkeypatch.chdir(tmp_path)
    model = "yolov5n-cls" if words[-1] == "--cfg" else "cls.keras"
    given = [str(data) if word == "cells.yaml" else word for word in words]
    assert main([*given, model]) == 2
    assert f"{model}: is a classifier, which finds no boxes" in capsys.readouterr().err


def test_a_detector_is_no_classifier(tiny_keras, requests, tmp_path):
    with pytest.raises(TfyoloError, match="is a detector, not a classifier"):
        load_classification_predictor(tiny_keras)
    classifier = requests[0]
    path = classifier.save(tmp_path / "cells.keras")
    with pytest.raises(TfyoloError, match="is a classifier, which finds no boxes"):
        load_detection_predictor(path)
    assert json.loads(load_predictor(path).contract.to_json())["task"] == "classify"
