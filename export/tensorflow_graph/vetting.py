"""Vets untrusted SavedModels and GraphDefs, and imports them as functions.

Guarantees:

- Allow-list: every operation in a SavedModel's graph and in the functions that it calls is checked
  (`check_saved_model`), so that other loaders can run the file as well.
- Only the operations that the outputs need are rebuilt, with inferred shapes and bounded memory and
  arithmetic (`importer.py`).
- The input is one image of the contract's size, uint8 or float32.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from tfyolo.errors import TfyoloError
from tfyolo.export.runtime.budget import Budget, foreign, refused_operation
from tfyolo.export.saved_model.entry import MODEL_FILE, SIGNATURE
from tfyolo.export.tensorflow_graph.checkpoint import Checkpoint
from tfyolo.export.tensorflow_graph.importer import Importer
from tfyolo.export.tensorflow_graph.operations import ALLOWED, CALLS, IGNORED, SAVER, SOURCES, STATE
from tfyolo.inputs import MODEL, read_input
from tfyolo.models.contract import FILE_NAME, Contract
from tfyolo.models.nodes import IMAGES
from tfyolo.text import printable


def import_saved_model(folder: Path, contract: Contract) -> tuple[Any, bool]:
    """Return the serving signature of a SavedModel as a function.

    Args:
        folder: folder with `saved_model.pb`.
        contract: contract of the model.

    Returns:
        A ConcreteFunction from `images` (1, height, width, 3) to a dictionary of outputs, and True if images
        are uint8 (0..255) instead of float32 (0..1).

    Raises:
        TfyoloError: the graph contains something that is not allowed, or TensorFlow cannot read it.
    """
    meta_graph = read_saved_model(folder)
    check_saved_model(meta_graph, folder)
    signature = meta_graph.signature_def[SIGNATURE]
    if list(signature.inputs) != [IMAGES]:
        raise foreign(f"a signature with the inputs {', '.join(sorted(signature.inputs))[:100]!r}", folder)
    images = signature.inputs[IMAGES]
    uint8 = _check_images(images.dtype, images.tensor_shape, contract, folder)
    outputs = {name: info.name for name, info in signature.outputs.items()}
    input_node = images.name.partition(":")[0]
    variables = Checkpoint(folder, meta_graph)
    return _import(meta_graph.graph_def, input_node, outputs, contract, uint8, folder, variables), uint8


def import_graph_def(graph: Any, outputs: Iterable[str], contract: Contract, path: Path) -> tuple[Any, bool]:
    """Return a GraphDef as a function.

    Args:
        graph: GraphDef with a node `images`.
        outputs: names of the output nodes.
        contract: contract of the model.
        path: model file, for messages.

    Returns:
        A ConcreteFunction from `images` (1, height, width, 3) to a dictionary of outputs, and True if images
        are uint8 (0..255) instead of float32 (0..1).

    Raises:
        TfyoloError: the graph contains something that is not allowed, or TensorFlow cannot read it.
    """
    _check_operations(graph.node, ALLOWED | CALLS | SOURCES | IGNORED, _functions(graph), path)
    (images,) = (node for node in graph.node if node.name == IMAGES)
    uint8 = _check_images(images.attr["dtype"].type, images.attr["shape"].shape, contract, path)
    tensors = {name: f"{name}:0" for name in outputs}
    return _import(graph, IMAGES, tensors, contract, uint8, path), uint8


def _import(
    graph: Any,
    input_node: str,
    outputs: Mapping[str, str],
    contract: Contract,
    uint8: bool,
    path: Path,
    read_variable: Callable[[str], Any] | None = None,
) -> Any:
    """Rebuild a graph as a function of one image.

    Args:
        graph: GraphDef.
        input_node: name of the node that the image replaces.
        outputs: tensor names by output name.
        contract: contract of the model.
        uint8: images are uint8 in 0..255 instead of float32 in 0..1.
        path: model file, for messages.
        read_variable: returns the value of a variable by name.

    Returns:
        A ConcreteFunction from (1, height, width, 3) to a dictionary of tensors.

    Raises:
        TfyoloError: an operation is not allowed, the budget is exceeded, or TensorFlow cannot build it.
    """
    import tensorflow as tf

    height, width = contract.image_size
    budget = Budget(path, height * width)
    importer = Importer(graph, budget, read_variable)
    spec = tf.TensorSpec((1, height, width, 3), tf.uint8 if uint8 else tf.float32, name=IMAGES)
    budget.tensor(IMAGES, tuple(spec.shape), spec.dtype.size)

    def run(images: Any) -> dict[str, Any]:
        tensors = importer.run({input_node: images}, outputs)
        return {name: tf.identity(tensor) for name, tensor in tensors.items()}

    try:
        return tf.function(run, input_signature=[spec], autograph=False).get_concrete_function()
    except TfyoloError:
        raise
    except Exception as error:  # TensorFlow raises several exception types for a damaged graph
        raise _unreadable(error, path) from error


def _unreadable(error: Exception, path: Path) -> TfyoloError:
    """Return an error with the first line of TensorFlow's message."""
    reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
    if isinstance(error, LookupError | AttributeError):  # such as "list index out of range"
        reason = "an operation lacks an input or an attribute"
    return TfyoloError(
        f"TensorFlow cannot read it: {printable(reason)[:200]}", path=path, fix="export it again"
    )


