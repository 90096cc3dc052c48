"""Reading and writing weights."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType
from typing import Any

from tfyolo.files import suffix_of
from tfyolo.models.contract import Contract


def load_model(path: str | Path, keras: ModuleType | None = None) -> tuple[Any, Contract]:
    """The Keras model and contract of a `.pt` or `.keras` file.

    Args:
        path: a YOLOv5 checkpoint or what `save_keras` wrote.
        keras: the namespace to build on: `keras` (default) or `tf_keras`.

    Raises:
        TfyoloError: the file cannot be read or does not fit its configuration.
    """
    if suffix_of(path) == ".keras":
        from tfyolo.weights.keras_file import load_keras

        return load_keras(path, keras)
    from tfyolo.weights.checkpoint import load_checkpoint

    return load_checkpoint(path, keras)


def read_model_contract(path: str | Path) -> Contract:
    """The contract of a `.pt` or `.keras` file, without building its network or importing TensorFlow.

    Raises:
        TfyoloError: the file cannot be read.
    """
    from tfyolo.weights.checkpoint import checkpoint_contract
    from tfyolo.weights.keras_file import read_contract
    from tfyolo.weights.torch_file import read_checkpoint

    return (
        read_contract(Path(path))
        if suffix_of(path) == ".keras"
        else checkpoint_contract(read_checkpoint(path))
    )
