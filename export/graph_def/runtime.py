"""Runs a frozen GraphDef with TensorFlow."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from tfyolo.errors import TfyoloError
from tfyolo.export.runtime.base import Runtime, Sharing, check_outputs, pixels_of
from tfyolo.export.runtime.inspection import Inspection, TensorInfo
from tfyolo.export.tensorflow_graph.vetting import open_graph_def
from tfyolo.inputs import MODEL, read_input
from tfyolo.models.contract import Contract
from tfyolo.models.outputs import known_outputs


class GraphDefRuntime(Runtime):
    """A `.pb` file that `tfyolo export` wrote.

    Args:
        path: the file.
        threads: of the CPU.

    Raises:
        TfyoloError: the file is damaged, not one of tfyolo's, or holds operations that are no arithmetic.
    """

    sharing = Sharing.SAFE  # TensorFlow's functions may be called from several threads

    def __init__(self, path: Path, threads: int | None = None) -> None:
        from tfyolo.export.keras.runtime import limit_threads

        self.path = path
        limit_threads(threads)
        graph, self.contract = read_graph_def(path)
        self.input_hw = self.contract.image_size
        names = _output_names(graph, self.contract)
        check_outputs(names, self.contract, path)
        self._function, self._uint8 = open_graph_def(graph, names, self.contract, path)

    def _open(self) -> Any:
        return self._function

    def _run(self, session: Any, images: np.ndarray, confidence: float) -> dict[str, np.ndarray]:
        import tensorflow as tf

        found = session(tf.constant(pixels_of(images, self._uint8)))
        return {name: value.numpy() for name, value in found.items()}


def read_graph_def(path: Path) -> tuple[Any, Contract]:
    """The graph of a `.pb` file and its contract.

    Raises:
        TfyoloError: the file is damaged, not one of tfyolo's, or holds operations that are no arithmetic.
    """
    import tensorflow as tf

    graph, content = tf.compat.v1.GraphDef(), read_input(path, MODEL)
    try:
        graph.ParseFromString(content)
    except Exception as error:  # the protobuf library has several kinds
        raise TfyoloError("is no GraphDef", path=path, fix="export it again") from error
    nodes = {node.name: node for node in graph.node}
    texts = nodes["tfyolo_json"].attr["value"].tensor.string_val if "tfyolo_json" in nodes else []
    if len(texts) != 1 or "images" not in nodes or len(nodes) < len(graph.node):
        raise TfyoloError(
            "holds no tfyolo.json, so its classes and anchors are unknown",
            path=path,
            fix="write it with `tfyolo export --include pb`",
        )
    return graph, Contract.from_json(texts[0], path)


def inspect(path: Path) -> Inspection:
    """What a `.pb` file holds; its graph is built, for the shapes of outputs, and not run.

    Raises:
        TfyoloError: as `read_graph_def`, or TensorFlow cannot import the graph.
    """
    from tfyolo.export.tensorflow_graph.operation_counts import count_operations, read_graph

    graph, contract = read_graph_def(path)
    names = _output_names(graph, contract)
    function, _ = open_graph_def(graph, names, contract, path)
    inputs = (_tensor("images", function.inputs[0]),)
    outputs = tuple(_tensor(name, function.structured_outputs[name]) for name in names)
    try:
        return Inspection(contract, inputs, outputs, count_operations(*read_graph(graph), names))
    except (ValueError, RecursionError) as error:
        raise TfyoloError("its graph cannot be read", path=path, fix="export it again") from error


def _output_names(graph: Any, contract: Contract) -> list[str]:
    """Nodes that the contract speaks of."""
    return sorted({node.name for node in graph.node}.intersection(known_outputs(contract)))


def _tensor(name: str, tensor: Any) -> TensorInfo:
    shape = tuple(tensor.shape) if tensor.shape.rank is not None else ()
    return TensorInfo(name, shape, tensor.dtype.name)
