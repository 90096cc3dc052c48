"""Runs `.torchscript` files with PyTorch, on the CPU or an NVIDIA GPU."""

from __future__ import annotations

import warnings
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from tfyolo.errors import TfyoloError
from tfyolo.export.runtime.base import (
    MAX_JSON_BYTES,
    Runtime,
    Sharing,
    channels_first,
    check_outputs,
    pixels_of,
)
from tfyolo.export.runtime.inspection import Inspection, noted
from tfyolo.export.torchscript.vetting import (
    UNREADABLE,
    check_operations,
    check_tensors,
    count_operations,
    vetted_archive,
)
from tfyolo.inputs import MODEL, open_input
from tfyolo.libraries import keep_triton_out
from tfyolo.models.contract import FILE_NAME, Contract


class TorchScriptRuntime(Runtime):
    """Runtime for a `.torchscript` file that `tfyolo export` wrote.

    Args:
        path: the `.torchscript` file.
        threads: number of CPU threads; defaults to PyTorch's own choice.

    Raises:
        TfyoloError: the file is damaged, was not written by tfyolo, or contains operations that are not
            allowed.

    Example:
        >>> runtime = TorchScriptRuntime(Path("yolov5n.torchscript"))  # doctest: +SKIP
    """

    sharing = Sharing.SAFE  # PyTorch's interpreter of TorchScript allows concurrent calls

    def __init__(self, path: Path, threads: int | None = None) -> None:
        keep_triton_out()
        import torch

        self.contract = _read_contract(path)
        self.input_hw = self.contract.image_size
        if threads:
            torch.set_num_threads(threads)
        self._device = "cuda" if torch.cuda.is_available() else "cpu"
        self._module = _load(path, self._device)
        self._output_names = list(self.contract.export.get("outputs", ()))
        check_outputs(self._output_names, self.contract, path)
        self.path = path

    def _open(self) -> Any:
        return self._module

    def _run(self, session: Any, images: np.ndarray, confidence: float) -> dict[str, np.ndarray]:
        import torch

        pixels = torch.from_numpy(pixels_of(channels_first(images), uint8=False)).to(self._device)
        with torch.no_grad():
            result = session(pixels)
        tensors = result if isinstance(result, tuple | list) else (result,)
        if len(tensors) != len(self._output_names):
            raise TfyoloError(
                f"returns {len(tensors)} outputs, but its {FILE_NAME} lists {len(self._output_names)}",
                fix="export it again",
            )
        arrays = (tensor.cpu().numpy() for tensor in tensors)
        return dict(zip(self._output_names, arrays, strict=True))


def _read_contract(path: Path) -> Contract:
    """Return the contract in the archive, without PyTorch.

    Raises:
        TfyoloError: the file is damaged, or was not written by tfyolo.
    """
    try:
        with open_input(path, MODEL) as file, zipfile.ZipFile(file) as archive:
            entries = [name for name in archive.namelist() if name.endswith(f"/extra/{FILE_NAME}")]
            if not entries or archive.getinfo(entries[0]).file_size > MAX_JSON_BYTES:
                raise TfyoloError(
                    f"contains no {FILE_NAME}, so its classes and anchors are unknown",
                    path=path,
                    fix="write it with `tfyolo export --include torchscript`",
                )
            return Contract.from_json(archive.read(entries[0]), path)
    except UNREADABLE as error:
        raise TfyoloError("is damaged or not a TorchScript file", path=path, fix="export it again") from error


def _load(path: Path, device: str) -> Any:
    """Return the vetted ScriptModule on a device, in evaluation mode.

    Raises:
        TfyoloError: PyTorch cannot read the file, or it contains operations that are not allowed.
    """
    keep_triton_out()
    import torch

    archive = vetted_archive(path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # PyTorch announces the end of torch.jit.load
            module = torch.jit.load(archive, map_location=device).eval()
        operations = count_operations(module)
    except (RuntimeError, ValueError, OSError) as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
        raise TfyoloError(f"PyTorch cannot read it: {reason}", path=path, fix="export it again") from error
    check_operations(operations, path)
    check_tensors(module, path)
    return module


def inspect(path: Path) -> Inspection:
    """Describe a `.torchscript` file without running it.

    Args:
        path: the `.torchscript` file.

    Returns:
        Contract, inputs, outputs, and the number of each ATen operation.

    Raises:
        TfyoloError: the file is damaged, or was not written by tfyolo.

    Example:
        >>> inspect(Path("yolov5n.torchscript")).nms  # doctest: +SKIP
        'none'
    """
    contract = _read_contract(path)
    module = _load(path, "cpu")
    counts = {name: n for name, n in count_operations(module).items() if name.startswith("aten::")}
    return replace(noted(contract), operators=counts)
