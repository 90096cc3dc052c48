"""Untrusted SavedModels and GraphDefs: what of them is vetted and built (tensorflow_import.py says how)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from tfyolo.errors import TfyoloError
from tfyolo.export.runtime.budget import Budget, foreign, refused_operation
from tfyolo.export.tensorflow_graph.operations import ALLOWED, CALLS, IGNORED, READ, SAVING, STATE
from tfyolo.inputs import MODEL, read_input
from tfyolo.models.contract import FILE_NAME, Contract

SIGNATURE = "serving_default"


def open_saved_model(folder: Path, contract: Contract) -> tuple[Any, bool]:
    """The signature of a SavedModel as a function.

    Args:
        folder: with `saved_model.pb`.
        contract: of the model.

    Returns:
        A ConcreteFunction from `images` to outputs by name, and whether images are uint8.

    Raises:
        TfyoloError: something is refused, or TensorFlow cannot read it.
    """
    from tfyolo.export.tensorflow_graph.checkpoint import Checkpoint
    from tfyolo.export.tensorflow_graph.importer import import_function

    meta = read_saved_model(folder)
    check_saved_model(meta, folder)
    signature = meta.signature_def[SIGNATURE]
    if list(signature.inputs) != ["images"]:
        raise foreign(f"a signature with the inputs {', '.join(sorted(signature.inputs))[:100]!r}", folder)
    images = signature.inputs["images"]
    uint8 = _check_images(images.dtype, images.tensor_shape, contract, folder)
    wanted = {name: info.name for name, info in signature.outputs.items()}
    function = import_function(
        meta.graph_def,
        images.name.partition(":")[0],
        wanted,
        contract.image_size,
        uint8,
        _budget(folder, contract),
        Checkpoint(folder, meta),
    )
    return function, uint8


def open_graph_def(graph: Any, outputs: Iterable[str], contract: Contract, path: Path) -> tuple[Any, bool]:
    """A GraphDef as a function.

    Args:
        graph: GraphDef with a node `images`.
        outputs: names of nodes.
        contract: of the model.
        path: of the file.

    Returns:
        A ConcreteFunction from `images` to outputs by name, and whether images are uint8.

    Raises:
        TfyoloError: something is refused, or TensorFlow cannot read it.
    """
    from tfyolo.export.tensorflow_graph.importer import import_function

    _check_names(graph.node, ALLOWED | CALLS | READ | IGNORED, _functions(graph), path)
    (images,) = (node for node in graph.node if node.name == "images")
    uint8 = _check_images(images.attr["dtype"].type, images.attr["shape"].shape, contract, path)
    wanted = {name: f"{name}:0" for name in outputs}
    return import_function(
        graph, "images", wanted, contract.image_size, uint8, _budget(path, contract)
    ), uint8


def _budget(path: Path, contract: Contract) -> Budget:
    height, width = contract.image_size
    return Budget(path, height * width)


def _check_images(dtype: int, shape: Any, contract: Contract, path: Path) -> bool:
    """Refuse an input that is not what the contract says; whether it is uint8."""
    import tensorflow as tf

    sizes = [dim.size for dim in shape.dim]
    wanted = (1, *contract.image_size, 3)
    fits = len(sizes) == 4 and all(size in (-1, most) for size, most in zip(sizes, wanted, strict=True))
    if not fits or dtype not in (tf.uint8.as_datatype_enum, tf.float32.as_datatype_enum):
        raise TfyoloError(
            f"its input is {tuple(sizes)}, not what its {FILE_NAME} says", path=path, fix="export it again"
        )
    return bool(dtype == tf.uint8.as_datatype_enum)


def check_saved_model(meta: Any, folder: Path) -> None:
    """Refuse a SavedModel that holds more than arithmetic, even where this project would not run it.

    Other loaders run initializers and restore variables. So every node of the graph and of the functions that
    it calls must be on the allow-list; TensorFlow's operations for saving may stand only where its saver
    reaches them and the rest of the graph does not.

    Args:
        meta: MetaGraphDef.
        folder: for the message.

    Raises:
        TfyoloError: naming the operation.
    """
    graph, saver = meta.graph_def, meta.saver_def
    functions = _functions(graph)
    roots = (saver.filename_tensor_name, saver.save_tensor_name, saver.restore_op_name)
    served = [
        tensor.name for signature in meta.signature_def.values() for tensor in signature.outputs.values()
    ]
    saving = _reached(graph.node, roots) - _reached(graph.node, served)
    plain = [node for node in graph.node if node.name not in saving]
    allowed = ALLOWED | CALLS | READ | IGNORED | STATE
    called = _check_names(plain, allowed, functions, folder)
    others = [node for node in graph.node if node.name in saving]
    _check_names(others, allowed | SAVING, functions, folder, known=called)


def _check_names(
    nodes: Iterable[Any],
    allowed: frozenset[str],
    functions: dict[str, Any],
    path: Path,
    known: frozenset[str] = frozenset(),
) -> frozenset[str]:
    """Refuse nodes, and functions that they name in any attribute, by their operations.

    Args:
        nodes: NodeDefs.
        allowed: operations.
        functions: FunctionDefs by name.
        path: for the message.
        known: functions that have been checked.

    Returns:
        Names of the functions, those in `known` included.
    """
    todo, seen = [*nodes], set(known)
    while todo:
        node = todo.pop()
        if node.op not in allowed and node.op not in functions:
            raise refused_operation(node.op, path)
        for name in {node.op, *_named(node)}.intersection(functions) - seen:
            seen.add(name)
            todo += functions[name].node_def
    return frozenset(seen)


def _functions(graph: Any) -> dict[str, Any]:
    return {function.signature.name: function for function in graph.library.function}


def _named(node: Any) -> Iterator[str]:
    """Functions in a node's attributes."""
    for value in node.attr.values():
        yield from (function.name for function in (value.func, *value.list.func) if function.name)


def _reached(nodes: Iterable[Any], tensors: Iterable[str]) -> set[str]:
    """Names of the nodes that some tensors need, or wait for."""
    inputs = {node.name: node.input for node in nodes}
    todo, seen = list(tensors), set()
    while todo:
        name = todo.pop().removeprefix("^").partition(":")[0]
        if name in inputs and name not in seen:
            seen.add(name)
            todo += inputs[name]
    return seen


def read_saved_model(folder: Path) -> Any:
    """The MetaGraphDef of a folder that is for serving; nothing of it is loaded.

    Raises:
        TfyoloError: there is none.
    """
    from tensorflow.core.protobuf import saved_model_pb2

    from tfyolo.export.tensorflow_graph.importer import unreadable

    saved, content = saved_model_pb2.SavedModel(), read_input(folder / "saved_model.pb", MODEL)
    try:
        saved.ParseFromString(content)
    except Exception as error:  # the protobuf library has several kinds
        raise unreadable(error, folder) from error
    for meta in saved.meta_graphs:
        if "serve" in meta.meta_info_def.tags and SIGNATURE in meta.signature_def:
            return meta
    raise TfyoloError(
        f"TensorFlow cannot read it: it has no signature `{SIGNATURE}`", path=folder, fix="export it again"
    )
