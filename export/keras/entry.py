"""Table entry of the Keras format: files with the trainable network, the source of all exports."""

from __future__ import annotations

from tfyolo.export.format import TENSORFLOW, Format

FORMAT = Format(
    name="keras",
    runs_with=TENSORFLOW,
    label="Keras",
    suffix=".keras",
    exporter=None,
    runtime="tfyolo.export.keras.runtime:open_keras_runtime",
    inspector="tfyolo.export.keras.runtime:inspect",
    nms=("raw",),
    precisions=("float32", "float16"),
    source=True,
)
