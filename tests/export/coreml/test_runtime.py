"""Runtime of Core ML packages on an emulated macOS, and their inspection anywhere."""

import math
import subprocess
import sys

import numpy as np
import pytest

from tests.shared import needs_shared
from tests.small import IMAGES
from tfyolo.errors import TfyoloError
from tfyolo.export.coreml import runtime
from tfyolo.export.coreml.runtime import inspect, signature_outputs
from tfyolo.export.runtime.base import from_signature
from tfyolo.inference.load import load_predictor
from tfyolo.inference.nms import NmsOptions
from tfyolo.models.contract import Contract

NUM_BOXES = 3 * (16 * 16 + 8 * 8 + 4 * 4)


def from_outputs(outputs, contract, confidence):
    """Return the prediction for outputs of Core ML."""
    return from_signature(signature_outputs(outputs, contract), contract, confidence)


@needs_shared
@pytest.mark.parametrize("nms", ["pipeline", "none", "raw"])
def test_predicts_the_boxes_of_keras_on_macos(export_package, detector, on_mac, nms):
    loaded = load_predictor(export_package(nms))
    # Lower than the exported threshold, which is only the default of an input.
    options = {"confidence": 0.1, "iou_threshold": 0.5, "max_detections": 60}
    assert loaded.limits(NmsOptions(0.1, 0.5)) == ""
    for found, expected in zip(
        loaded(IMAGES, **options), detector(IMAGES, rect=False, **options), strict=True
    ):
        assert len(expected) > 5
        np.testing.assert_array_equal(found.class_ids, expected.class_ids)
        np.testing.assert_allclose(found.scores, expected.scores, atol=1e-4)
        np.testing.assert_allclose(found.boxes_xyxy_px, expected.boxes_xyxy_px, atol=0.5)


def test_logits_of_a_classifier_become_probabilities(classifier):
    contract = classifier.contract.model_copy(update={"export": {}})
    found = from_outputs({"logits": np.float32([[0, math.log(3), 0]])}, contract, 0.0)
    np.testing.assert_allclose(found.values, [0.2, 0.6, 0.2], atol=1e-6)


def test_detections_are_in_pixels_and_sorted_by_score():
    contract = Contract.model_construct(task="detect", names=("a", "b"), strides=(8,), image_size=(100, 200))
    found = from_outputs(
        {
            "coordinates": np.float32([[0.5, 0.5, 0.2, 0.4], [0.1, 0.2, 0.1, 0.2], [0, 0, 0, 0]]),
            "confidence": np.float32([[0.3, 0], [0, 0.9], [0, 0]]),
        },
        contract,
        0.25,
    )
    np.testing.assert_allclose(found.boxes_xyxy_px, [[10, 10, 30, 30], [80, 30, 120, 70]], atol=1e-4)
    np.testing.assert_allclose(found.scores, [0.9, 0.3])
    assert found.class_ids.tolist() == [1, 0]
    empty = {"coordinates": np.zeros((0, 4), np.float32), "confidence": np.zeros((0, 2), np.float32)}
    assert len(from_outputs(empty, contract, 0.25)) == 0


@needs_shared
def test_inspect_describes_inputs_outputs_and_operations(export_package):
    found = inspect(export_package())
    assert (found.nms, found.precision) == ("pipeline", "float32")
    assert [(x.name, x.shape, x.dtype) for x in found.inputs] == [
        ("images", (128, 128, 3), "uint8"),
        ("confidenceThreshold", (), "float64"),
        ("iouThreshold", (), "float64"),
    ]
    assert [(x.name, x.shape, x.dtype) for x in found.outputs] == [
        ("confidence", (None, 3), "float32"),
        ("coordinates", (None, 4), "float32"),
    ]
    assert (found.operators["conv"], found.operators["nonMaximumSuppression"]) == (22, 1)
    assert "const" not in found.operators
    boxes = next(x for x in inspect(export_package("none")).outputs if x.name == "boxes")
    assert (boxes.shape, boxes.dtype) == ((1, NUM_BOXES, 4), "float32")


@needs_shared
def test_inspection_imports_neither_tensorflow_nor_torch(export_package):
    # Afterwards coremltools itself can be imported; here without these two, whose import is slow.
    code = f"""
import sys
from pathlib import Path
from tfyolo.export.coreml.runtime import inspect
path = Path({str(export_package())!r})
print(inspect(path).nms, {{"tensorflow", "torch", "coremltools"}} & set(sys.modules))
sys.modules.update(tensorflow=None, torch=None, sklearn=None)
import coremltools
model = coremltools.models.MLModel(str(path), skip_model_load=True)
print(model.get_spec().WhichOneof("Type"), coremltools.proto.Model_pb2.Model.__name__, inspect(path).nms)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.split("\n")[:2] == ["pipeline set()", "pipeline Model pipeline"], done.stderr


@needs_shared
def test_error_on_other_systems_than_macos(export_package, monkeypatch):
    monkeypatch.setattr(runtime.platform, "system", lambda: "Linux")
    with pytest.raises(TfyoloError, match="the model is valid, but Core ML runs only on macOS"):
        load_predictor(export_package())
