"""Table entry of the frozen GraphDef format, and the names that its writer and runtime share."""

from __future__ import annotations

from tfyolo.export.format import TENSORFLOW, Format

FORMAT = Format(
    name="pb",
    runs_with=TENSORFLOW,
    label="frozen GraphDef",
    suffix=".pb",
    exporter="tfyolo.export.graph_def.writer:export",
    runtime="tfyolo.export.graph_def.runtime:GraphDefRuntime",
    inspector="tfyolo.export.graph_def.runtime:inspect",
    nms=("combined", "builtin", "tensor", "none", "raw"),
    precisions=("float32", "float16", "int8"),
)

CONTRACT_NODE = "tfyolo_json"
"""Name of a string constant that contains the contract, since a GraphDef has no metadata."""
