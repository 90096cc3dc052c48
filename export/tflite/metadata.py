"""TFLite metadata: what MediaPipe, ML Kit and Android Studio read, and the contract beside it."""

from __future__ import annotations

import io
import zipfile
from typing import Any

from tfyolo.export.tflite import metadata_schema as schema
from tfyolo.models.contract import FILE_NAME, Contract

LABELS_FILE = "labels.txt"

_DESCRIPTIONS = {
    "images": "RGB image (1, height, width, 3), letterboxed for a detector, center-cropped for a classifier.",
    "detection_boxes": "Boxes (1, n, 4): ymin, xmin, ymax, xmax relative to the input image.",
    "detection_classes": "Class index of each box (1, n); names in labels.txt.",
    "detection_scores": "Score of each box (1, n), best first.",
    "num_detections": "Number of valid rows (1,); those after them are zero.",
    "boxes": "All boxes before NMS (1, n, 4): ymin, xmin, ymax, xmax relative to the input image.",
    "scores": "Objectness times class score (1, n, classes).",
    "probabilities": "Probability of each class (1, classes); names in labels.txt.",
    "logits": "Logits of classes (1, classes).",
    "box": "Logits of boxes (1, height, width, anchors * 4): center x, center y, width, height.",
    "objectness": "Logits of objectness (1, height, width, anchors).",
    "classes": "Logits of classes (1, height, width, anchors * classes).",
}
_TASK_NAMES = {
    "detection_boxes": "location",
    "detection_classes": "category",
    "detection_scores": "score",
    "num_detections": "number of detections",
}
"""Names by which MediaPipe Tasks' ObjectDetector finds the outputs; it does not read the signature."""


def describe(flatbuffer: Any, contract: Contract) -> None:
    """Put metadata about tensors and model into a TFLite flatbuffer.

    Args:
        flatbuffer: the model as TensorFlow's flatbuffer_utils reads it, with one signature; changed.
        contract: of the exported model.
    """
    from tensorflow.lite.python import schema_py_generated as tflite

    buffer = tflite.BufferT()
    buffer.data = _model(flatbuffer, contract).pack()
    flatbuffer.buffers.append(buffer)
    entry = tflite.MetadataT()
    entry.name, entry.buffer = "TFLITE_METADATA", len(flatbuffer.buffers) - 1
    flatbuffer.metadata = [*(flatbuffer.metadata or []), entry]


def attach_files(model: bytes, contract: Contract) -> bytes:
    """The model with `labels.txt` and `tfyolo.json` behind it, as a zip archive that TFLite readers skip."""
    out = io.BytesIO(model)
    out.seek(0, io.SEEK_END)
    with zipfile.ZipFile(out, "a") as archive:
        archive.writestr(LABELS_FILE, "\n".join(contract.names) + "\n")
        archive.writestr(FILE_NAME, contract.to_json())
    return out.getvalue()


def _model(flatbuffer: Any, contract: Contract) -> schema.ModelMetadata:
    """The metadata; tensors in the order of the file's subgraph, which is how readers match them."""
    graph, signature = flatbuffer.subgraphs[0], flatbuffer.signatureDefs[0]
    classify = contract.task == "classify"
    kind, does = ("image classifier", "Tells") if classify else ("object detector", "Detects")
    labels = schema.AssociatedFile(
        LABELS_FILE,
        "Class names, one a line.",
        schema.FileType.TENSOR_AXIS_LABELS if classify else schema.FileType.TENSOR_VALUE_LABELS,
    )

    def tensors(order: Any, named: Any) -> tuple[schema.TensorMetadata, ...]:
        names = {tensor.tensorIndex: tensor.name.decode() for tensor in named}
        return tuple(_tensor(names[index], contract, labels) for index in order)

    described = schema.SubGraphMetadata(
        None,
        None,
        tensors(graph.inputs, signature.inputs),
        tensors(graph.outputs, signature.outputs),
        (schema.AssociatedFile(FILE_NAME, "Anchors, strides, names, configuration."),),
    )
    return schema.ModelMetadata(
        f"{contract.config.get('name', 'YOLOv5')} {kind}",
        f"{does} {len(contract.names)} classes. Written by tfyolo {contract.version}.",
        "1",
        (described,),
    )


def _tensor(name: str, contract: Contract, labels: schema.AssociatedFile) -> schema.TensorMetadata:
    """One input or output by its name in the signature."""
    units: tuple[schema.ProcessUnit, ...] | None = None
    properties: schema.Properties = schema.FeatureProperties()
    if name == "images":
        properties = schema.ImageProperties(schema.ColorSpace.RGB)
        units = (schema.ProcessUnit(schema.NormalizationOptions((0.0,), (255.0,))),)
    elif name in ("detection_boxes", "boxes"):
        properties = schema.BoundingBoxProperties(
            (1, 0, 3, 2), schema.BoxType.BOUNDARIES, schema.Coordinates.RATIO
        )
    elif name == "detection_scores":
        units = (
            schema.ProcessUnit(
                schema.ScoreThresholdingOptions(float(contract.export.get("conf_thres", 0.0)))
            ),
        )
    return schema.TensorMetadata(
        name=_TASK_NAMES.get(name, name),
        description=_DESCRIPTIONS.get(name) or _DESCRIPTIONS.get(name.rpartition("_")[0], ""),
        dimension_names=None,
        content=schema.Content(properties),
        process_units=units,
        associated_files=(labels,) if name in ("detection_classes", "probabilities", "logits") else None,
    )