def _check_images(dtype: int, shape: Any, contract: Contract, path: Path) -> bool:
    """Check the declared input against the contract, and return True if it is uint8.

    Args:
        dtype: TensorFlow's number of the dtype.
        shape: TensorShapeProto; -1 stands for any size.
        contract: contract of the model.
        path: model file, for messages.

    Raises:
        TfyoloError: the shape differs, or the dtype is neither uint8 nor float32.
    """
    import tensorflow as tf

    sizes = [dim.size for dim in shape.dim]
    expected = (1, *contract.image_size, 3)
    fits = len(sizes) == 4 and all(a in (-1, b) for a, b in zip(sizes, expected, strict=True))
    if not fits or dtype not in (tf.uint8.as_datatype_enum, tf.float32.as_datatype_enum):
        raise TfyoloError(
            f"its input is {tuple(sizes)}, which differs from its {FILE_NAME}",
            path=path,
            fix="export it again",
        )
    return bool(dtype == tf.uint8.as_datatype_enum)


def check_saved_model(meta_graph: Any, folder: Path) -> None:
    """Refuse a SavedModel with operations that are not allowed anywhere in its graph.

    Other loaders run initializers and restore variables, so the parts that tfyolo does not run are checked
    too: all nodes and all functions, since the object graph may name a function that no node refers to.
    TensorFlow's own saver operations are allowed only in nodes that the saver reaches and that no signature
    reaches.

    Args:
        meta_graph: MetaGraphDef.
        folder: folder of the SavedModel, for messages.

    Raises:
        TfyoloError: the message names the operation.
    """
    graph, saver = meta_graph.graph_def, meta_graph.saver_def
    functions = _functions(graph)
    saver_tensors = (saver.filename_tensor_name, saver.save_tensor_name, saver.restore_op_name)
    signature_outputs = [
        tensor.name
        for signature in meta_graph.signature_def.values()
        for tensor in signature.outputs.values()
    ]
    saver_only = _ancestors(graph.node, saver_tensors) - _ancestors(graph.node, signature_outputs)
    allowed = ALLOWED | CALLS | SOURCES | IGNORED | STATE
    model_nodes = [node for node in graph.node if node.name not in saver_only]
    checked = _check_operations(model_nodes, allowed, functions, folder)
    saver_nodes = [node for node in graph.node if node.name in saver_only]
    checked = _check_operations(saver_nodes, allowed | SAVER, functions, folder, checked)
    others = [
        node for name, function in functions.items() if name not in checked for node in function.node_def
    ]
    _check_operations(others, allowed, functions, folder, checked)


def _check_operations(
    nodes: Iterable[Any],
    allowed: frozenset[str],
    functions: dict[str, Any],
    path: Path,
    checked: frozenset[str] = frozenset(),
) -> frozenset[str]:
    """Check the operations of nodes, and of all functions that their attributes name.

    Args:
        nodes: NodeDefs.
        allowed: names of operations.
        functions: FunctionDefs by name.
        path: model file, for messages.
        checked: names of functions that need no further check.

    Returns:
        Names of the functions that have been checked, including `checked`.

    Raises:
        TfyoloError: an operation is not allowed; the message names it.
    """
    pending, seen = [*nodes], set(checked)
    while pending:
        node = pending.pop()
        if node.op not in allowed and node.op not in functions:
            raise refused_operation(node.op, path)
        for name in {node.op, *_function_attributes(node)}.intersection(functions) - seen:
            seen.add(name)
            pending += functions[name].node_def
    return frozenset(seen)


def _functions(graph: Any) -> dict[str, Any]:
    """Return the FunctionDefs of a GraphDef by name."""
    return {function.signature.name: function for function in graph.library.function}


def _function_attributes(node: Any) -> Iterator[str]:
    """Yield the names of functions in a node's attributes."""
    for value in node.attr.values():
        yield from (function.name for function in (value.func, *value.list.func) if function.name)


def _ancestors(nodes: Iterable[Any], tensors: Iterable[str]) -> set[str]:
    """Return the names of the nodes that the tensors depend on, by data or control inputs."""
    inputs = {node.name: node.input for node in nodes}
    pending, names = list(tensors), set()
    while pending:
        name = pending.pop().removeprefix("^").partition(":")[0]
        if name in inputs and name not in names:
            names.add(name)
            pending += inputs[name]
    return names


def read_saved_model(folder: Path) -> Any:
    """Return the MetaGraphDef for serving of a SavedModel; nothing is loaded into TensorFlow.

    Args:
        folder: folder with `saved_model.pb`.

    Raises:
        TfyoloError: the file is missing or damaged, or has no signature `serving_default`.
    """
    from tensorflow.core.protobuf import saved_model_pb2

    saved_model, content = saved_model_pb2.SavedModel(), read_input(folder / MODEL_FILE, MODEL)
    try:
        saved_model.ParseFromString(content)
    except Exception as error:  # protobuf raises several exception types
        raise _unreadable(error, folder) from error
    for meta_graph in saved_model.meta_graphs:
        if "serve" in meta_graph.meta_info_def.tags and SIGNATURE in meta_graph.signature_def:
            return meta_graph
    raise TfyoloError(
        f"TensorFlow cannot read it: it has no signature `{SIGNATURE}`", path=folder, fix="export it again"
    )
