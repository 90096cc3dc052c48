"""Fixtures of Core ML packages, and an emulation of coremltools' MLModel.

Core ML runs on macOS only. Tests run the program in a package with an interpreter of its language (mil.py),
followed by the non-maximum suppression that Apple specifies.
"""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.export.coreml.mil import run_program
from tests.exports import exported_once, run_folder
from tests.small import confident, letterboxed
from tfyolo.export.coreml import runtime
from tfyolo.export.coreml.entry import MODEL_FILE
from tfyolo.export.coreml.package import read_package
from tfyolo.export.graph.options import GraphNmsOptions
from tfyolo.export.job import ExportJob
from tfyolo.export.options import ExportOptions
from tfyolo.export.runtime.predictions import Candidates
from tfyolo.inference.load import create_predictor
from tfyolo.inference.nms import NmsOptions, non_max_suppression

IMAGE_SIZE = (128, 128)
NMS_OPTIONS = GraphNmsOptions(confidence=0.2, iou_threshold=0.5, max_detections=60)
CLASSIFIER = """
classes: 3
image_size: 32
backbone:
  - [-1, 1, Conv, [8, 6, 2, 2]]
  - [-1, 1, Conv, [16, 3, 2]]
head:
  - [-1, 1, Classify, [24]]
"""


class EmulatedMLModel:
    """Emulates coremltools' `MLModel` on macOS."""

    def __init__(self, package: Path) -> None:
        self.package, (self.model, self.contract) = package, read_package(package)

    def predict(self, inputs: dict[str, Any]) -> dict[str, Any]:
        outputs = run_program(self.package, np.asarray(inputs["images"]))
        if self.model.WhichOneof("Type") != "pipeline":
            if self.model.description.predictedProbabilitiesName:
                values = outputs["probabilities"].tolist()
                return {"probabilities": dict(zip(self.contract.names, values, strict=True))}
            return outputs
        suppression = self.model.pipeline.models[1].nonMaximumSuppression
        options = NmsOptions(
            inputs.get("confidenceThreshold", suppression.confidenceThreshold),
            inputs.get("iouThreshold", suppression.iouThreshold),
            agnostic=not suppression.pickTop.perClass,
            max_detections=self.model.description.output[0]
            .type.multiArrayType.shapeRange.sizeRanges[0]
            .upperBound,
        )
        coordinates, confidence = outputs["raw_coordinates"], outputs["raw_confidence"]
        half_sizes = coordinates[:, 2:] / 2
        corners = np.concatenate([coordinates[:, :2] - half_sizes, coordinates[:, :2] + half_sizes], 1)
        found = non_max_suppression(Candidates(corners, confidence), options)
        rows = [int(np.abs(corners - box).sum(1).argmin()) for box in found.boxes_xyxy_px]
        return {  # with a row of zeros, as Core ML pads outputs of fixed shape
            "coordinates": np.concatenate([coordinates[rows], np.zeros((1, 4), np.float32)]),
            "confidence": np.concatenate([confidence[rows], np.zeros((1, confidence.shape[1]), np.float32)]),
        }


@pytest.fixture
def on_mac(monkeypatch):
    monkeypatch.setattr(runtime.platform, "system", lambda: "Darwin")
    monkeypatch.setattr(runtime, "_load", EmulatedMLModel)


@pytest.fixture(scope="session")
def detector():
    return confident(3, IMAGE_SIZE)


@pytest.fixture(scope="session")
def export_package(detector, tmp_path_factory):
    """Return a function that exports a package for a kind of NMS and a precision, once per test run."""
    options = ExportOptions(image_size=IMAGE_SIZE, nms_options=NMS_OPTIONS)
    job = ExportJob(detector.model, detector.contract, options)

    def write(nms: str = "pipeline", precision: str = "float32") -> Path:
        this = job.with_options(nms=nms, precision=precision)
        return exported_once(this, "coreml", run_folder(tmp_path_factory))

    return write


@pytest.fixture(scope="module")
def classifier(tmp_path_factory):
    import keras

    keras.utils.set_random_seed(1)
    file = tmp_path_factory.mktemp("classifier") / "cls.yaml"
    file.write_text(CLASSIFIER)
    return create_predictor(file, names=("ant", "bee", "cat"))


@pytest.fixture(scope="session")
def candidates(detector):
    """Candidates that the Keras model predicts for the test images."""
    return detector.runtime(letterboxed(IMAGE_SIZE), 0.0)


@pytest.fixture
def package_copy(export_package, tmp_path):
    """Return a copy of a package, and a function that edits its specification."""
    folder = tmp_path / "copy.mlpackage"
    shutil.copytree(export_package(), folder)

    def change(edit):
        model, _ = read_package(folder)
        edit(model)
        (folder / MODEL_FILE).write_bytes(model.SerializeToString())

    return folder, change
