"""Table entry of the TorchScript format; files are written through ONNX."""

from __future__ import annotations

from tfyolo.export.format import TENSORFLOW, Format

FORMAT = Format(
    name="torchscript",
    label="TorchScript",
    suffix=".torchscript",
    exporter="tfyolo.export.torchscript.writer:export",
    runtime="tfyolo.export.torchscript.runtime:TorchScriptRuntime",
    inspector="tfyolo.export.torchscript.runtime:inspect",
    nms=("none", "raw"),
    precisions=("float32",),
    writes_with=(*TENSORFLOW, "tf2onnx", "onnx2torch", "torch", "torchvision"),
    runs_with=("torch", "torchvision"),
)
