"""Runs a SavedModel folder with TensorFlow."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from tfyolo.errors import TfyoloError
from tfyolo.inference.inspection import Inspection, TensorInfo
from tfyolo.inference.predictions import Prediction
from tfyolo.inference.runtimes.base import from_signature
from tfyolo.inference.runtimes.safety import check_saved_model, read_saved_model
from tfyolo.models.contract import FILE_NAME, Contract


class SavedModelRuntime:
    """A SavedModel that `tfyolo export` wrote.

    Args:
        path: the folder, with `tfyolo.json` in it.
        threads: of the CPU.

    Raises:
        TfyoloError: the folder is damaged, or not one of tfyolo's.
    """

    max_batch = 1

    def __init__(self, path: Path, threads: int | None = None) -> None:
        import tensorflow as tf

        from tfyolo.inference.runtimes.keras import limit_threads

        limit_threads(threads)
        self.contract = _contract(path)
        self.input_hw: tuple[int, int] | None = self.contract.image_size
        check_saved_model(path)
        try:
            self._loaded = tf.saved_model.load(str(path))
            self._run = self._loaded.signatures["serving_default"]
            self._uint8 = self._run.structured_input_signature[1]["images"].dtype == tf.uint8
        except Exception as error:  # TensorFlow raises many kinds for a damaged folder
            raise TfyoloError(
                f"TensorFlow cannot read it: {str(error).splitlines()[0][:200]}",
                path=path,
                fix="export it again",
            ) from error

    def __call__(self, images: np.ndarray, confidence: float) -> list[Prediction]:
        """See `Runtime`."""
        import tensorflow as tf

        predictions = []
        for image in images:
            pixels = image[None] if self._uint8 else np.multiply(image[None], 1 / 255, dtype=np.float32)
            outputs = self._run(images=tf.constant(pixels))
            arrays = {name: value.numpy() for name, value in outputs.items()}
            predictions.append(from_signature(arrays, self.contract, confidence))
        return predictions


def _contract(path: Path) -> Contract:
    """Beside the graph.

    Raises:
        TfyoloError: there is none, or it is wrong.
    """
    try:
        return Contract.from_json((path / FILE_NAME).read_bytes(), path / FILE_NAME)
    except OSError as error:
        raise TfyoloError(
            f"holds no {FILE_NAME}, so its classes and anchors are unknown",
            path=path,
            fix="write it with `tfyolo export --include saved_model`",
        ) from error


def inspect(path: Path) -> Inspection:
    """What a SavedModel folder holds; its graph is read, and not loaded.

    Raises:
        TfyoloError: the folder is damaged, or not one of tfyolo's.
    """
    from tfyolo.inference.runtimes.graph_operations import count_operations, read_graph

    contract = _contract(path)
    saved = read_saved_model(path)
    try:
        graph = saved.meta_graphs[0]
        if "serving_default" not in graph.signature_def:
            raise KeyError("serving_default")
        signature = graph.signature_def["serving_default"]
        outputs = [x.name for x in signature.outputs.values()]
        operators = count_operations(*read_graph(graph.graph_def), outputs)
        inputs, results = (
            tuple(_tensor(name, part[name]) for name in sorted(part))
            for part in (signature.inputs, signature.outputs)
        )
    except (IndexError, KeyError, ValueError, RecursionError) as error:
        raise TfyoloError("its graph cannot be read", path=path, fix="export it again") from error
    return Inspection(contract, inputs, results, operators)


def _tensor(name: str, info: Any) -> TensorInfo:
    import tensorflow as tf

    shape = tuple(None if dim.size < 0 else int(dim.size) for dim in info.tensor_shape.dim)
    return TensorInfo(name, shape, tf.dtypes.as_dtype(info.dtype).name)
