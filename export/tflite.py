"""TensorFlow Lite: one file with graph, NMS, class names and contract, for LiteRT on any device."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path

import tensorflow as tf
from tensorflow.lite.tools import flatbuffer_utils
from tfyolo.export import saved_model
from tfyolo.export.metadata import attach_files, describe
from tfyolo.export.request import ExportRequest

from tfyolo.files import atomic


def export(request: ExportRequest, path: Path) -> None:
    """Write a `.tflite` file; float32, or float16 weights with `half`."""
    # PostProcess survives only this way: converting the function itself folds it into an empty file.
    with tempfile.TemporaryDirectory() as folder:
        saved_model.save(replace(request, half=False), Path(folder))
        converter = tf.lite.TFLiteConverter.from_saved_model(folder)
        converter.allow_custom_ops = request.nms == "postprocess"
        if request.half:
            converter.optimizations = [tf.lite.Optimize.DEFAULT]
            converter.target_spec.supported_types = [tf.float16]
        data = converter.convert()
    flatbuffer = flatbuffer_utils.convert_bytearray_to_object(bytearray(data))
    contract = request.exported_contract("tflite")
    describe(flatbuffer, contract)
    packed = bytes(flatbuffer_utils.convert_object_to_bytearray(flatbuffer))
    with atomic(path) as temporary:
        temporary.write_bytes(attach_files(packed, contract))
