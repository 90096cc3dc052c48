"""Reads the variables of an untrusted SavedModel from its own folder, as NumPy arrays.

Guarantees: the graph's restore function is not run, only regular files in the SavedModel's folder are read,
and the arrays are not larger than the files.
"""

from __future__ import annotations

import math
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from tfyolo.errors import TfyoloError
from tfyolo.export.runtime.budget import foreign
from tfyolo.export.saved_model.entry import VARIABLES

_MAX_IDENTITIES = 10
"""Number of nodes between a variable's assignment and its RestoreV2."""


class Checkpoint:
    """The variables of a SavedModel; the files are opened when the first variable is read.

    Args:
        folder: folder of the SavedModel.
        meta_graph: MetaGraphDef of the model.
    """

    def __init__(self, folder: Path, meta_graph: Any) -> None:
        self._folder, self._meta_graph = folder, meta_graph

    def __call__(self, name: str) -> np.ndarray:
        """Return the value of a variable.

        Args:
            name: name of the variable in the graph (`shared_name` of its VarHandleOp).

        Raises:
            TfyoloError: there is no such variable, or the files are damaged or links.
        """
        key = self._keys.get(name, name)
        if key not in self._shapes:
            raise TfyoloError(
                f"has no value for its variable {name[:60]!r}", path=self._folder, fix="export it again"
            )
        try:
            return np.asarray(self._reader.get_tensor(key))
        except Exception as error:  # TensorFlow raises several exception types for a damaged file
            raise self._damaged() from error

    @cached_property
    def _reader(self) -> Any:
        """TensorFlow's checkpoint reader.

        Raises:
            TfyoloError: files are missing, damaged or links.
        """
        import tensorflow as tf

        # The index contains no paths, only the numbers of the data files in the same folder.
        folder = self._folder / VARIABLES
        files = sorted(folder.glob(f"{VARIABLES}.*")) if not folder.is_symlink() else []
        if not files or any(file.is_symlink() or not file.is_file() for file in files):
            raise foreign("variables, whose files are missing or links", self._folder)
        try:
            # Not `tf.train.load_checkpoint`: it follows a folder of this name to any checkpoint on the disk.
            return tf.compat.v1.train.NewCheckpointReader(str(folder / VARIABLES))
        except Exception as error:  # TensorFlow raises several exception types for a damaged file
            raise self._damaged() from error

    @cached_property
    def _shapes(self) -> dict[str, list[int]]:
        """Shapes of all numeric tensors by checkpoint key.

        Raises:
            TfyoloError: together they are larger than the files.
        """
        shapes = self._reader.get_variable_to_shape_map()
        dtypes = self._reader.get_variable_to_dtype_map()
        data_files = (self._folder / VARIABLES).glob(f"{VARIABLES}.data-*")
        stored_bytes = sum(file.stat().st_size for file in data_files)
        numeric = {key for key, dtype in dtypes.items() if dtype.is_floating or dtype.is_integer}
        if sum(math.prod(shapes[key]) * dtypes[key].size for key in numeric) > stored_bytes:
            raise self._damaged()
        return {key: shapes[key] for key in numeric}

    @cached_property
    def _keys(self) -> dict[str, str]:
        """Checkpoint keys by variable name, read from the assignments in the restore function."""
        graph, restore = self._meta_graph.graph_def, self._meta_graph.saver_def.restore_op_name
        nodes = {node.name: node for node in graph.node}
        functions = {function.signature.name: function for function in graph.library.function}
        call = nodes.get(restore)
        function = functions.get(call.attr["f"].func.name) if call is not None else None
        if call is None or function is None:
            return {}
        arguments = dict(zip((x.name for x in function.signature.input_arg), call.input, strict=False))
        function_nodes = {node.name: node for node in function.node_def}
        keys: dict[str, str] = {}
        for node in function.node_def:
            if node.op == "AssignVariableOp" and len(node.input) > 1:
                handle = nodes.get(arguments.get(node.input[0], "").partition(":")[0])
                key = _restored_key(node.input[1], function_nodes)
                if handle is not None and key:
                    keys[variable_name(handle)] = key
        return keys

    def _damaged(self) -> TfyoloError:
        return TfyoloError("its variables cannot be read", path=self._folder, fix="export it again")


def variable_name(node: Any) -> str:
    """Return the name of the variable that a VarHandleOp refers to."""
    return str((node.attr["shared_name"].s or node.name.encode()).decode(errors="replace"))


def _restored_key(tensor: str, nodes: dict[str, Any]) -> str:
    """Return the checkpoint key of a tensor that RestoreV2 reads; "" if it comes from another operation.

    Args:
        tensor: name of a tensor in the restore function, such as `RestoreV2:tensors:3`.
        nodes: nodes of the restore function by name.
    """
    for _ in range(_MAX_IDENTITIES):
        name, *output = tensor.split(":")
        node = nodes.get(name)
        if node is None or not node.input:
            return ""
        if node.op == "RestoreV2":
            names = nodes.get(node.input[1].partition(":")[0])
            values = names.attr["value"].tensor.string_val if names is not None else ()
            index = int(output[-1]) if output and output[-1].isdecimal() else 0
            return values[index].decode(errors="replace") if index < len(values) else ""
        tensor = node.input[0]
    return ""
