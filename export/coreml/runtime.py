"""Runs `.mlpackage` folders on macOS, and describes them on any operating system."""

from __future__ import annotations

import importlib
import platform
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from tfyolo.errors import TfyoloError
from tfyolo.export.coreml.package import operations, read_package, submodels
from tfyolo.export.coreml.pipeline import CONFIDENCE, CONFIDENCE_THRESHOLD, COORDINATES
from tfyolo.export.runtime.base import Runtime, Sharing
from tfyolo.export.runtime.inspection import Inspection, TensorInfo
from tfyolo.libraries import keep_triton_out
from tfyolo.models.contract import Contract
from tfyolo.models.nodes import IMAGES
from tfyolo.models.outputs import DETECTIONS, PROBABILITIES, known_outputs
from tfyolo.quiet import silenced

_DTYPES = {65568: "float32", 65552: "float16", 65600: "float64", 131104: "int32", 131080: "int8"}
"""NumPy names of `ArrayFeatureType.ArrayDataType`."""


class CoreMlRuntime(Runtime):
    """Runtime for an `.mlpackage` folder that `tfyolo export` wrote.

    A pipeline takes the confidence threshold as an input, so one file serves all thresholds.

    Args:
        path: the folder.
        threads: ignored; Core ML chooses between CPU, GPU and Neural Engine.

    Raises:
        TfyoloError: the folder is damaged, was not written by tfyolo, or this is not macOS.
        ModuleNotFoundError: coremltools is not installed.

    Example:
        >>> runtime = CoreMlRuntime(Path("yolov5n.mlpackage"))  # doctest: +SKIP
    """

    sharing = Sharing.ONE  # Apple: use an MLModel on one thread at a time

    def __init__(self, path: Path, threads: int | None = None) -> None:
        self.path = path
        model, self.contract = read_package(path)
        self.input_hw = self.contract.image_size
        self._pipeline = model.WhichOneof("Type") == "pipeline"
        if self._pipeline:  # no confidence threshold is fixed in the file
            export = {key: value for key, value in self.contract.export.items() if key != "conf_thres"}
            self.contract = self.contract.model_copy(update={"export": export})
        if platform.system() != "Darwin":
            raise TfyoloError(
                "the model is valid, but Core ML runs only on macOS",
                path=path,
                fix="copy it to a Mac or add it to an app, or export another format for this machine",
            )
        self._model = _load(path)

    def _open(self) -> Any:
        return self._model

    def _run(self, session: Any, images: np.ndarray, confidence: float) -> dict[str, np.ndarray]:
        from PIL import Image

        inputs: dict[str, Any] = {IMAGES: Image.fromarray(images[0])}
        if self._pipeline:
            inputs[CONFIDENCE_THRESHOLD] = confidence
        return signature_outputs(session.predict(inputs), self.contract)


def _load(path: Path) -> Any:
    """Return coremltools' MLModel, compiled by macOS.

    Raises:
        TfyoloError: Core ML refuses the model.
    """
    with silenced():
        keep_triton_out()
        coremltools = importlib.import_module("coremltools")
        try:
            return coremltools.models.MLModel(str(path))
        except Exception as error:  # coremltools passes on the exceptions of Core ML
            reason = (str(error).splitlines() or [type(error).__name__])[0]
            raise TfyoloError(
                f"Core ML cannot load it: {reason[:200]}", path=path, fix="update macOS to 12 or newer"
            ) from error


