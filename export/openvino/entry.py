"""Folders of OpenVINO's intermediate representation."""

from __future__ import annotations

from tfyolo.export.format import TENSORFLOW, Format
from tfyolo.files import Owned

FORMAT = Format(
    name="openvino",
    label="OpenVINO",
    suffix="_openvino_model",
    exporter="tfyolo.export.openvino.writer:export",
    runtime="tfyolo.export.openvino.runtime:OpenVinoRuntime",
    inspector="tfyolo.export.openvino.runtime:inspect",
    nms=("builtin", "tensor", "none", "raw"),
    precisions=("float32", "float16", "int8"),
    writes_with=(*TENSORFLOW, "openvino"),
    runs_with=("openvino",),
    holds="model.xml",
    owned=Owned(("model.xml", "model.bin", "tfyolo.json")),
    dynamic_batch=True,
    calibrates=True,
)
