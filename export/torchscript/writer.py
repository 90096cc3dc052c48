"""Writes TorchScript files: the ONNX graph as a traced PyTorch module, for Python, C++ and phones."""

from __future__ import annotations

import io
import json
import math
from pathlib import Path
from typing import Any

import numpy as np

from tfyolo.errors import TfyoloError
from tfyolo.export.job import ExportJob
from tfyolo.export.onnx.graph import summarize
from tfyolo.export.onnx.writer import build_model
from tfyolo.files import atomic
from tfyolo.libraries import keep_triton_out
from tfyolo.models.contract import FILE_NAME
from tfyolo.models.nodes import IMAGES
from tfyolo.quiet import silenced

YOLOV5_FILE = "config.txt"
"""Name of the entry in which YOLOv5's own files store names and strides."""
_MAX_RELATIVE_DIFFERENCE = 1e-3


def export(job: ExportJob, path: Path) -> None:
    """Write a `.torchscript` file.

    Images are (1, 3, height, width) float32 in 0..1. The module returns a tuple of the contract's outputs, in
    the order of `export.outputs` of the `tfyolo.json` in the archive.

    Args:
        job: model and export options.
        path: the file to write.

    Raises:
        MissingExtraError: a library of the extra `torch` is not installed.
        TfyoloError: the PyTorch module and ONNX Runtime compute different outputs.
    """
    keep_triton_out()
    import onnx2torch
    import torch

    graph = build_model(job)
    contract = job.exported_contract("torchscript", outputs=summarize(graph)["outputs"])
    height, width = job.image_size
    with silenced(), torch.no_grad():
        images = torch.rand((1, 3, height, width), generator=torch.Generator().manual_seed(0))
        module = onnx2torch.convert(graph).eval()
        traced = torch.jit.freeze(torch.jit.trace(module, images, check_trace=False))
        _check_outputs(graph, traced(images), images.numpy(), path)
    yolov5_config = {
        "shape": [1, 3, height, width],
        "stride": max(contract.strides),
        "names": dict(enumerate(contract.names)),
    }
    extra_files = {FILE_NAME: contract.to_json(), YOLOV5_FILE: json.dumps(yolov5_config)}
    data = io.BytesIO()  # torch.jit.save aborts the process if it cannot write to a path
    with silenced():
        torch.jit.save(traced, data, _extra_files=extra_files)
    with atomic(path) as temporary:
        temporary.write_bytes(data.getvalue())


def _check_outputs(graph: Any, result: Any, images: np.ndarray, path: Path) -> None:
    """Compare the outputs of the PyTorch module with those of ONNX Runtime.

    onnx2torch ignores attributes of operators that it supports in part, without a message.

    Args:
        graph: ONNX ModelProto.
        result: output of the PyTorch module for `images`: a tensor or a tuple of tensors.
        images: (1, 3, height, width) float32.
        path: the file to write, for the message.

    Raises:
        TfyoloError: an output is not finite, or differs by more than 0.1 percent of its largest value.
    """
    import onnxruntime

    session = onnxruntime.InferenceSession(graph.SerializeToString(), providers=["CPUExecutionProvider"])
    expected = session.run(None, {IMAGES: images})
    outputs = result if isinstance(result, tuple | list) else (result,)
    for a, b in zip(expected, outputs, strict=True):
        difference, limit = np.abs(a - b.numpy()).max(), _MAX_RELATIVE_DIFFERENCE * max(1.0, np.abs(a).max())
        if not difference <= limit < math.inf:  # NaN is in no relation
            raise TfyoloError(
                "PyTorch and ONNX Runtime compute different outputs from the same graph",
                path=path,
                fix="export to ONNX instead, or report this as a bug",
            )
