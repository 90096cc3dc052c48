"""Table entry of the SavedModel format, and the names that its writer and runtime share."""

from __future__ import annotations

from tfyolo.export.format import TENSORFLOW, Format
from tfyolo.owned_files import Owned

MODEL_FILE = "saved_model.pb"
VARIABLES = "variables"
"""Name of the folder of variables, and stem of the files in it."""
SIGNATURE = "serving_default"
"""Name of the signature that TensorFlow Serving calls by default."""

FORMAT = Format(
    name="saved_model",
    runs_with=TENSORFLOW,
    label="SavedModel",
    suffix="_saved_model",
    holds=MODEL_FILE,
    owned=Owned(
        (MODEL_FILE, "fingerprint.pb", f"{VARIABLES}/{VARIABLES}.*", "tfyolo.json"),
        folders=("assets", VARIABLES),
    ),
    exporter="tfyolo.export.saved_model.writer:export",
    runtime="tfyolo.export.saved_model.runtime:SavedModelRuntime",
    inspector="tfyolo.export.saved_model.runtime:inspect",
    nms=("combined", "postprocess", "builtin", "tensor", "none", "raw"),
    precisions=("float32", "float16", "int8"),
)
