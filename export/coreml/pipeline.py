"""Appends Apple's NonMaximumSuppression model to a Core ML network, as a pipeline."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # the runtime, which imports the names below, does without TensorFlow
    from tfyolo.export.graph.options import GraphNmsOptions

CONFIDENCE, COORDINATES = "confidence", "coordinates"
"""Outputs of the pipeline, by the names that the Vision framework expects: class scores (boxes, classes),
and (boxes, 4) center x, center y, width, height, relative to the image size."""
RAW_CONFIDENCE, RAW_COORDINATES = "raw_confidence", "raw_coordinates"
"""Outputs of the network: the same two arrays, for every grid cell and anchor."""
CONFIDENCE_THRESHOLD, IOU_THRESHOLD = "confidenceThreshold", "iouThreshold"
"""Optional inputs of the pipeline."""


def with_suppression(network: Any, class_names: tuple[str, ...], options: GraphNmsOptions) -> Any:
    """Return a pipeline of a network and a NonMaximumSuppression model.

    Args:
        network: specification (coremltools' `Model` message) with one image input, and with the outputs
            RAW_CONFIDENCE and RAW_COORDINATES.
        class_names: names of the classes.
        options: default thresholds; `max_detections` limits the number of boxes. With `agnostic`, a box
            suppresses boxes of all classes, otherwise boxes of its own best class.

    Returns:
        A specification of the same version.

    Source: mlmodel/format/NonMaximumSuppression.proto of coremltools.
    """
    model = type(network)(specificationVersion=network.specificationVersion)
    model.pipeline.names.extend(["network", "suppression"])
    model.pipeline.models.add().CopyFrom(network)
    suppression = model.pipeline.models.add(specificationVersion=network.specificationVersion)
    _configure(suppression.nonMaximumSuppression, class_names, options)
    for name in (RAW_CONFIDENCE, RAW_COORDINATES):
        (output,) = (output for output in network.description.output if output.name == name)
        suppression.description.input.add().CopyFrom(output)
    _add_thresholds(suppression.description, options)
    _add_output(
        suppression.description,
        CONFIDENCE,
        "Confidence of each class per box; 0 for all classes but the best one",
        (options.max_detections, len(class_names)),
    )
    _add_output(
        suppression.description,
        COORDINATES,
        "Boxes as center x, center y, width and height, relative to the image size",
        (options.max_detections, 4),
    )
    model.description.input.extend(network.description.input)
    _add_thresholds(model.description, options)
    model.description.output.extend(suppression.description.output)
    return model


def _configure(suppression: Any, class_names: tuple[str, ...], options: GraphNmsOptions) -> None:
    """Set the fields of a NonMaximumSuppression message."""
    suppression.pickTop.perClass = not options.agnostic
    suppression.stringClassLabels.vector.extend(class_names)
    suppression.confidenceThreshold, suppression.iouThreshold = options.confidence, options.iou_threshold
    suppression.confidenceThresholdInputFeatureName = CONFIDENCE_THRESHOLD
    suppression.iouThresholdInputFeatureName = IOU_THRESHOLD
    suppression.confidenceInputFeatureName = RAW_CONFIDENCE
    suppression.coordinatesInputFeatureName = RAW_COORDINATES
    suppression.confidenceOutputFeatureName = CONFIDENCE
    suppression.coordinatesOutputFeatureName = COORDINATES


def _add_thresholds(description: Any, options: GraphNmsOptions) -> None:
    """Add the two thresholds to a model's inputs, as optional numbers."""
    for name, default, text in (
        (CONFIDENCE_THRESHOLD, options.confidence, "Confidence threshold: boxes below it are removed"),
        (
            IOU_THRESHOLD,
            options.iou_threshold,
            "IoU threshold: of two boxes above it, one is suppressed",
        ),
    ):
        feature = description.input.add(name=name, shortDescription=f"{text} (default: {default:g})")
        feature.type.doubleType.SetInParent()
        feature.type.isOptional = True


def _add_output(description: Any, name: str, text: str, shape: tuple[int, int]) -> None:
    """Add a float32 output with between 0 and `shape[0]` rows, and `shape[1]` columns."""
    array = description.output.add(name=name, shortDescription=text).type.multiArrayType
    array.dataType = array.FLOAT32
    max_rows, columns = shape
    for lower, upper in ((0, max_rows), (columns, columns)):
        array.shapeRange.sizeRanges.add(lowerBound=lower, upperBound=upper)
