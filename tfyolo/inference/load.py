"""Load predictors; `tfyolo.load` adds training and export to them."""

from __future__ import annotations

from pathlib import Path
from typing import TypeVar

from tfyolo.export.runtime.base import Runtime
from tfyolo.inference.classification import ClassificationPredictor
from tfyolo.inference.detection import BoxPredictor, DetectionPredictor
from tfyolo.inference.segmentation.predictor import SegmentationPredictor

Kind = TypeVar("Kind")
Predictor = DetectionPredictor | ClassificationPredictor | SegmentationPredictor

_PREDICTORS: dict[
    str, type[DetectionPredictor] | type[ClassificationPredictor] | type[SegmentationPredictor]
] = {
    "detect": DetectionPredictor,
    "classify": ClassificationPredictor,
    "segment": SegmentationPredictor,
}
"""By task."""


def load_predictor(
    path_or_name: str | Path, image_size: tuple[int, int] | int | None = None, threads: int | None = None
) -> Predictor:
    """Load a detector, classifier or segmentation model from a model file, or an official release by name.

    Args:
        path_or_name: a file or folder of any format (docs/deploy/index.md), or the name of a release such as
            `yolov5s`, which is downloaded once.
        image_size: input size in pixels, one number or (height, width); defaults to the model's.
        threads: number of CPU threads; chosen by the runtime by default. TensorFlow uses the first value of a
            process.

    Returns:
        Detector, classifier or segmentation model, by the task of the model.

    Raises:
        TfyoloError: the file is missing, damaged or of an unknown format, or its library is missing.

    Example:
        >>> from tfyolo.assets import SAMPLE_IMAGE
        >>> load_predictor("bccd-n")(SAMPLE_IMAGE)[0].counts()
        {'Platelets': 1, 'RBC': 12, 'WBC': 1}
    """
    hw = (image_size, image_size) if isinstance(image_size, int) else image_size
    runtime = load_runtime(path_or_name, threads)
    return _PREDICTORS[runtime.contract.task](runtime, hw)


def load_detection_predictor(
    path_or_name: str | Path, image_size: tuple[int, int] | int | None = None, threads: int | None = None
) -> DetectionPredictor:
    """Load a detector.

    Args:
        path_or_name: a file or folder of any format, or the name of a release such as `yolov5s`.
        image_size: input size in pixels, one number or (height, width); defaults to the model's.
        threads: number of CPU threads; chosen by the runtime by default.

    Returns:
        The detector.

    Raises:
        TfyoloError: see `load_predictor`; or it is a classifier.
    """
    return _load(path_or_name, image_size, threads, DetectionPredictor, "detect")


def load_box_predictor(
    path_or_name: str | Path, image_size: tuple[int, int] | int | None = None, threads: int | None = None
) -> BoxPredictor:
    """Load a detector or a segmentation model.

    Args:
        path_or_name: a file or folder of any format, or the name of a release such as `yolov5s`.
        image_size: input size in pixels, one number or (height, width); defaults to the model's.
        threads: number of CPU threads; chosen by the runtime by default.

    Returns:
        The detector or segmentation model.

    Raises:
        TfyoloError: see `load_predictor`; or it is a classifier.
    """
    return _load(path_or_name, image_size, threads, BoxPredictor, ("segment", "detect"))  # type: ignore[type-abstract]


def load_segmentation_predictor(
    path_or_name: str | Path, image_size: tuple[int, int] | int | None = None, threads: int | None = None
) -> SegmentationPredictor:
    """Load a segmentation model.

    Args:
        path_or_name: a file or folder of any format.
        image_size: input size in pixels, one number or (height, width); defaults to the model's.
        threads: number of CPU threads; chosen by the runtime by default.

    Returns:
        The segmentation model.

    Raises:
        TfyoloError: see `load_predictor`; or it is a model of another task.
    """
    return _load(path_or_name, image_size, threads, SegmentationPredictor, "segment")


def load_classification_predictor(
    path_or_name: str | Path, image_size: tuple[int, int] | int | None = None, threads: int | None = None
) -> ClassificationPredictor:
    """Load a classifier.

    Args:
        path_or_name: a file or folder of any format, or the name of a release such as `yolov5s-cls`.
        image_size: input size in pixels, one number or (height, width); defaults to the model's.
        threads: number of CPU threads; chosen by the runtime by default.

    Returns:
        The classifier.

    Raises:
        TfyoloError: see `load_predictor`; or it is a detector.
    """
    return _load(path_or_name, image_size, threads, ClassificationPredictor, "classify")


def _load(
    path_or_name: str | Path,
    image_size: tuple[int, int] | int | None,
    threads: int | None,
    kind: type[Kind],
    tasks: str | tuple[str, ...],
) -> Kind:
    """Load a model of one of some tasks; `kind` is the class of their predictors."""
    loaded = load_predictor(path_or_name, image_size, threads)
    loaded.contract.require(tasks, path_or_name)
    assert isinstance(loaded, kind)  # for mypy
    return loaded


def load_runtime(path_or_name: str | Path, threads: int | None = None) -> Runtime:
    """Load the runtime of a model file or release name; see `load_predictor`."""
    from tfyolo.export.registry import format_of
    from tfyolo.weights.hub import fetch_weights

    path = fetch_weights(path_or_name)
    return format_of(path).open(path, threads)


def create_predictor(
    name: str | Path,
    num_classes: int | None = None,
    image_size: tuple[int, int] | int | None = None,
    names: tuple[str, ...] | list[str] = (),
) -> Predictor:
    """Create a detector, classifier or segmentation model with random weights.

    Args:
        name: one of `tfyolo.list_models()`, or a model YAML.
        num_classes: number of classes; defaults to the number of `names`, or that of the configuration.
        image_size: default input size in pixels, one number or (height, width).
        names: class names.

    Returns:
        Detector, classifier or segmentation model, by the task of the configuration, on the Keras runtime.

    Raises:
        TfyoloError: the name is unknown, or the YAML file is wrong.

    Example:
        >>> detector = create_predictor("yolov5n", num_classes=3, image_size=320)
        >>> len(detector.model.outputs)
        3
    """
    from tfyolo.export.keras.runtime import KerasRuntime
    from tfyolo.models import Contract, build_model, load_spec

    spec = load_spec(name, num_classes=num_classes if num_classes is not None else len(names) or None)
    hw = (image_size, image_size) if isinstance(image_size, int) else image_size
    runtime = KerasRuntime(build_model(spec), Contract.of(spec, names, hw))
    return _PREDICTORS[spec.task](runtime)
