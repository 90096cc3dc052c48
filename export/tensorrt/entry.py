"""TensorRT engines, which run on the kind of GPU that built them."""

from __future__ import annotations

from tfyolo.export.format import TENSORFLOW, Format

FORMAT = Format(
    name="engine",
    label="TensorRT",
    suffix=".engine",
    exporter="tfyolo.export.tensorrt.writer:export",
    runtime="tfyolo.export.tensorrt.runtime:TensorRtRuntime",
    inspector="tfyolo.export.tensorrt.runtime:inspect",
    nms=("efficient", "none", "raw"),
    precisions=("float32", "float16"),
    writes_with=(*TENSORFLOW, "tf2onnx", "onnxslim", "tensorrt"),
)
