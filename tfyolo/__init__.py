"""YOLOv5 for TensorFlow and Keras, made to be shipped.

Example:
    >>> import tfyolo
    >>> tfyolo.load("yolov5n.pt")("bus.jpg")[0].save("found.jpg")  # doctest: +SKIP
    >>> tfyolo.load("bccd-n").names
    ('Platelets', 'RBC', 'WBC')
"""

from __future__ import annotations

import importlib
import os
from typing import TYPE_CHECKING, Any

from tfyolo.keras_layers import register_with_keras
from tfyolo.version import __version__

# TensorFlow uses oneDNN by itself only on CPUs with AVX-512; on others training is 1.5 times as fast with it.
# Its own variable turns it off, and TensorFlow imported before tfyolo does not see this.
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
register_with_keras()

if TYPE_CHECKING:
    from tfyolo.api.classifier import Classifier
    from tfyolo.api.detector import Detector
    from tfyolo.api.load import create, load
    from tfyolo.data import synthetic as datasets
    from tfyolo.errors import TfyoloError
    from tfyolo.evaluation.classification import validate_classifier
    from tfyolo.evaluation.validator import validate
    from tfyolo.export.options import ExportRequest, export_model
    from tfyolo.inference.results import Result
    from tfyolo.models.build import build_model
    from tfyolo.models.registry import list_models, load_spec
    from tfyolo.training.classify.data import ClassificationData, training_classifier
    from tfyolo.training.classify.options import ClassifyOptions
    from tfyolo.training.classify.train import train_classifier
    from tfyolo.training.data import TrainingData, training_model
    from tfyolo.training.options import TrainOptions
    from tfyolo.training.train import train

# Where each public name lives: importing tfyolo imports none of it, and so not TensorFlow.
_PUBLIC = {
    "ClassificationData": "tfyolo.training.classify.data",
    "ClassifyOptions": "tfyolo.training.classify.options",
    "Classifier": "tfyolo.api.classifier",
    "Detector": "tfyolo.api.detector",
    "Result": "tfyolo.inference.results",
    "TfyoloError": "tfyolo.errors",
    "TrainOptions": "tfyolo.training.options",
    "TrainingData": "tfyolo.training.data",
    "build_model": "tfyolo.models.build",
    "create": "tfyolo.api.load",
    "ExportRequest": "tfyolo.export.options",
    "export_model": "tfyolo.export.options",
    "list_models": "tfyolo.models.registry",
    "load": "tfyolo.api.load",
    "load_spec": "tfyolo.models.registry",
    "train": "tfyolo.training.train",
    "train_classifier": "tfyolo.training.classify.train",
    "training_classifier": "tfyolo.training.classify.data",
    "training_model": "tfyolo.training.data",
    "validate": "tfyolo.evaluation.validator",
    "validate_classifier": "tfyolo.evaluation.classification",
}

__all__ = [
    "ClassificationData", "Classifier", "ClassifyOptions", "Detector", "ExportRequest", "Result",
    "TfyoloError", "TrainOptions", "TrainingData", "__version__", "build_model", "create", "datasets",
    "export_model", "list_models", "load", "load_spec", "train", "train_classifier", "training_classifier",
    "training_model", "validate", "validate_classifier",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    if name in _PUBLIC:
        return getattr(importlib.import_module(_PUBLIC[name]), name)
    if name == "datasets":  # a module
        return importlib.import_module("tfyolo.data.synthetic")
    raise AttributeError(f"module `tfyolo` has no attribute `{name}`")


def __dir__() -> list[str]:
    return sorted(__all__)
