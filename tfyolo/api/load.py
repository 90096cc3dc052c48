"""`tfyolo.load` and `tfyolo.create`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tfyolo.api.checks import as_image_size, as_names
from tfyolo.api.classifier import Classifier
from tfyolo.api.detector import Detector
from tfyolo.api.segmenter import Segmenter
from tfyolo.argument_checks import check_whole
from tfyolo.deprecation import renamed_arguments
from tfyolo.inference import load as inference
from tfyolo.inference.base_model import BaseModel
from tfyolo.python_errors import python_errors


@renamed_arguments(image_hw="image_size")
@python_errors
def load(
    path_or_name: str | Path, image_size: tuple[int, int] | int | None = None, threads: int | None = None
) -> Detector | Classifier | Segmenter:
    """Load a model file of any format: a detector, a classifier or a segmentation model.

    Args:
        path_or_name: a file or folder (docs/deploy/index.md lists the formats), `bccd-n`, which ships with
            tfyolo, or the name of a release such as `yolov5s`, which is downloaded once.
        image_size: input size in pixels, one number or (height, width); defaults to the model's own.
        threads: number of CPU threads; chosen by the runtime by default. TensorFlow uses the first number
            that a process sets.

    Returns:
        A `Detector`, a `Classifier` or a `Segmenter`, whichever the file holds.

    Raises:
        TfyoloError: the file is missing, damaged or of an unknown format, or its library is not installed.

    Example:
        >>> import tfyolo
        >>> tfyolo.load("bccd-n")
        <Detector bccd-n.keras: 3 classes (Platelets, RBC, WBC), 320x320 pixels, Keras>
        >>> from tfyolo.assets import SAMPLE_IMAGE
        >>> print(tfyolo.load("bccd-n")(SAMPLE_IMAGE)[0].save("cells.jpg"))
        cells.jpg
    """
    check_whole(threads=threads)
    return _public(inference.load_predictor(path_or_name, as_image_size(image_size), threads))


@renamed_arguments(image_hw="image_size", classes="num_classes")
@python_errors
def create(
    name: str | Path,
    num_classes: int | None = None,
    image_size: tuple[int, int] | int | None = None,
    names: Sequence[str] = (),
) -> Detector | Classifier | Segmenter:
    """Create a detector, a classifier or a segmentation model with random weights.

    Args:
        name: one of `tfyolo.list_models()`, or a model YAML.
        num_classes: number of classes; defaults to the number of `names`, or to the configuration's.
        image_size: default input size in pixels, one number or (height, width).
        names: class names.

    Returns:
        A `Detector`, a `Classifier` or a `Segmenter`, whichever the configuration describes.

    Raises:
        TfyoloError: an unknown name, or an error in the YAML.

    Example:
        >>> import tfyolo
        >>> detector = tfyolo.create("yolov5n", names=["cat", "dog", "owl"], image_size=320)
        >>> len(detector.model.outputs)
        3
    """
    return _public(inference.create_predictor(name, num_classes, as_image_size(image_size), as_names(names)))


_PUBLIC: dict[str, type[Detector] | type[Classifier] | type[Segmenter]] = {
    "detect": Detector,
    "classify": Classifier,
    "segment": Segmenter,
}
"""By task."""


def _public(loaded: BaseModel) -> Detector | Classifier | Segmenter:
    """Return the same model as an object with all methods."""
    return _PUBLIC[loaded.contract.task](loaded.runtime, loaded.image_size)
