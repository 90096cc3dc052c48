"""Writes SavedModel folders, for TensorFlow Serving and as the source of other exporters."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import tensorflow as tf

from tfyolo.export.job import ExportJob
from tfyolo.export.registry import find_format
from tfyolo.export.saved_model.entry import SIGNATURE
from tfyolo.files import atomic_folder
from tfyolo.models.contract import FILE_NAME


def export(job: ExportJob, path: Path) -> None:
    """Write a SavedModel folder with the signature `serving_default`, and `tfyolo.json` in it.

    With int8, the graph contains fake-quantization operations, so it computes what integer files compute.

    Args:
        job: model and export options.
        path: the folder to write.
    """
    with atomic_folder(path, find_format("saved_model").owned) as temporary:
        module = job.module(halve=job.options.precision == "float16", uint8=job.options.precision == "int8")
        save(module, temporary)
        (temporary / FILE_NAME).write_text(job.exported_contract("saved_model").to_json(), "utf-8")


def save(module: Any, folder: Path) -> None:
    """Write the graph without `tfyolo.json`; weights are constants, which every converter supports.

    Args:
        module: tf.Module with a function `detect`.
        folder: the folder to write.
    """
    tf.saved_model.save(
        module,
        str(folder),
        signatures={SIGNATURE: module.detect},
        options=tf.saved_model.SaveOptions(experimental_custom_gradients=False),
    )
