"""SavedModel: what TensorFlow Serving runs, and what other exporters start from."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import tensorflow as tf

from tfyolo.export.job import ExportJob
from tfyolo.export.registry import find_format
from tfyolo.files import atomic_folder
from tfyolo.models.contract import FILE_NAME


def export(job: ExportJob, path: Path) -> None:
    """Write a SavedModel folder with the signature `serving_default` and `tfyolo.json` beside it.

    With int8 the graph holds fake-quantization operations: it computes what the integer files compute.
    """
    with atomic_folder(path, find_format("saved_model").owned) as temporary:
        module = job.module(halve=job.options.precision == "float16", uint8=job.options.precision == "int8")
        save(module, temporary)
        (temporary / FILE_NAME).write_text(job.exported_contract("saved_model").to_json(), "utf-8")


def save(module: Any, folder: Path) -> None:
    """The graph alone; its weights are constants, since nothing else survives every converter."""
    tf.saved_model.save(
        module,
        str(folder),
        signatures={"serving_default": module.detect},
        options=tf.saved_model.SaveOptions(experimental_custom_gradients=False),
    )
