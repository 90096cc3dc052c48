"""YOLOv5 for TensorFlow and Keras.

Example:
    >>> import tfyolo
    >>> from tfyolo.assets import SAMPLE_IMAGE
    >>> tfyolo.load("bccd-n")(SAMPLE_IMAGE)[0].counts()
    {'Platelets': 1, 'RBC': 12, 'WBC': 1}
"""

from __future__ import annotations

import importlib
import os
from typing import TYPE_CHECKING, Any

from tfyolo.deprecation import warn_renamed
from tfyolo.keras_layers import register_with_keras
from tfyolo.libraries import missing_extra
from tfyolo.python_errors import python_errors
from tfyolo.quiet import hide_import_notes
from tfyolo.version import __version__

# TensorFlow enables oneDNN by default only on CPUs with AVX-512; on other CPUs it makes training 1.5 times as
# fast. A value that the user has set is kept; TensorFlow imported before tfyolo does not read it any more.
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
# Notes of TensorFlow's C++ libraries about GPUs and CPU instructions; TF_CPP_MIN_LOG_LEVEL=0 shows them.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
hide_import_notes()
register_with_keras()

if TYPE_CHECKING:
    from tfyolo.api.backbone import backbone
    from tfyolo.api.classifier import Classifier
    from tfyolo.api.detector import Detector
    from tfyolo.api.fit import FitResult
    from tfyolo.api.load import create, load
    from tfyolo.api.segmenter import Segmenter
    from tfyolo.benchmark.rows import BenchmarkRow
    from tfyolo.benchmark.run import BenchmarkOptions
    from tfyolo.data.synthetic import create_shapes_dataset
    from tfyolo.errors import TfyoloError
    from tfyolo.evaluation.classification import (
        ClassificationMetrics,
        ClassifierValOptions,
        validate_classifier,
    )
    from tfyolo.evaluation.detection_metrics import Metrics, ValOptions
    from tfyolo.evaluation.validator import validate
    from tfyolo.export.graph.options import GraphNmsOptions
    from tfyolo.export.options import ExportOptions
    from tfyolo.inference.classification import Classification
    from tfyolo.inference.nms import NmsOptions
    from tfyolo.inference.results import Result
    from tfyolo.inference.segmentation.results import SegmentationResult
    from tfyolo.models.build import build_model
    from tfyolo.models.registry import list_models, load_spec
    from tfyolo.quantization.calibration import CalibrationOptions
    from tfyolo.quantization.run import QuantizeOptions, quantize
    from tfyolo.quantization.training.qat_options import QatOptions
    from tfyolo.training.classification.data import ClassificationData, training_classifier
    from tfyolo.training.classification.options import ClassifyOptions
    from tfyolo.training.detection.data import TrainingData, training_model
    from tfyolo.training.detection.options import TrainOptions
    from tfyolo.training.segmentation.options import SegmentOptions
    from tfyolo.training.train import TrainResult, train

# Where each public name is defined: "module", or "module:name" where it has another name there. A name is
# imported when it is first used, so that `import tfyolo` does not import TensorFlow.
_PUBLIC = {
    "BenchmarkOptions": "tfyolo.benchmark.run",
    "BenchmarkRow": "tfyolo.benchmark.rows",
    "CalibrationOptions": "tfyolo.quantization.calibration",
    "Classification": "tfyolo.inference.classification",
    "ClassificationData": "tfyolo.training.classification.data",
    "ClassificationMetrics": "tfyolo.evaluation.classification",
    "Classifier": "tfyolo.api.classifier",
    "ClassifierValOptions": "tfyolo.evaluation.classification",
    "ClassifyOptions": "tfyolo.training.classification.options",
    "Detector": "tfyolo.api.detector",
    "ExportOptions": "tfyolo.export.options",
    "FitResult": "tfyolo.api.fit",
    "GraphNmsOptions": "tfyolo.export.graph.options",
    "Metrics": "tfyolo.evaluation.detection_metrics",
    "NmsOptions": "tfyolo.inference.nms",
    "QatOptions": "tfyolo.quantization.training.qat_options",
    "QuantizeOptions": "tfyolo.quantization.run",
    "Result": "tfyolo.inference.results",
    "SegmentOptions": "tfyolo.training.segmentation.options",
    "SegmentationResult": "tfyolo.inference.segmentation.results",
    "Segmenter": "tfyolo.api.segmenter",
    "TfyoloError": "tfyolo.errors",
    "TrainOptions": "tfyolo.training.detection.options",
    "TrainResult": "tfyolo.training.train",
    "TrainingData": "tfyolo.training.detection.data",
    "ValOptions": "tfyolo.evaluation.detection_metrics",
    "backbone": "tfyolo.api.backbone",
    "build_model": "tfyolo.models.build",
    "create": "tfyolo.api.load",
    "list_models": "tfyolo.models.registry",
    "load": "tfyolo.api.load",
    "load_spec": "tfyolo.models.registry",
    "create_shapes_dataset": "tfyolo.data.synthetic:create_shapes_dataset",
    "quantize": "tfyolo.quantization.run",
    "train": "tfyolo.training.train",
    "training_classifier": "tfyolo.training.classification.data",
    "training_model": "tfyolo.training.detection.data",
    "validate": "tfyolo.evaluation.validator",
    "validate_classifier": "tfyolo.evaluation.classification",
}

