"""Table entry of the OpenVINO format, and the file names that its writer and runtime share."""

from __future__ import annotations

from tfyolo.export.format import TENSORFLOW, Format
from tfyolo.owned_files import Owned

MODEL_FILE, WEIGHTS_FILE = "model.xml", "model.bin"

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
    holds=MODEL_FILE,
    owned=Owned((MODEL_FILE, WEIGHTS_FILE, "tfyolo.json")),
    dynamic_batch=True,
    calibrates=True,
)
