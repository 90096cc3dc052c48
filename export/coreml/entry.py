"""CoreML packages for iOS and macOS."""

from __future__ import annotations

from tfyolo.export.format import TENSORFLOW, Format
from tfyolo.files import Owned

_DATA = "Data/com.apple.CoreML"

FORMAT = Format(
    name="coreml",
    label="CoreML",
    suffix=".mlpackage",
    exporter="tfyolo.export.coreml.writer:export",
    runtime="tfyolo.export.coreml.runtime:CoreMlRuntime",
    inspector="tfyolo.export.coreml.runtime:inspect",
    nms=("pipeline", "none", "raw"),
    precisions=("float32", "float16"),
    writes_with=(*TENSORFLOW, "coremltools"),
    runs_with=("coremltools",),
    holds="Manifest.json",
    owned=Owned(
        ("Manifest.json", f"{_DATA}/model.mlmodel", f"{_DATA}/weights/weight.bin"),
        marker=f"{_DATA}/model.mlmodel",
        mark=b"tfyolo",
    ),
)