_CALLED_BY_COMMANDS = ("quantize", "train", "validate", "validate_classifier")
"""Functions whose errors name flags, for the commands, and here the arguments of Python."""

# Names of earlier releases, which work for one more release with a DeprecationWarning:
# old name -> (what to write instead, where the object is: "module" for a module, or "module:name").
_RENAMED = {
    "ExportRequest": (
        "`Detector.export`, whose arguments are the fields of `tfyolo.ExportOptions`",
        "tfyolo.export.deprecated:ExportRequest",
    ),
    "export_model": ("`Detector.export`", "tfyolo.export.deprecated:export_model"),
    "ClassifyResult": ("`tfyolo.TrainResult`", "tfyolo.training.train:TrainResult"),
    "ClassifyValOptions": (
        "`tfyolo.ClassifierValOptions`",
        "tfyolo.evaluation.classification:ClassifierValOptions",
    ),
    "datasets": ("`tfyolo.create_shapes_dataset`", "tfyolo.data.synthetic"),
    "train_classifier": ("`tfyolo.train`", "tfyolo.training.train:train"),
}

__all__ = [
    "BenchmarkOptions",
    "BenchmarkRow",
    "CalibrationOptions",
    "Classification",
    "ClassificationData",
    "ClassificationMetrics",
    "Classifier",
    "ClassifierValOptions",
    "ClassifyOptions",
    "Detector",
    "ExportOptions",
    "FitResult",
    "GraphNmsOptions",
    "Metrics",
    "NmsOptions",
    "QatOptions",
    "QuantizeOptions",
    "Result",
    "SegmentOptions",
    "SegmentationResult",
    "Segmenter",
    "TfyoloError",
    "TrainOptions",
    "TrainResult",
    "TrainingData",
    "ValOptions",
    "__version__",
    "backbone",
    "build_model",
    "create",
    "create_shapes_dataset",
    "list_models",
    "load",
    "load_spec",
    "quantize",
    "train",
    "training_classifier",
    "training_model",
    "validate",
    "validate_classifier",
]


def __getattr__(name: str) -> Any:
    if name in _PUBLIC:
        module, _, attribute = _PUBLIC[name].partition(":")
        found = getattr(_imported(module), attribute or name)
        if name not in _CALLED_BY_COMMANDS:
            return found
        globals()[name] = wrapped = python_errors(found)
        return wrapped
    if name in _RENAMED:
        replacement, origin = _RENAMED[name]
        warn_renamed(f"`tfyolo.{name}`", replacement)
        module, _, attribute = origin.partition(":")
        imported = _imported(module)
        return getattr(imported, attribute) if attribute else imported
    raise AttributeError(f"module `tfyolo` has no attribute `{name}`")


def _imported(module: str) -> Any:
    """Import a module; without a library that it needs, the error names the command that installs it."""
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if missing := missing_extra(error):
            raise missing from error
        raise


def __dir__() -> list[str]:
    return sorted(__all__)
