"""Runs `.engine` files with TensorRT on an NVIDIA GPU."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from tfyolo.errors import TfyoloError
from tfyolo.export.runtime.base import MAX_JSON_BYTES, Runtime, Sharing, channels_first, pixels_of
from tfyolo.export.runtime.inspection import Inspection, noted
from tfyolo.export.tensorrt.entry import CONTRACT_KEY, LENGTH_BYTES
from tfyolo.inputs import MODEL, read_input
from tfyolo.libraries import keep_triton_out
from tfyolo.models.contract import FILE_NAME, Contract
from tfyolo.models.nodes import IMAGES


class TensorRtRuntime(Runtime):
    """Runtime for an `.engine` file that `tfyolo export` wrote.

    Args:
        path: the `.engine` file.
        threads: ignored; the engine runs on the GPU.

    Raises:
        TfyoloError: the file is damaged or was not written by tfyolo, or there is no NVIDIA GPU.

    Example:
        >>> runtime = TensorRtRuntime(Path("yolov5n.engine"))  # doctest: +SKIP
    """

    sharing = Sharing.ONE  # there is one execution context, with one set of buffers

    def __init__(self, path: Path, threads: int | None = None) -> None:
        self.path = path
        self.contract, engine = read_engine_file(path)
        self.input_hw = self.contract.image_size
        keep_triton_out()
        import tensorrt
        import torch

        if not torch.cuda.is_available():
            raise TfyoloError(
                "TensorRT engines need an NVIDIA GPU, but this machine has none",
                path=path,
                fix="run it on a machine with an NVIDIA GPU",
            )
        logger = tensorrt.Logger(tensorrt.Logger.ERROR)
        tensorrt.init_libnvinfer_plugins(logger, "")
        self._engine = tensorrt.Runtime(logger).deserialize_cuda_engine(engine)
        if self._engine is None:
            raise TfyoloError(
                "TensorRT cannot read it: an engine works only with the GPU model and TensorRT version "
                "that it was built with",
                path=path,
                fix="export it again on this machine",
            )
        self._context = self._engine.create_execution_context()
        names = [self._engine.get_tensor_name(i) for i in range(self._engine.num_io_tensors)]
        self._tensors = {
            name: torch.empty(tuple(self._engine.get_tensor_shape(name)), device="cuda") for name in names
        }
        for name, tensor in self._tensors.items():
            self._context.set_tensor_address(name, tensor.data_ptr())

    def _open(self) -> Any:
        return self._context

    def _run(self, session: Any, images: np.ndarray, confidence: float) -> dict[str, np.ndarray]:
        import torch

        stream = torch.cuda.current_stream()
        pixels = pixels_of(channels_first(images), uint8=False)
        self._tensors[IMAGES].copy_(torch.from_numpy(pixels))
        session.execute_async_v3(stream.cuda_stream)
        stream.synchronize()
        return {name: x.cpu().numpy() for name, x in self._tensors.items() if name != IMAGES}


def read_engine_file(path: Path) -> tuple[Contract, bytes]:
    """Return the contract and the serialized engine of an `.engine` file.

    Args:
        path: the `.engine` file.

    Raises:
        TfyoloError: the file is damaged, or was not written by tfyolo.
    """
    data = read_input(path, MODEL)
    length = int.from_bytes(data[:LENGTH_BYTES], "little", signed=True)
    if not 0 < length <= min(MAX_JSON_BYTES, len(data) - LENGTH_BYTES):
        raise TfyoloError("is damaged or not a tfyolo engine", path=path, fix="export it again")
    try:
        contract = json.loads(data[LENGTH_BYTES : LENGTH_BYTES + length])[CONTRACT_KEY]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise TfyoloError(
            f"contains no {FILE_NAME}, so its classes and anchors are unknown",
            path=path,
            fix="write it with `tfyolo export --include engine`",
        ) from error
    return Contract.from_json(json.dumps(contract), path), data[LENGTH_BYTES + length :]


def inspect(path: Path) -> Inspection:
    """Describe an `.engine` file; no GPU is needed.

    Args:
        path: the `.engine` file.

    Returns:
        Contract, inputs, outputs, and the operators of the ONNX graph that the engine was built from.

    Raises:
        TfyoloError: the file is damaged, or was not written by tfyolo.

    Example:
        >>> inspect(Path("yolov5n.engine")).precision  # doctest: +SKIP
        'float16'
    """
    contract, _ = read_engine_file(path)
    return noted(contract)
