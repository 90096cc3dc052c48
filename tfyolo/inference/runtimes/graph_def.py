"""Runs a frozen GraphDef with TensorFlow."""

from __future__ import annotations

from itertools import chain
from pathlib import Path

import numpy as np

from tfyolo.errors import TfyoloError
from tfyolo.inference.predictions import Prediction
from tfyolo.inference.runtimes.base import OUTPUTS, from_signature, raw_outputs
from tfyolo.models.contract import Contract


class GraphDefRuntime:
    """A `.pb` file that `tfyolo export` wrote.

    Args:
        path: the file.
        threads: of the CPU.

    Raises:
        TfyoloError: the file is damaged, not one of tfyolo's, or holds operations that are no arithmetic.
    """

    max_batch = 1

    def __init__(self, path: Path, threads: int | None = None) -> None:
        import tensorflow as tf

        from tfyolo.inference.runtimes.keras import limit_threads
        from tfyolo.inference.runtimes.safety import check_nodes

        limit_threads(threads)
        graph = tf.compat.v1.GraphDef()
        try:
            graph.ParseFromString(path.read_bytes())
        except Exception as error:  # the protobuf library has several kinds
            raise TfyoloError("is no GraphDef", path=path, fix="export it again") from error
        check_nodes(graph, path)
        nodes = {node.name: node for node in graph.node}
        if "tfyolo_json" not in nodes or "images" not in nodes:
            raise TfyoloError(
                "holds no tfyolo.json, so its classes and anchors are unknown",
                path=path,
                fix="write it with `tfyolo export --include pb`",
            )
        (text,) = nodes["tfyolo_json"].attr["value"].tensor.string_val
        self.contract = Contract.from_json(text, path)
        self.input_hw: tuple[int, int] | None = self.contract.image_size
        self._uint8 = nodes["images"].attr["dtype"].type == tf.uint8.as_datatype_enum
        known = {*OUTPUTS, *chain.from_iterable(raw_outputs(self.contract))}
        names = sorted(known & nodes.keys())
        try:
            wrapped = tf.compat.v1.wrap_function(lambda: tf.graph_util.import_graph_def(graph, name=""), [])
            self._run = wrapped.prune("images:0", {name: f"{name}:0" for name in names})
        except Exception as error:  # TensorFlow raises many kinds for a damaged graph
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
            outputs = {name: value.numpy() for name, value in self._run(tf.constant(pixels)).items()}
            predictions.append(from_signature(outputs, self.contract, confidence))
        return predictions
