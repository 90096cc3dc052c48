"""TensorFlow graphs are programs: those of strangers are looked through before they run."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tfyolo.errors import TfyoloError

_BOOKKEEPING = {"NoOp", "Placeholder", "PlaceholderWithDefault", "StatefulPartitionedCall", "PartitionedCall"}
_SAVING = {"SaveV2", "RestoreV2", "MergeV2Checkpoints", "ShardedFilename", "StringJoin"}
"""What TensorFlow itself puts into every SavedModel, outside the signature that is run."""
_TOUCHES_FILES = ("File", "Py", "Load", "Save", "Restore", "Read", "Write", "Dataset", "Iterator")


def check_nodes(graph: Any, path: Path, allowed: frozenset[str] = frozenset()) -> None:
    """Refuse a GraphDef that could do more than arithmetic: files, Python, state.

    Args:
        graph: a GraphDef; its functions are looked through, too.
        path: for the message.
        allowed: operations that may stand in it all the same.

    Raises:
        TfyoloError: naming the operation.
    """
    from tensorflow.python.framework import op_def_registry

    functions = {function.signature.name for function in graph.library.function}
    for name in _operations(graph):
        if name in allowed or name in _BOOKKEEPING or name in functions:
            continue
        definition = op_def_registry.get(name)
        if definition is None or definition.is_stateful or any(word in name for word in _TOUCHES_FILES):
            raise TfyoloError(
                f"holds the operation {name}, which no exported detector needs, and is not run",
                path=path,
                fix="use files that you or people you trust have exported",
            )


def check_saved_model(folder: Path) -> None:
    """`check_nodes` for a SavedModel folder.

    Raises:
        TfyoloError: an operation that is refused, or no SavedModel.
    """
    for graph in read_saved_model(folder).meta_graphs:
        check_nodes(graph.graph_def, folder, frozenset(_SAVING))


def read_saved_model(folder: Path) -> Any:
    """The SavedModel message of a folder; nothing of it is loaded.

    Raises:
        TfyoloError: there is none.
    """
    from tensorflow.core.protobuf import saved_model_pb2

    saved = saved_model_pb2.SavedModel()
    try:
        saved.ParseFromString((folder / "saved_model.pb").read_bytes())
    except Exception as error:  # the protobuf library has several kinds
        raise TfyoloError(
            f"TensorFlow cannot read it: {error}", path=folder, fix="export it again"
        ) from error
    return saved


def _operations(graph: Any) -> Iterator[str]:
    for node in graph.node:
        yield node.op
    for function in graph.library.function:
        for node in function.node_def:
            yield node.op
