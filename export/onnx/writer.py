"""ONNX: one file for ONNX Runtime, and what TorchScript and TensorRT files are made from."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import Any

import numpy as np

from tfyolo.export.job import ExportJob
from tfyolo.export.onnx.graph import integer_kernels, network_nodes, with_metadata
from tfyolo.files import atomic, scratch


def export(job: ExportJob, path: Path) -> None:
    """Write an `.onnx` file.

    Images are (1, 3, height, width), as YOLOv5's files take them; outputs have the contract's names and
    shapes. The contract stands under `tfyolo` in the file's metadata, beside YOLOv5's own entries.

    Raises:
        MissingExtraError: a library of the extra `onnx` is missing.
    """
    import onnx

    model = with_metadata(convert(job), job.exported_contract("onnx"))
    with atomic(path) as temporary:
        onnx.save(model, str(temporary))


def convert(job: ExportJob) -> Any:
    """The ModelProto in the precision that is asked for, without metadata."""
    import onnx

    if job.options.precision == "int8" and job.options.calibrator == "runtime":
        model = _calibrated(job)
    else:
        model = trace(job)
        if job.options.precision == "float16":
            model = _halved(model)
        elif job.options.precision == "int8":
            assert job.contract.quantization is not None  # noqa: S101 - export_model has checked it
            model = integer_kernels(model, job.network, job.contract.quantization)
    if job.options.simplify:
        model = _simplified(model)
    onnx.checker.check_model(model, full_check=True)
    return model


def trace(job: ExportJob) -> Any:
    """The graph by tf2onnx, with its input turned to (batch, 3, height, width).

    Fake quantization of activations becomes QuantizeLinear and DequantizeLinear; that of kernels is applied.
    """
    import tf2onnx

    module = job.module(uint8=job.options.precision == "int8")
    with quiet():
        model, _ = tf2onnx.convert.from_function(
            module.detect,
            input_signature=module.detect.input_signature,
            opset=job.options.opset,
            inputs_as_nchw=["images"],
        )
    return model


def _simplified(model: Any) -> Any:
    import onnxslim

    with quiet():
        return onnxslim.slim(model)


def _halved(model: Any) -> Any:
    """The network in float16, with float32 around it: images, decoding and suppression.

    Decoded in float16 a box at the far end of an image would be off by half a pixel.
    """
    from onnxruntime.transformers.float16 import convert_float_to_float16

    network = network_nodes(model)
    rest = [node.name for node in model.graph.node if node.name not in network]
    return convert_float_to_float16(
        model, keep_io_types=True, node_block_list=rest, disable_shape_infer=False
    )


def _calibrated(job: ExportJob) -> Any:
    """The float graph with ranges that ONNX Runtime measures on the job's images."""

    import onnx
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    class Images(CalibrationDataReader):
        def __init__(self) -> None:
            self._left = _inputs(job.calibration_images)

        def get_next(self) -> dict[str, np.ndarray] | None:
            return next(self._left, None)

    model = trace(job.with_options(precision="float32"))
    network = network_nodes(model)
    with scratch() as folder, quiet():
        exact, ready, rounded = (folder / name for name in ("exact.onnx", "ready.onnx", "int8.onnx"))
        onnx.save(model, str(exact))
        quant_pre_process(str(exact), str(ready), skip_symbolic_shape=True)
        names = [node.name for node in onnx.load(str(ready)).graph.node]
        quantize_static(
            str(ready),
            str(rounded),
            Images(),
            quant_format=QuantFormat.QDQ,
            per_channel=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QUInt8,
            extra_options={"WeightSymmetric": True},
            nodes_to_exclude=[name for name in names if name not in network],
        )
        return onnx.load(str(rounded))


def _inputs(images: np.ndarray) -> Iterator[dict[str, np.ndarray]]:
    for image in images:
        yield {"images": image.transpose(2, 0, 1)[None].astype(np.float32) / np.float32(255)}


@contextmanager
def quiet() -> Iterator[None]:
    """Without the notes that these libraries print and log."""
    import logging
    import warnings

    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with redirect_stdout(io.StringIO()), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)
