"""TFLite metadata for MediaPipe, ML Kit and Android Studio, and the files attached to a model."""

from __future__ import annotations

import io
import zipfile
from typing import Any

from tfyolo.export.tflite import metadata_schema as schema
from tfyolo.models.contract import FILE_NAME, Contract

LABELS_FILE = "labels.txt"

_DESCRIPTIONS = {
    "images": "RGB image (1, height, width, 3): center-cropped for a classifier, otherwise letterboxed.",
    "detection_boxes": "Boxes (1, n, 4): ymin, xmin, ymax, xmax relative to the input image.",
    "detection_classes": "Class index of each box (1, n); class names are in labels.txt.",
    "detection_scores": "Score of each box (1, n), in descending order.",
    "num_detections": "Number of detections (1,); later rows are zero.",
    "detection_masks": "Mask of each detection (1, n, height, width), cropped to its box: 0 to 1 in a float "
    "model, 0 to 255 in an integer one. Resize it to the input image; pixels above one half belong to the "
    "object.",
    "boxes": "Boxes before NMS (1, n, 4): ymin, xmin, ymax, xmax relative to the input image.",
    "scores": "Scores (1, n, classes): objectness times class probability.",
    "coefficients": "Mask coefficients of each box (1, n, k), weighted by objectness; see prototypes.",
    "prototypes": "Prototypes of masks (1, height, width, k). The mask of a box is the sigmoid of their sum, "
    "weighted by its coefficients, inside of the box.",
    "probabilities": "Probability of each class (1, classes); class names are in labels.txt.",
    "logits": "Logit of each class (1, classes).",
    "box": "Logits of boxes (1, height, width, anchors * 4): center x, center y, width, height.",
    "objectness": "Logits of objectness (1, height, width, anchors).",
    "classes": "Logits of classes (1, height, width, anchors * classes).",
}
_KINDS = {
    "classify": ("image classifier", "Classifies images into"),
    "detect": ("object detector", "Detects objects of"),
    "segment": ("instance segmentation model", "Segments objects of"),
}
"""Kind of a model by its task, and the beginning of its description."""
_TASK_NAMES = {
    "detection_boxes": "location",
    "detection_classes": "category",
    "detection_scores": "score",
    "num_detections": "number of detections",
}
"""Names by which the ObjectDetector of MediaPipe Tasks finds outputs; it does not read the signature."""


def describe(flatbuffer: Any, contract: Contract) -> None:
    """Add metadata about tensors and model to a TFLite flatbuffer.

    Args:
        flatbuffer: the model as an object of TensorFlow's flatbuffer_utils, with one signature. It is
            modified.
        contract: contract of the exported model.
    """
    from tensorflow.lite.python import schema_py_generated as tflite

    buffer = tflite.BufferT()
    buffer.data = _model(flatbuffer, contract).pack()
    flatbuffer.buffers.append(buffer)
    entry = tflite.MetadataT()
    entry.name, entry.buffer = "TFLITE_METADATA", len(flatbuffer.buffers) - 1
    flatbuffer.metadata = [*(flatbuffer.metadata or []), entry]


def attach_files(model: bytes, contract: Contract) -> bytes:
    """Append a zip archive with `labels.txt` and `tfyolo.json` to a model file.

    TFLite interpreters ignore bytes after the flatbuffer; metadata libraries read the archive.

    Args:
        model: content of the model file.
        contract: contract of the exported model.

    Returns:
        The new content.
    """
    out = io.BytesIO(model)
    out.seek(0, io.SEEK_END)
    with zipfile.ZipFile(out, "a") as archive:
        # A line per class, whatever a name contains.
        lines = (" ".join(name.split()) if len(name.splitlines()) > 1 else name for name in contract.names)
        archive.writestr(LABELS_FILE, "\n".join(lines) + "\n")
        archive.writestr(FILE_NAME, contract.to_json())
    return out.getvalue()


def _model(flatbuffer: Any, contract: Contract) -> schema.ModelMetadata:
    """Return the metadata, with tensors in the order of the subgraph, by which readers match them."""
    graph, signature = flatbuffer.subgraphs[0], flatbuffer.signatureDefs[0]
    kind, task = _KINDS[contract.task]
    labels = schema.AssociatedFile(
        LABELS_FILE,
        "Class names, one per line.",
        schema.FileType.TENSOR_AXIS_LABELS
        if contract.task == "classify"
        else schema.FileType.TENSOR_VALUE_LABELS,
    )

    def tensors(order: Any, named: Any) -> tuple[schema.TensorMetadata, ...]:
        names = {tensor.tensorIndex: tensor.name.decode() for tensor in named}
        return tuple(_tensor(names[index], contract, labels) for index in order)

    described = schema.SubGraphMetadata(
        None,
        None,
        tensors(graph.inputs, signature.inputs),
        tensors(graph.outputs, signature.outputs),
        (
            schema.AssociatedFile(
                FILE_NAME, "Model contract: anchors, strides, class names, model configuration."
            ),
        ),
    )
    return schema.ModelMetadata(
        f"{contract.config.get('name', 'YOLOv5')} {kind}",
        f"{task} {len(contract.names)} classes. Written by tfyolo {contract.version}.",
        "1",
        (described,),
    )


def _tensor(name: str, contract: Contract, labels: schema.AssociatedFile) -> schema.TensorMetadata:
    """Return the metadata of an input or output, given its name in the signature."""
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
