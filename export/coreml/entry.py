"""Table entry of the Core ML format, and the names that its writer and runtime share."""

from __future__ import annotations

from tfyolo.export.format import TENSORFLOW, Format
from tfyolo.owned_files import Owned

MANIFEST_FILE = "Manifest.json"
_DATA = "Data/com.apple.CoreML"
MODEL_FILE = f"{_DATA}/model.mlmodel"
"""The specification (coremltools' `Model` message) in a package; weights are next to it."""
CONTRACT_KEY = "tfyolo"
"""Key of the contract (JSON) in the model's user-defined metadata."""
CLASS_LABEL = "classLabel"
"""Output of a classifier: the name of the best class."""

FORMAT = Format(
    name="coreml",
    label="Core ML",
    suffix=".mlpackage",
    exporter="tfyolo.export.coreml.writer:export",
    runtime="tfyolo.export.coreml.runtime:CoreMlRuntime",
    inspector="tfyolo.export.coreml.runtime:inspect",
    nms=("pipeline", "none", "raw"),
    precisions=("float32", "float16"),
    writes_with=(*TENSORFLOW, "coremltools"),
    runs_with=("coremltools",),
    holds=MANIFEST_FILE,
    owned=Owned(
        (MANIFEST_FILE, MODEL_FILE, f"{_DATA}/weights/weight.bin"),
        marker=MODEL_FILE,
        mark=CONTRACT_KEY.encode(),
    ),
)
