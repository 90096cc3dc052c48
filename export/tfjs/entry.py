"""Table entry of the TF.js format, and the names that its writer and runtime share."""

from __future__ import annotations

from tfyolo.export.format import Format
from tfyolo.owned_files import Owned

MODEL_FILE = "model.json"
CONTRACT_KEY = "tfyolo"
"""Key of the contract in `userDefinedMetadata` of model.json."""

FORMAT = Format(
    name="tfjs",
    label="TF.js",
    suffix="_web_model",
    holds=MODEL_FILE,
    owned=Owned((MODEL_FILE, "group*-shard*of*.bin", "tfyolo.json")),
    exporter="tfyolo.export.tfjs.writer:export",
    runtime="tfyolo.export.tfjs.runtime:TfjsRuntime",
    inspector="tfyolo.export.tfjs.runtime:inspect",
    nms=("builtin", "tensor", "none", "raw"),
    precisions=("float32", "float16", "int8"),
)
