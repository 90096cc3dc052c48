"""Runs an `.engine` file with TensorRT on an NVIDIA GPU."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from tfyolo.errors import MissingExtraError, TfyoloError
from tfyolo.export.runtime.base import Runtime, Sharing, channels_first, pixels_of
from tfyolo.export.runtime.inspection import Inspection, noted
from tfyolo.inputs import MODEL, read_input
from tfyolo.libraries import keep_triton_out
from tfyolo.models.contract import Contract

_MAX_JSON_BYTES = 16 * 1024 * 1024


class TensorRtRuntime(Runtime):
    """An `.engine` file that `tfyolo export` wrote.

    Args:
        path: the file.
        threads: of no use here.

    Raises:
        TfyoloError: the file is damaged or not one of tfyolo's, or there is no NVIDIA GPU.
        MissingExtraError: tensorrt or PyTorch, which holds its buffers on the GPU, is not installed.
    """

    sharing = Sharing.ONE  # there is one execution context, with buffers of its own

    def __init__(self, path: Path, threads: int | None = None) -> None:
        self.path = path
        self.contract, engine = read(path)
        self.input_hw = self.contract.image_size
        try:
            keep_triton_out()
            import tensorrt
            import torch
        except ImportError as error:
            raise MissingExtraError(error.name or "tensorrt", "tensorrt,torch") from error
        if not torch.cuda.is_available():
            raise TfyoloError(
                "TensorRT engines run on an NVIDIA GPU, and there is none",
                path=path,
                fix="run it where one is",
            )
        logger = tensorrt.Logger(tensorrt.Logger.ERROR)
        tensorrt.init_libnvinfer_plugins(logger, "")
        self._engine = tensorrt.Runtime(logger).deserialize_cuda_engine(engine)
        if self._engine is None:
            raise TfyoloError(
                "TensorRT cannot read it: engines belong to one kind of GPU and one version",
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
        self._tensors["images"].copy_(torch.from_numpy(pixels))
        session.execute_async_v3(stream.cuda_stream)
        stream.synchronize()
        return {name: x.cpu().numpy() for name, x in self._tensors.items() if name != "images"}


def read(path: Path) -> tuple[Contract, bytes]:
    """Contract and engine of a file.

    Raises:
        TfyoloError: the file is damaged, or not one of tfyolo's.
    """
    data = read_input(path, MODEL)
    length = int.from_bytes(data[:4], "little", signed=True)
    if not 0 < length <= min(_MAX_JSON_BYTES, len(data) - 4):
        raise TfyoloError("is damaged or no engine of tfyolo", path=path, fix="export it again")
    try:
        values = json.loads(data[4 : 4 + length])["tfyolo"]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise TfyoloError(
            "holds no tfyolo.json, so its classes and anchors are unknown",
            path=path,
            fix="write it with `tfyolo export --include engine`",
        ) from error
    return Contract.from_json(json.dumps(values), path), data[4 + length :]


def inspect(path: Path) -> Inspection:
    """What an `.engine` file holds; operations are those of the graph that it was built from.

    Raises:
        TfyoloError: the file is damaged, or not one of tfyolo's.
    """
    contract, _ = read(path)
    return noted(contract)
