"""The second half of a CoreML detector: Apple's non-maximum suppression behind the network, in a pipeline."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # the runtime, which needs the names below only, does without TensorFlow
    from tfyolo.export.graph.options import GraphNmsOptions

CONTRACT_KEY = "tfyolo"
"""Of the contract, among a model's user-defined metadata."""
CONFIDENCE, COORDINATES = "confidence", "coordinates"
"""Outputs, by the names that Vision looks for: (m, classes), and (m, 4) center x, center y, width, height."""
RAW_CONFIDENCE, RAW_COORDINATES = "raw_confidence", "raw_coordinates"
"""What the network hands on: the same for every cell and anchor."""
CONFIDENCE_THRESHOLD, IOU_THRESHOLD = "confidenceThreshold", "iouThreshold"
"""Inputs beside the image; both may be left out."""


def with_suppression(network: Any, names: tuple[str, ...], settings: GraphNmsOptions) -> Any:
    """A pipeline of a network and a NonMaximumSuppression model.

    Args:
        network: specification (coremltools' `Model` message) with one image for input, and RAW_CONFIDENCE and
            RAW_COORDINATES as its outputs.
        names: of the classes.
        settings: thresholds, used where the inputs are left out; `max_detections` bounds the rows.

    Returns:
        A specification of the same version. Boxes suppress those whose best class is the same or, with
        `agnostic`, all others.

    Source: mlmodel/format/NonMaximumSuppression.proto of coremltools describes the model.
    """
    model = type(network)(specificationVersion=network.specificationVersion)
    model.pipeline.names.extend(["network", "suppression"])
    model.pipeline.models.add().CopyFrom(network)
    last = model.pipeline.models.add(specificationVersion=network.specificationVersion)
    _suppress(last.nonMaximumSuppression, names, settings)
    for name in (RAW_CONFIDENCE, RAW_COORDINATES):
        (output,) = (output for output in network.description.output if output.name == name)
        last.description.input.add().CopyFrom(output)
    _thresholds(last.description, settings)
    _rows(last.description, CONFIDENCE, len(names), settings.max_detections)
    _rows(last.description, COORDINATES, 4, settings.max_detections)
    last.description.output[0].shortDescription = "Of each box the score of its class; 0 for the others"
    last.description.output[
        1
    ].shortDescription = "Of each box center x, center y, width and height, relative to the input"
    model.description.input.extend(network.description.input)
    _thresholds(model.description, settings)
    model.description.output.extend(last.description.output)
    return model


def _suppress(suppression: Any, names: tuple[str, ...], settings: GraphNmsOptions) -> None:
    """Fill in a NonMaximumSuppression message."""
    suppression.pickTop.perClass = not settings.agnostic
    suppression.stringClassLabels.vector.extend(names)
    suppression.confidenceThreshold, suppression.iouThreshold = settings.confidence, settings.iou
    suppression.confidenceThresholdInputFeatureName = CONFIDENCE_THRESHOLD
    suppression.iouThresholdInputFeatureName = IOU_THRESHOLD
    suppression.confidenceInputFeatureName = RAW_CONFIDENCE
    suppression.coordinatesInputFeatureName = RAW_COORDINATES
    suppression.confidenceOutputFeatureName = CONFIDENCE
    suppression.coordinatesOutputFeatureName = COORDINATES


def _thresholds(description: Any, settings: GraphNmsOptions) -> None:
    """Add the two numbers to a model's inputs."""
    for name, default, what in (
        (CONFIDENCE_THRESHOLD, settings.confidence, "Lowest score of a box"),
        (IOU_THRESHOLD, settings.iou, "Overlap beyond which the lower box goes"),
    ):
        feature = description.input.add(name=name, shortDescription=f"{what} ({default:g} if left out)")
        feature.type.doubleType.SetInParent()
        feature.type.isOptional = True


def _rows(description: Any, name: str, width: int, most: int) -> None:
    """Add an output of up to `most` rows."""
    array = description.output.add(name=name).type.multiArrayType
    array.dataType = array.FLOAT32
    for low, high in ((0, most), (width, width)):
        array.shapeRange.sizeRanges.add(lowerBound=low, upperBound=high)
