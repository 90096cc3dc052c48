"""Runs a SavedModel folder with TensorFlow."""

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
from tfyolo.export.tensorflow_graph.vetting import SIGNATURE, open_saved_model, read_saved_model


class SavedModelRuntime(Runtime):
    """A SavedModel that `tfyolo export` wrote.

    Args:
        path: the folder, with `tfyolo.json` in it.
        threads: of the CPU.

    Raises:
        TfyoloError: the folder is damaged, or not one of tfyolo's.
    """

    sharing = Sharing.SAFE  # TensorFlow's functions may be called from several threads

    def __init__(self, path: Path, threads: int | None = None) -> None:
        from tfyolo.export.keras.runtime import limit_threads

        self.path = path
        limit_threads(threads)
        self.contract = folder_contract(path, "saved_model")
        self.input_hw = self.contract.image_size
        self._function, self._uint8 = open_saved_model(path, self.contract)
        check_outputs(self._function.structured_outputs, self.contract, path)

    def _open(self) -> Any:
        return self._function

    def _run(self, session: Any, images: np.ndarray, confidence: float) -> dict[str, np.ndarray]:
        import tensorflow as tf

        found = session(images=tf.constant(pixels_of(images, self._uint8)))
        return {name: value.numpy() for name, value in found.items()}


def inspect(path: Path) -> Inspection:
    """What a SavedModel folder holds; its graph is read, and not loaded.

    Raises:
        TfyoloError: the folder is damaged, or not one of tfyolo's.
    """
    from tfyolo.export.tensorflow_graph.operation_counts import count_operations, read_graph

    contract = folder_contract(path, "saved_model")
    graph = read_saved_model(path)
    try:
        signature = graph.signature_def[SIGNATURE]
        outputs = [x.name for x in signature.outputs.values()]
        operators = count_operations(*read_graph(graph.graph_def), outputs)
        inputs, results = (
            tuple(_tensor(name, part[name]) for name in sorted(part))
            for part in (signature.inputs, signature.outputs)
        )
    except (KeyError, TypeError, ValueError, RecursionError) as error:
        raise TfyoloError("its graph cannot be read", path=path, fix="export it again") from error
    return Inspection(contract, inputs, results, operators)


def _tensor(name: str, info: Any) -> TensorInfo:
    import tensorflow as tf

    shape = tuple(None if dim.size < 0 else int(dim.size) for dim in info.tensor_shape.dim)
    return TensorInfo(name, shape, tf.dtypes.as_dtype(info.dtype).name)
