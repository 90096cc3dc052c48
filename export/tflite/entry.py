"""TensorFlow Lite files."""

from __future__ import annotations

from tfyolo.export.format import Format

POSTPROCESS = "TFLite_Detection_PostProcess"
"""Custom operator for NMS that every TensorFlow Lite runtime has built in."""

FORMAT = Format(
    name="tflite",
    label="TensorFlow Lite",
    suffix=".tflite",
    exporter="tfyolo.export.tflite.writer:export",
    runtime="tfyolo.export.tflite.runtime:LiteRtRuntime",
    inspector="tfyolo.export.tflite.runtime:inspect",
    nms=("postprocess", "builtin", "tensor", "none", "raw"),
    precisions=("float32", "float16", "dynamic", "int8", "int16x8"),
)
