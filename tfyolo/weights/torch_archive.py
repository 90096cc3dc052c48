"""Opens a checkpoint of either of PyTorch's formats."""

from __future__ import annotations

from pathlib import Path

from tfyolo.weights.bounded_file import LEGACY, open_bounded
from tfyolo.weights.torch_legacy import TorchLegacy
from tfyolo.weights.torch_zip import TorchZip

TorchArchive = TorchZip | TorchLegacy
"""A context manager with `content()`, `storage(key)` and `byte_order`."""


def open_archive(path: Path) -> TorchArchive:
    """Open a `.pt` file; callers use `one_error`.

    Raises:
        TfyoloError: no such file, or not a checkpoint.
        RefusedError: it holds what `torch.save` does not write.
    """
    file = open_bounded(path)
    return TorchLegacy(file, path) if file.start.startswith(LEGACY) else TorchZip(file, path)