def signature_outputs(outputs: Mapping[str, Any], contract: Contract) -> dict[str, np.ndarray]:
    """Convert the outputs of Core ML to those of the contract's signature (docs/architecture.md).

    Args:
        outputs: outputs for one image by name: arrays; for a classifier, a dictionary of probabilities by
            class name.
        contract: contract of the model.

    Returns:
        Arrays by signature name, with a batch dimension of 1.

    Example:
        >>> from tfyolo.models import load_spec
        >>> contract = Contract.of(load_spec("yolov5n", num_classes=2), ("ant", "bee"), (320, 320))
        >>> box, scores = np.array([[0.5, 0.5, 0.2, 0.4]]), np.array([[0.0, 0.9]])
        >>> outputs = signature_outputs({"coordinates": box, "confidence": scores}, contract)
        >>> outputs["detection_classes"], outputs["detection_scores"]
        (array([[1]]), array([[0.9]]))
    """
    if COORDINATES in outputs:
        return _detections(np.asarray(outputs[COORDINATES]), np.asarray(outputs[CONFIDENCE]), contract)
    probabilities = outputs.get(PROBABILITIES)
    if isinstance(probabilities, Mapping):
        return {PROBABILITIES: np.array([[probabilities[name] for name in contract.names]], np.float32)}
    return {name: np.asarray(value) for name, value in outputs.items() if name in known_outputs(contract)}


def _detections(coordinates: np.ndarray, scores: np.ndarray, contract: Contract) -> dict[str, np.ndarray]:
    """Convert the outputs of a pipeline, and sort the boxes by descending score.

    Args:
        coordinates: (m, 4) center x, center y, width, height, relative to the image size.
        scores: (m, classes).
        contract: contract of the model.
    """
    coordinates, scores = coordinates.reshape(-1, 4), scores.reshape(-1, len(contract.names))
    best = scores.max(1)
    order = np.argsort(-best, kind="stable")
    order = order[best[order] != 0]  # Core ML may pad the outputs with zeros
    center, half_size = coordinates[order, :2][:, ::-1], coordinates[order, 2:][:, ::-1] / 2
    boxes = np.concatenate([center - half_size, center + half_size], 1)
    detections = (boxes[None], scores[order].argmax(1)[None], best[order][None], np.array([len(order)]))
    return dict(zip(DETECTIONS, detections, strict=True))


def inspect(path: Path) -> Inspection:
    """Describe an `.mlpackage` folder; works on any operating system.

    Args:
        path: the folder.

    Returns:
        Contract, inputs, outputs, and the number of each operation, by the names of MIL (Apple's Model
        Intermediate Language). The second model of a pipeline counts as one `nonMaximumSuppression`.

    Raises:
        TfyoloError: the folder is damaged, or was not written by tfyolo.
        ModuleNotFoundError: coremltools is not installed.

    Example:
        >>> inspect(Path("yolov5n.mlpackage")).operators["conv"]  # doctest: +SKIP
        60
    """
    model, contract = read_package(path)
    operators: Counter[str] = Counter()
    for part in submodels(model):
        if part.WhichOneof("Type") == "mlProgram":
            operators.update(x.type for x in operations(part.mlProgram) if x.type != "const")
        else:
            operators[part.WhichOneof("Type")] += 1
    description = model.description
    inputs, outputs = (
        tuple(_tensor_info(feature, contract) for feature in features)
        for features in (description.input, description.output)
    )
    return Inspection(contract, inputs, outputs, dict(operators))


def _tensor_info(feature: Any, contract: Contract) -> TensorInfo:
    """Return name, shape and dtype of a FeatureDescription; None stands for a variable size."""
    feature_type = feature.type.WhichOneof("Type")
    if feature_type == "imageType":
        image = feature.type.imageType
        return TensorInfo(feature.name, (int(image.height), int(image.width), 3), "uint8")
    if feature_type == "multiArrayType":
        array = feature.type.multiArrayType
        shape: tuple[int | str | None, ...] = tuple(map(int, array.shape))
        if array.WhichOneof("ShapeFlexibility") == "shapeRange":
            ranges = [(int(x.lowerBound), int(x.upperBound)) for x in array.shapeRange.sizeRanges]
            shape = tuple(lower if lower == upper else None for lower, upper in ranges)
        return TensorInfo(feature.name, shape, _DTYPES.get(array.dataType, "unknown"))
    if feature_type == "dictionaryType":  # probabilities of a classifier by class name
        return TensorInfo(feature.name, (len(contract.names),), "float64")
    dtypes = {"doubleType": "float64", "stringType": "str"}
    return TensorInfo(feature.name, (), dtypes.get(feature_type, "unknown"))
