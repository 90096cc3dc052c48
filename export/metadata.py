"""TensorFlow Lite metadata: what apps and Android Studio read, and the contract beside it.

The schema comes from the tflite-support package, whose generated module needs neither its native library nor
libusb; the file is written by TensorFlow's own flatbuffer helpers.
"""

from __future__ import annotations

import io
import zipfile
from typing import Any

from tfyolo.errors import MissingExtraError
from tfyolo.models.contract import FILE_NAME, Contract

LABELS_FILE = "labels.txt"

_DESCRIPTIONS = {
    "images": "RGB image (1, height, width, 3), letterboxed for a detector, centre-cropped for a classifier.",
    "detection_boxes": "Boxes (1, n, 4): ymin, xmin, ymax, xmax relative to the input image.",
    "detection_classes": "Class index of each box (1, n); names in labels.txt.",
    "detection_scores": "Score of each box (1, n), best first.",
    "num_detections": "Number of valid rows (1,); those after them are zero.",
    "boxes": "All boxes before NMS (1, n, 4): ymin, xmin, ymax, xmax relative to the input image.",
    "scores": "Objectness times class score (1, n, classes).",
    "probabilities": "Probability of each class (1, classes); names in labels.txt.",
    "logits": "Logits of classes (1, classes).",
    "box": "Logits of boxes (1, height, width, anchors * 4): centre x, centre y, width, height.",
    "objectness": "Logits of objectness (1, height, width, anchors).",
    "classes": "Logits of classes (1, height, width, anchors * classes).",
}


def describe(flatbuffer: Any, contract: Contract) -> None:
    """Put metadata about tensors and model into a TFLite flatbuffer.

    Args:
        flatbuffer: the model as TensorFlow's flatbuffer_utils reads it, with one signature; changed.
        contract: of the exported model.

    Raises:
        MissingExtraError: tflite-support is not installed.
    """
    from tensorflow.lite.python import schema_py_generated as schema

    buffer = schema.BufferT()
    buffer.data = _pack(_describe(flatbuffer, contract))
    flatbuffer.buffers.append(buffer)
    entry = schema.MetadataT()
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


def _schema() -> Any:
    try:
        from tensorflow_lite_support.metadata import metadata_schema_py_generated as schema
    except ImportError as error:
        raise MissingExtraError("tflite-support", "export") from error
    return schema


def _describe(flatbuffer: Any, contract: Contract) -> Any:
    """The metadata object; tensors in the order of the file's subgraph, named by its signature."""
    schema = _schema()
    graph, signature = flatbuffer.subgraphs[0], flatbuffer.signatureDefs[0]
    described = schema.SubGraphMetadataT()
    parts = (
        ("inputTensorMetadata", graph.inputs, signature.inputs),
        ("outputTensorMetadata", graph.outputs, signature.outputs),
    )
    for attribute, order, named in parts:
        names = {tensor.tensorIndex: tensor.name.decode() for tensor in named}
        threshold = contract.export.get("conf_thres", 0.0)
        setattr(described, attribute, [_tensor(schema, names[index], threshold) for index in order])
    labels = schema.AssociatedFileT()
    labels.name, labels.description = LABELS_FILE, "Class names, one a line."
    kinds = schema.AssociatedFileType
    classify = contract.task == "classify"
    labels.type = kinds.TENSOR_AXIS_LABELS if classify else kinds.TENSOR_VALUE_LABELS
    for tensor in described.outputTensorMetadata:
        if tensor.name in ("detection_classes", "probabilities", "logits"):
            tensor.associatedFiles = [labels]
    described_contract = schema.AssociatedFileT()
    described_contract.name, described_contract.description = (
        FILE_NAME,
        "Anchors, strides, names, configuration.",
    )
    described.associatedFiles = [described_contract]
    metadata = schema.ModelMetadataT()
    kind, does = ("image classifier", "Tells") if classify else ("object detector", "Detects")
    metadata.name = f"{contract.config.get('name', 'YOLOv5')} {kind}"
    metadata.description = f"{does} {len(contract.names)} classes. Written by tfyolo {contract.version}."
    metadata.version, metadata.minParserVersion = "1", "1.0.0"
    metadata.subgraphMetadata = [described]
    return metadata


def _tensor(schema: Any, name: str, threshold: float) -> Any:
    tensor, content = schema.TensorMetadataT(), schema.ContentT()
    described = _DESCRIPTIONS.get(name) or _DESCRIPTIONS.get(name.rpartition("_")[0], "")
    tensor.name, tensor.description, tensor.content = name, described, content
    if name == "images":
        image = schema.ImagePropertiesT()
        image.colorSpace = schema.ColorSpaceType.RGB
        content.contentPropertiesType = schema.ContentProperties.ImageProperties
        content.contentProperties = image
        options, unit = schema.NormalizationOptionsT(), schema.ProcessUnitT()
        options.mean, options.std = [0.0], [255.0]
        unit.optionsType, unit.options = schema.ProcessUnitOptions.NormalizationOptions, options
        tensor.processUnits = [unit]
    elif name in ("detection_boxes", "boxes"):
        box = schema.BoundingBoxPropertiesT()
        box.index = [1, 0, 3, 2]  # where left, top, right and bottom stand
        box.type = schema.BoundingBoxType.BOUNDARIES
        box.coordinateType = schema.CoordinateType.RATIO
        content.contentPropertiesType = schema.ContentProperties.BoundingBoxProperties
        content.contentProperties = box
    else:
        if name == "detection_scores":
            limit, unit = schema.ScoreThresholdingOptionsT(), schema.ProcessUnitT()
            limit.globalScoreThreshold = threshold
            unit.optionsType, unit.options = schema.ProcessUnitOptions.ScoreThresholdingOptions, limit
            tensor.processUnits = [unit]
        content.contentPropertiesType = schema.ContentProperties.FeatureProperties
        content.contentProperties = schema.FeaturePropertiesT()
    return tensor


def _pack(metadata: Any) -> bytes:
    import flatbuffers

    builder = flatbuffers.Builder(1024)
    builder.Finish(metadata.Pack(builder), b"M001")
    return bytes(builder.Output())
