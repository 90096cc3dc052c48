"""Runs SavedModel folders with TensorFlow."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from tfyolo.errors import TfyoloError
from tfyolo.export.runtime.base import (
    Runtime,
    Sharing,
    check_outputs,
    folder_contract,
    pixels_of,
)
from tfyolo.export.runtime.inspection import Inspection, TensorInfo
from tfyolo.export.saved_model.entry import SIGNATURE
from tfyolo.export.tensorflow_graph.vetting import import_saved_model, read_saved_model
from tfyolo.models.nodes import IMAGES


class SavedModelRuntime(Runtime):
    """Runtime for a SavedModel that `tfyolo export` wrote.

    Args:
        path: the folder, with `tfyolo.json` in it.
        threads: number of CPU threads; defaults to the number of cores.

    Raises:
        TfyoloError: the folder is damaged, was not written by tfyolo, or contains operations that are not
            allowed.

    Example:
        >>> runtime = SavedModelRuntime(Path("yolov5n_saved_model"))  # doctest: +SKIP
    """

    sharing = Sharing.SAFE  # a ConcreteFunction may be called from several threads

    def __init__(self, path: Path, threads: int | None = None) -> None:
        from tfyolo.export.keras.runtime import limit_threads

        self.path = path
        limit_threads(threads)
        self.contract = folder_contract(path, "saved_model")
        self.input_hw = self.contract.image_size
        self._function, self._uint8 = import_saved_model(path, self.contract)
        check_outputs(self._function.structured_outputs, self.contract, path)

    def _open(self) -> Any:
        return self._function

    def _run(self, session: Any, images: np.ndarray, confidence: float) -> dict[str, np.ndarray]:
        import tensorflow as tf

        outputs = session(**{IMAGES: tf.constant(pixels_of(images, self._uint8))})
        return {name: value.numpy() for name, value in outputs.items()}


def inspect(path: Path) -> Inspection:
    """Describe a SavedModel folder without loading it into TensorFlow.

    Args:
        path: the folder.

    Returns:
        Contract, inputs, outputs, and the number of each operation that the signature runs.

    Raises:
        TfyoloError: the folder is damaged, or was not written by tfyolo.

    Example:
        >>> inspect(Path("yolov5n_saved_model")).operators["Conv2D"]  # doctest: +SKIP
        60
    """
    from tfyolo.export.tensorflow_graph.operation_counts import count_operations, read_graph

    contract = folder_contract(path, "saved_model")
    meta_graph = read_saved_model(path)
    try:
        signature = meta_graph.signature_def[SIGNATURE]
        output_tensors = [x.name for x in signature.outputs.values()]
        operators = count_operations(*read_graph(meta_graph.graph_def), output_tensors)
        inputs, outputs = (
            tuple(_tensor_info(name, tensors[name]) for name in sorted(tensors))
            for tensors in (signature.inputs, signature.outputs)
        )
    except (KeyError, TypeError, ValueError, RecursionError) as error:
        raise TfyoloError("its graph cannot be read", path=path, fix="export it again") from error
    return Inspection(contract, inputs, outputs, operators)


def _tensor_info(name: str, info: Any) -> TensorInfo:
    """Return name, shape and dtype of a signature's tensor; None stands for a dynamic dimension."""
    import tensorflow as tf

    shape = tuple(None if dim.size < 0 else int(dim.size) for dim in info.tensor_shape.dim)
    return TensorInfo(name, shape, tf.dtypes.as_dtype(info.dtype).name)
