"""Runs frozen GraphDef files with TensorFlow."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from tfyolo.errors import TfyoloError
from tfyolo.export.graph_def.entry import CONTRACT_NODE
from tfyolo.export.runtime.base import Runtime, Sharing, check_outputs, pixels_of
from tfyolo.export.runtime.inspection import Inspection, TensorInfo
from tfyolo.export.tensorflow_graph.vetting import import_graph_def
from tfyolo.inputs import MODEL, read_input
from tfyolo.models.contract import FILE_NAME, Contract
from tfyolo.models.nodes import IMAGES
from tfyolo.models.outputs import known_outputs


class GraphDefRuntime(Runtime):
    """Runtime for a `.pb` file that `tfyolo export` wrote.

    Args:
        path: the `.pb` file.
        threads: number of CPU threads; defaults to the number of cores.

    Raises:
        TfyoloError: the file is damaged, was not written by tfyolo, or contains operations that are not
            allowed.

    Example:
        >>> runtime = GraphDefRuntime(Path("yolov5n.pb"))  # doctest: +SKIP
    """

    sharing = Sharing.SAFE  # a ConcreteFunction may be called from several threads

    def __init__(self, path: Path, threads: int | None = None) -> None:
        from tfyolo.export.keras.runtime import limit_threads

        self.path = path
        limit_threads(threads)
        graph, self.contract = read_graph_def(path)
        self.input_hw = self.contract.image_size
        names = _output_names(graph, self.contract)
        check_outputs(names, self.contract, path)
        self._function, self._uint8 = import_graph_def(graph, names, self.contract, path)

    def _open(self) -> Any:
        return self._function

    def _run(self, session: Any, images: np.ndarray, confidence: float) -> dict[str, np.ndarray]:
        import tensorflow as tf

        outputs = session(tf.constant(pixels_of(images, self._uint8)))
        return {name: value.numpy() for name, value in outputs.items()}


def read_graph_def(path: Path) -> tuple[Any, Contract]:
    """Return the GraphDef and the contract of a `.pb` file; the operations are not checked.

    Args:
        path: the `.pb` file.

    Raises:
        TfyoloError: the file is damaged, or was not written by tfyolo.
    """
    import tensorflow as tf

    graph, content = tf.compat.v1.GraphDef(), read_input(path, MODEL)
    try:
        graph.ParseFromString(content)
    except Exception as error:  # protobuf raises several exception types
        raise TfyoloError("is not a GraphDef", path=path, fix="export it again") from error
    nodes = {node.name: node for node in graph.node}
    texts = nodes[CONTRACT_NODE].attr["value"].tensor.string_val if CONTRACT_NODE in nodes else []
    if len(texts) != 1 or IMAGES not in nodes or len(nodes) < len(graph.node):
        raise TfyoloError(
            f"contains no {FILE_NAME}, so its classes and anchors are unknown",
            path=path,
            fix="write it with `tfyolo export --include pb`",
        )
    return graph, Contract.from_json(texts[0], path)


def inspect(path: Path) -> Inspection:
    """Describe a `.pb` file without running it; the vetted graph is built, to infer the output shapes.

    Args:
        path: the `.pb` file.

    Returns:
        Contract, inputs, outputs, and the number of each operation.

    Raises:
        TfyoloError: the file is damaged, was not written by tfyolo, or contains operations that are not
            allowed.

    Example:
        >>> inspect(Path("yolov5n.pb")).operators["Conv2D"]  # doctest: +SKIP
        60
    """
    from tfyolo.export.tensorflow_graph.operation_counts import count_operations, read_graph

    graph, contract = read_graph_def(path)
    names = _output_names(graph, contract)
    function, _ = import_graph_def(graph, names, contract, path)
    inputs = (_tensor_info(IMAGES, function.inputs[0]),)
    outputs = tuple(_tensor_info(name, function.structured_outputs[name]) for name in names)
    try:
        return Inspection(contract, inputs, outputs, count_operations(*read_graph(graph), names))
    except (ValueError, RecursionError) as error:
        raise TfyoloError("its graph cannot be read", path=path, fix="export it again") from error


def _output_names(graph: Any, contract: Contract) -> list[str]:
    """Return the names of the nodes that are outputs of the contract, sorted."""
    return sorted({node.name for node in graph.node}.intersection(known_outputs(contract)))


def _tensor_info(name: str, tensor: Any) -> TensorInfo:
    """Return name, shape and dtype of a tensor."""
    shape = tuple(tensor.shape) if tensor.shape.rank is not None else ()
    return TensorInfo(name, shape, tensor.dtype.name)
