"""Frozen GraphDef files."""

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
