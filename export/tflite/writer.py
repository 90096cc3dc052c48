"""TensorFlow Lite: one file with graph, NMS, class names and contract, for LiteRT on any device."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from tfyolo.errors import TfyoloError
from tfyolo.export.graph.module import DecodingModule
from tfyolo.export.job import ExportJob
from tfyolo.export.saved_model import writer as saved_model
from tfyolo.export.tflite.flatbuffer import join, order_outputs, read, write
from tfyolo.export.tflite.metadata import attach_files, describe
from tfyolo.files import atomic, scratch
from tfyolo.models.contract import Contract
from tfyolo.models.outputs import known_outputs, raw_outputs


def export(job: ExportJob, path: Path) -> None:
    """Write a `.tflite` file of any precision."""
    data = packed(job, "tflite")
    with atomic(path) as temporary:
        temporary.write_bytes(data)


def packed(job: ExportJob, format_name: str, **note: Any) -> bytes:
    """A model with metadata, labels and contract, whose `export` has `note`, too."""
    model = convert(job)
    contract = job.exported_contract(format_name, **note)
    describe(model, contract)
    return attach_files(write(model), contract)


def convert(job: ExportJob) -> Any:
    """The bare flatbuffer, as an object; its outputs in the order of `known_outputs`.

    An integer network is converted alone, and followed by its decoding in float (flatbuffer.join).

    Raises:
        TfyoloError: int16x8 without images.
    """
    if job.options.precision not in _INTEGER:
        model = read(_convert(job.module(), job))
    else:
        model = read(_network(job))
        if job.options.nms != "raw":
            decoding = DecodingModule(job.module(), _heads(model, job.contract))
            model = join(model, read(_convert(decoding, job.with_options(precision="float32"))))
    order_outputs(model, known_outputs(job.contract))
    return model


def _network(job: ExportJob) -> bytes:
    """The integer network with raw heads."""
    raw = job.with_options(nms="raw")
    return job.cached("network.tflite", lambda: _convert(raw.module(), raw))


def _heads(network: Any, contract: Contract) -> list[list[tuple[str, tuple[int, ...]]]]:
    """Per scale the name and the shape of each raw head of a converted network."""
    shapes = {
        x.name.decode(): tuple(map(int, network.subgraphs[0].tensors[x.tensorIndex].shape))
        for x in network.signatureDefs[0].outputs
    }
    return [[(name, shapes[name]) for name in scale] for scale in raw_outputs(contract)]


def _convert(module: Any, job: ExportJob) -> bytes:
    # PostProcess survives only this way: converting the function itself folds it into an empty file.
    with scratch() as folder:
        saved_model.save(module, folder)
        converter = tf.lite.TFLiteConverter.from_saved_model(str(folder))
        converter.allow_custom_ops = job.options.nms == "postprocess"
        _SETTINGS[job.options.precision](converter, job)
        return converter.convert()


def _float16(converter: Any, job: ExportJob) -> None:
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.target_spec.supported_types = [tf.float16]


def _dynamic(converter: Any, job: ExportJob) -> None:
    converter.optimizations = [tf.lite.Optimize.DEFAULT]


def _int8(converter: Any, job: ExportJob) -> None:
    # The graph's fake-quantization operations say all scales: no images are needed here.
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.inference_input_type = tf.uint8
    converter.inference_output_type = tf.int8


def _int16x8(converter: Any, job: ExportJob) -> None:
    if job.calibration_images is None:
        raise TfyoloError("int16x8 needs images to measure ranges on", fix="pass --data")

    def images() -> Iterator[list[np.ndarray]]:
        for image in job.calibration_images:
            yield [image[None].astype(np.float32) / np.float32(255)]

    kinds = tf.lite.OpsSet
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = images
    converter.target_spec.supported_ops = [
        kinds.EXPERIMENTAL_TFLITE_BUILTINS_ACTIVATIONS_INT16_WEIGHTS_INT8,
        kinds.TFLITE_BUILTINS,
    ]


_INTEGER = ("int8", "int16x8")
_SETTINGS = {
    "float32": lambda converter, job: None,
    "float16": _float16,
    "dynamic": _dynamic,
    "int8": _int8,
    "int16x8": _int16x8,
}
