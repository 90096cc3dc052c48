"""Integer TensorFlow Lite files for the Edge TPU."""

from __future__ import annotations

from tfyolo.export.format import Format

FORMAT = Format(
    name="edgetpu",
    label="Edge TPU",
    suffix="_edgetpu.tflite",
    exporter="tfyolo.export.edgetpu.writer:export",
    runtime="tfyolo.export.edgetpu.runtime:EdgeTpuRuntime",
    inspector="tfyolo.export.edgetpu.runtime:inspect",
    nms=("postprocess", "builtin", "tensor", "none", "raw"),
    precisions=("int8",),
)
