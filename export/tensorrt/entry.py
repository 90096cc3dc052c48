"""Table entry of the TensorRT format, and the file layout that its writer and runtime share."""

from __future__ import annotations

from tfyolo.export.format import TENSORFLOW, Format

FORMAT = Format(  # its runtime allocates GPU buffers with PyTorch
    name="engine",
    label="TensorRT",
    suffix=".engine",
    exporter="tfyolo.export.tensorrt.writer:export",
    runtime="tfyolo.export.tensorrt.runtime:TensorRtRuntime",
    inspector="tfyolo.export.tensorrt.runtime:inspect",
    nms=("efficient", "none", "raw"),
    precisions=("float32", "float16"),
    writes_with=(*TENSORFLOW, "tf2onnx", "onnxslim", "tensorrt"),
    runs_with=("tensorrt", "torch"),
)

LENGTH_BYTES = 4
"""An engine file starts with the length of its metadata (little-endian, signed), then JSON, then the engine.
Ultralytics' files have the same layout."""
CONTRACT_KEY = "tfyolo"
"""Key of the contract in the JSON."""
