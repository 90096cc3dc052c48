"""TensorFlow Lite files."""

from __future__ import annotations

from tfyolo.export.format import Format

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
