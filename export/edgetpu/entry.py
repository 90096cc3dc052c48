"""Integer TensorFlow Lite files for the Edge TPU."""

from __future__ import annotations

from tfyolo.export.format import Format

CUSTOM_OPERATOR = "edgetpu-custom-op"
"""Custom operator with which the Edge TPU compiler replaces all operators that it maps."""
REPORT_SUFFIX = "_edgetpu_report.txt"

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
