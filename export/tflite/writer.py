"""Exporter of TensorFlow Lite files: graph, NMS, class names and contract in one file, for LiteRT."""

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
from tfyolo.export.tflite.flatbuffer import join, order_outputs, quantize_output, read, write
from tfyolo.export.tflite.metadata import attach_files, describe
from tfyolo.files import atomic, scratch
from tfyolo.models.contract import Contract
from tfyolo.models.outputs import MASKS, known_outputs, raw_outputs


def export(job: ExportJob, path: Path) -> None:
    """Write a `.tflite` file.

    Args:
        job: the model and its export options, of any precision.
        path: file to write.
    """
    data = packed(job, "tflite")
    with atomic(path) as temporary:
        temporary.write_bytes(data)


def packed(job: ExportJob, format_name: str, **note: Any) -> bytes:
    """Return the bytes of a `.tflite` file: the converted model with metadata, class names and contract.

    Args:
        job: the model and its export options.
        format_name: name of the format in the contract.
        note: further entries of the contract's `export`.

    Returns:
        Content of the `.tflite` file: the flatbuffer, followed by a zip archive.
    """
    model = convert(job)
    contract = job.exported_contract(format_name, **note)
    describe(model, contract)
    return attach_files(write(model), contract)


def convert(job: ExportJob, module: Any = None) -> Any:
    """Convert a model to a flatbuffer without metadata.

    An integer network is converted by itself and joined with its decoding in float; see flatbuffer.join.

    Args:
        job: the model and its export options.
        module: the graph, whose function `outputs` decodes the raw heads; defaults to that of the job.

    Returns:
        The model as an object of TensorFlow's flatbuffer_utils; its outputs in the order of `known_outputs`.

    Raises:
        TfyoloError: the precision is int16x8, and there are no calibration images.
    """
    module = module or job.module()
    if job.options.precision not in _INTEGER:
        model = read(_convert(module, job))
    else:
        model = read(_network(job))
        if job.options.nms != "raw":
            decoding = DecodingModule(module, _heads(model, job.contract))
            model = join(model, read(_convert(decoding, job.with_options(precision="float32"))))
        if job.options.precision == "int8":
            quantize_output(model, MASKS, 1 / 255)
    order_outputs(model, known_outputs(job.contract))
    return model


def _network(job: ExportJob) -> bytes:
    """Return the integer network with raw heads as a model file."""
    raw = job.with_options(nms="raw")
    return job.cached("network.tflite", lambda: _convert(raw.module(), raw))


def _heads(network: Any, contract: Contract) -> list[list[tuple[str, tuple[int, ...]]]]:
    """Return per scale the name and the shape of each raw head of a converted network."""
    shapes = {
        x.name.decode(): tuple(map(int, network.subgraphs[0].tensors[x.tensorIndex].shape))
        for x in network.signatureDefs[0].outputs
    }
    return [[(name, shapes[name]) for name in scale] for scale in raw_outputs(contract)]


def _convert(module: Any, job: ExportJob) -> bytes:
    """Run the converter on a module; return the model file."""
    # The converter keeps TFLite_Detection_PostProcess only if it starts from a SavedModel.
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
    # All scales follow from the fake-quantization operations of the graph, without calibration images.
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.inference_input_type = tf.uint8
    converter.inference_output_type = tf.int8


def _int16x8(converter: Any, job: ExportJob) -> None:
    if job.calibration_images is None:
        raise TfyoloError("int16x8 needs calibration images", fix="pass --data")

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
