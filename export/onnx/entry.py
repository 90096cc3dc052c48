"""Table entry of the ONNX format, and the names that its writer and runtime share."""

from __future__ import annotations

from tfyolo.export.format import TENSORFLOW, Format

FORMAT = Format(
    name="onnx",
    label="ONNX",
    suffix=".onnx",
    exporter="tfyolo.export.onnx.writer:export",
    runtime="tfyolo.export.onnx.runtime:OnnxRuntime",
    inspector="tfyolo.export.onnx.runtime:inspect",
    nms=("builtin", "tensor", "none", "raw"),
    precisions=("float32", "float16", "int8"),
    writes_with=(*TENSORFLOW, "tf2onnx", "onnxslim"),
    dynamic_batch=True,
    calibrates=True,
)

CONTRACT_KEY = "tfyolo"
"""Key of the contract (JSON) in `metadata_props` of the ModelProto."""
KERNEL_ZERO_POINT = 128
"""Zero point of the convolution kernels, which files store as uint8."""
