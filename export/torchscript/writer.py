"""TorchScript: the ONNX graph as a PyTorch module, traced; for PyTorch in Python, in C++ and on phones."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np

from tfyolo.errors import TfyoloError
from tfyolo.export.job import ExportJob
from tfyolo.export.onnx.graph import outline
from tfyolo.export.onnx.writer import convert, quiet
from tfyolo.files import atomic
from tfyolo.libraries import keep_triton_out
from tfyolo.models.contract import FILE_NAME

SHORT_FILE = "config.txt"
"""Where YOLOv5's files have their names and strides."""
_LARGEST_DIFFERENCE = 1e-3


def export(job: ExportJob, path: Path) -> None:
    """Write a `.torchscript` file.

    Images are (1, 3, height, width) float32 in 0..1; the result is a tuple of the contract's outputs in the
    order that `tfyolo.json` inside the file lists under `export.outputs`.

    Raises:
        MissingExtraError: a library of the extra `torch` is missing.
        TfyoloError: PyTorch computes something else from the graph than ONNX says.
    """
    import json

    keep_triton_out()
    import onnx2torch
    import torch

    graph = convert(job)
    contract = job.exported_contract("torchscript", outputs=outline(graph)["outputs"])
    height, width = job.image_size
    with quiet(), torch.no_grad():
        images = torch.rand((1, 3, height, width), generator=torch.Generator().manual_seed(0))
        module = onnx2torch.convert(graph).eval()
        traced = torch.jit.freeze(torch.jit.trace(module, images, check_trace=False))
        _check(graph, traced(images), images.numpy())
    short = {
        "shape": [1, 3, height, width],
        "stride": max(contract.strides),
        "names": dict(enumerate(contract.names)),
    }
    files = {FILE_NAME: contract.to_json(), SHORT_FILE: json.dumps(short)}
    data = io.BytesIO()  # PyTorch ends the process where a file cannot be written
    with quiet():
        torch.jit.save(traced, data, _extra_files=files)
    with atomic(path) as temporary:
        temporary.write_bytes(data.getvalue())


def _check(graph: Any, found: Any, images: np.ndarray) -> None:
    """Compare with ONNX Runtime: a converter that knows an operation by half is silent about it."""
    import onnxruntime

    session = onnxruntime.InferenceSession(graph.SerializeToString(), providers=["CPUExecutionProvider"])
    expected = session.run(None, {"images": images})
    outputs = found if isinstance(found, tuple | list) else (found,)
    for a, b in zip(expected, outputs, strict=True):
        if np.abs(a - b.numpy()).max() > _LARGEST_DIFFERENCE * max(1.0, float(np.abs(a).max())):
            raise TfyoloError("PyTorch computes something else from the graph than ONNX Runtime")
