"""Table entry of PyTorch checkpoints: YOLOv5's own files, run, trained and exported through Keras."""

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
