"""Writes frozen GraphDef files, for OpenCV, TensorFlow 1, and other readers without SavedModel support."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

from tfyolo.export.graph.nodes import fits_float16
from tfyolo.export.graph_def.entry import CONTRACT_NODE
from tfyolo.export.job import ExportJob
from tfyolo.files import atomic


def export(job: ExportJob, path: Path) -> None:
    """Write a `.pb` file whose nodes have the contract's names: `images`, `detection_boxes`, ...

    Args:
        job: model and export options.
        path: the file to write.
    """
    module = job.module(uint8=job.options.precision == "int8")
    function = module.detect.get_concrete_function()
    frozen = convert_variables_to_constants_v2(function)  # also inlines function calls
    graph = frozen.graph.as_graph_def()
    for name, tensor in zip(sorted(function.structured_outputs), frozen.outputs, strict=True):
        node = graph.node.add(name=name, op="Identity", input=[tensor.name])
        node.attr["T"].type = tensor.dtype.as_datatype_enum
    if job.options.precision == "float16":
        _store_kernels_as_float16(graph)
    contract = job.exported_contract("pb").to_json().encode()
    node = graph.node.add(name=CONTRACT_NODE, op="Const")
    node.attr["dtype"].type = tf.string.as_datatype_enum
    node.attr["value"].tensor.CopyFrom(tf.make_tensor_proto(contract))
    with atomic(path) as temporary:
        temporary.write_bytes(graph.SerializeToString(deterministic=True))


def _store_kernels_as_float16(graph: Any) -> None:
    """Store the kernels of a frozen GraphDef as float16; a Cast with the old name makes them float32 again.

    Casting in the tf.Module instead would take a minute: TensorFlow stores float16 constants value by value,
    and freezing copies the graph several times in Python. Here they are written as bytes.

    Args:
        graph: GraphDef; modified.
    """
    float16, float32 = tf.float16.as_datatype_enum, tf.float32.as_datatype_enum
    for node in [node for node in graph.node if node.op == "Const"]:
        kernel = tf.make_ndarray(node.attr["value"].tensor)
        if kernel.dtype != np.float32 or kernel.ndim != 4 or not fits_float16(kernel):
            continue
        name = node.name
        half = graph.node.add(name=f"{name}/half", op="Const")
        half.attr["dtype"].type = half.attr["value"].tensor.dtype = float16
        half.attr["value"].tensor.tensor_shape.CopyFrom(node.attr["value"].tensor.tensor_shape)
        half.attr["value"].tensor.tensor_content = kernel.astype(np.float16).tobytes()
        node.Clear()
        node.name, node.op = name, "Cast"
        node.input.append(half.name)
        node.attr["SrcT"].type, node.attr["DstT"].type = float16, float32
