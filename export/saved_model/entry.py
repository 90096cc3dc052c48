"""SavedModel folders, as TensorFlow Serving loads them."""

from __future__ import annotations

from tfyolo.export.format import TENSORFLOW, Format
from tfyolo.files import Owned

FORMAT = Format(
    name="saved_model",
    runs_with=TENSORFLOW,
    label="SavedModel",
    suffix="_saved_model",
    holds="saved_model.pb",
    owned=Owned(
        ("saved_model.pb", "fingerprint.pb", "variables/variables.*", "tfyolo.json"),
        folders=("assets", "variables"),
    ),
    exporter="tfyolo.export.saved_model.writer:export",
    runtime="tfyolo.export.saved_model.runtime:SavedModelRuntime",
    inspector="tfyolo.export.saved_model.runtime:inspect",
    nms=("combined", "postprocess", "builtin", "tensor", "none", "raw"),
    precisions=("float32", "float16", "int8"),
)
