"""TF.js graph models for browsers and Node."""

from __future__ import annotations

from tfyolo.export.format import Format
from tfyolo.files import Owned

FORMAT = Format(
    name="tfjs",
    label="TF.js",
    suffix="_web_model",
    holds="model.json",
    owned=Owned(("model.json", "group*-shard*of*.bin", "tfyolo.json")),
    exporter="tfyolo.export.tfjs.writer:export",
    runtime="tfyolo.export.tfjs.runtime:TfjsRuntime",
    inspector="tfyolo.export.tfjs.runtime:inspect",
    nms=("builtin", "tensor", "none", "raw"),
    precisions=("float32", "float16", "int8"),
)
