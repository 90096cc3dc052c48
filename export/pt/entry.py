"""PyTorch checkpoints of YOLOv5: run, trained and exported through Keras; written for PyTorch users."""

from __future__ import annotations

from tfyolo.export.format import TENSORFLOW, Format

FORMAT = Format(
    name="pt",
    runs_with=TENSORFLOW,
    label="PyTorch",
    suffix=".pt",
    exporter="tfyolo.export.pt.writer:export",
    runtime="tfyolo.export.keras.runtime:open_keras_runtime",
    inspector="tfyolo.export.keras.runtime:inspect",
    nms=("raw",),
    precisions=("float32", "float16"),
    source=True,
)
