"""Values of a SavedModel's variables, read from its own folder; nothing is restored by the graph itself."""

from __future__ import annotations

import math
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from tfyolo.errors import TfyoloError
from tfyolo.export.runtime.budget import foreign

FOLDER, STEM = "variables", "variables"


class Checkpoint:
    """The variables beside a `saved_model.pb`; opened when the first is asked for.

    Args:
        folder: of the SavedModel.
        meta: MetaGraphDef.
    """

    def __init__(self, folder: Path, meta: Any) -> None:
        self._folder, self._meta = folder, meta

    def __call__(self, name: str) -> np.ndarray:
        """The value of a variable.

        Args:
            name: as the graph has it (`shared_name`).

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
        except Exception as error:  # TensorFlow raises many kinds for a damaged file
            raise self._damaged() from error

    @cached_property
    def _reader(self) -> Any:
        import tensorflow as tf

        # The index names no files, only numbers of those that lie beside it.
        folder = self._folder / FOLDER
        files = sorted(folder.glob(f"{STEM}.*")) if not folder.is_symlink() else []
        if not files or any(file.is_symlink() or not file.is_file() for file in files):
            raise foreign("variables, whose files are missing or links", self._folder)
        try:
            return tf.train.load_checkpoint(str(folder / STEM))
        except Exception as error:  # TensorFlow raises many kinds for a damaged file
            raise self._damaged() from error

    @cached_property
    def _shapes(self) -> dict[str, list[int]]:
        """Of all tensors; together they are no larger than the files."""
        shapes = self._reader.get_variable_to_shape_map()
        dtypes = self._reader.get_variable_to_dtype_map()
        held = sum(file.stat().st_size for file in (self._folder / FOLDER).glob(f"{STEM}.data-*"))
        numbers = {key for key, dtype in dtypes.items() if dtype.is_floating or dtype.is_integer}
        if sum(math.prod(shapes[key]) * dtypes[key].size for key in numbers) > held:
            raise self._damaged()
        return {key: shapes[key] for key in numbers}

    @cached_property
    def _keys(self) -> dict[str, str]:
        """Where the checkpoint keeps each variable: what the restore function, which is not run, assigns."""
        graph, restore = self._meta.graph_def, self._meta.saver_def.restore_op_name
        nodes = {node.name: node for node in graph.node}
        functions = {function.signature.name: function for function in graph.library.function}
        call = nodes.get(restore)
        function = functions.get(call.attr["f"].func.name) if call is not None else None
        if call is None or function is None:
            return {}
        arguments = dict(zip((x.name for x in function.signature.input_arg), call.input, strict=False))
        inside = {node.name: node for node in function.node_def}
        keys: dict[str, str] = {}
        for node in function.node_def:
            if node.op == "AssignVariableOp" and len(node.input) > 1:
                handle = nodes.get(arguments.get(node.input[0], "").partition(":")[0])
                key = _restored(node.input[1], inside)
                if handle is not None and key:
                    keys[variable_name(handle)] = key
        return keys

    def _damaged(self) -> TfyoloError:
        return TfyoloError("its variables cannot be read", path=self._folder, fix="export it again")


def variable_name(node: Any) -> str:
    """Name of the variable that a VarHandleOp stands for."""
    return str((node.attr["shared_name"].s or node.name.encode()).decode(errors="replace"))


def _restored(tensor: str, nodes: dict[str, Any]) -> str:
    """The key in the checkpoint of a tensor that a RestoreV2 reads; empty where it is something else."""
    for _ in range(10):
        name, *place = tensor.split(":")
        node = nodes.get(name)
        if node is None or not node.input:
            return ""
        if node.op == "RestoreV2":
            names = nodes.get(node.input[1].partition(":")[0])
            values = names.attr["value"].tensor.string_val if names is not None else ()
            index = int(place[-1]) if place and place[-1].isdecimal() else 0
            return values[index].decode(errors="replace") if index < len(values) else ""
        tensor = node.input[0]
    return ""
