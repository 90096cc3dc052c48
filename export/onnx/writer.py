"""Writes `.onnx` files for ONNX Runtime; TorchScript and TensorRT files are made from the same graph."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import numpy as np

from tfyolo.export.job import ExportJob
from tfyolo.export.onnx.graph import network_nodes, store_integer_kernels, with_metadata
from tfyolo.files import atomic, scratch
from tfyolo.models.nodes import IMAGES
from tfyolo.models.quantization import QuantizationSpec
from tfyolo.quiet import silenced


def export(job: ExportJob, path: Path) -> None:
    """Write an `.onnx` file.

    Images are (1, 3, height, width), as in YOLOv5's files; outputs have the names and shapes of the contract.
    The metadata contains the contract under `tfyolo`, and YOLOv5's own entries.

    Args:
        job: model and export options.
        path: the file to write.

    Raises:
        MissingExtraError: a library of the extra `onnx` is not installed.
    """
    import onnx

    model = with_metadata(build_model(job), job.exported_contract("onnx"))
    with atomic(path) as temporary:
        onnx.save(model, str(temporary))


def build_model(job: ExportJob) -> Any:
    """Return the ModelProto in the job's precision, without metadata."""
    import onnx

    if job.options.precision == "int8" and job.options.calibrator == "runtime":
        model = _quantize_with_onnx_runtime(job)
    else:
        model = _convert(job)
        if job.options.precision == "float16":
            model = _to_float16(model)
        elif job.options.precision == "int8":
            spec = cast(QuantizationSpec, job.contract.quantization)  # export_model has checked it
            model = store_integer_kernels(model, job.network, spec)
    if job.options.simplify:
        model = _simplify(model)
    onnx.checker.check_model(model, full_check=True)
    return model


def _convert(job: ExportJob) -> Any:
    """Convert the TensorFlow graph with tf2onnx, its input transposed to (batch, 3, height, width).

    Fake quantization of activations becomes QuantizeLinear and DequantizeLinear; that of kernels is folded
    into their values.
    """
    import tf2onnx

    module = job.module(uint8=job.options.precision == "int8")

    def converted() -> Any:
        model, _ = tf2onnx.convert.from_function(
            module.detect,
            input_signature=module.detect.input_signature,
            opset=job.options.opset,
            inputs_as_nchw=[IMAGES],
        )
        return model

    with silenced():
        with contextlib.suppress(Exception), _without_copies():
            return converted()
        return converted()  # without the optimization that fails


@contextlib.contextmanager
def _without_copies() -> Iterator[None]:
    """Let tf2onnx optimize a graph in place.

    It copies the graph before each of two dozen optimizations, to go on without one that fails, which takes
    longer than many of them.
    """
    name = "TF2ONNX_CATCH_ERRORS"
    before = os.environ.get(name)
    os.environ[name] = "FALSE"
    try:
        yield
    finally:
        if before is None:
            del os.environ[name]
        else:
            os.environ[name] = before


def _simplify(model: Any) -> Any:
    """Return the model simplified by onnxslim."""
    import onnxslim

    with silenced():
        return onnxslim.slim(model)


def _to_float16(model: Any) -> Any:
    """Convert the network to float16; the input, decoding and NMS stay float32.

    float16 has 11 bits of mantissa, so coordinates near 640 pixels would be off by up to half a pixel.
    """
    from onnxruntime.transformers.float16 import convert_float_to_float16

    network = network_nodes(model)
    float32_nodes = [node.name for node in model.graph.node if node.name not in network]
    return convert_float_to_float16(
        model, keep_io_types=True, node_block_list=float32_nodes, disable_shape_infer=False
    )


def _quantize_with_onnx_runtime(job: ExportJob) -> Any:
    """Quantize the float model with ranges that ONNX Runtime measures on the job's images."""
    import onnx
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    class ImageReader(CalibrationDataReader):
        def __init__(self) -> None:
            self._inputs = _calibration_inputs(job.calibration_images)

        def get_next(self) -> dict[str, np.ndarray] | None:
            return next(self._inputs, None)

    model = _convert(job.with_options(precision="float32"))
    network = network_nodes(model)
    with scratch() as folder, silenced():
        float_file, prepared_file, int8_file = (
            folder / name for name in ("float.onnx", "prepared.onnx", "int8.onnx")
        )
        onnx.save(model, str(float_file))
        quant_pre_process(str(float_file), str(prepared_file), skip_symbolic_shape=True)
        names = [node.name for node in onnx.load(str(prepared_file)).graph.node]
        quantize_static(
            str(prepared_file),
            str(int8_file),
            ImageReader(),
            quant_format=QuantFormat.QDQ,
            per_channel=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QUInt8,  # see store_integer_kernels
            extra_options={"WeightSymmetric": True},
            nodes_to_exclude=[name for name in names if name not in network],
        )
        return onnx.load(str(int8_file))


def _calibration_inputs(images: np.ndarray) -> Iterator[dict[str, np.ndarray]]:
    """Yield a feed per image, from uint8 (n, height, width, 3)."""
    for image in images:
        yield {IMAGES: image.transpose(2, 0, 1)[None].astype(np.float32) / np.float32(255)}
