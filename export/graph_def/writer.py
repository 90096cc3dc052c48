"""Frozen GraphDef: one protocol buffer, for OpenCV, TensorFlow 1 and whatever else reads no SavedModel."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

from tfyolo.export.graph.nodes import fits_float16
from tfyolo.export.job import ExportJob
from tfyolo.files import atomic

CONTRACT_NODE = "tfyolo_json"
"""A constant that holds the contract: a GraphDef has no other place for it."""


def export(job: ExportJob, path: Path) -> None:
    """Write a `.pb` file whose nodes have the contract's names: `images`, `detection_boxes`, ..."""
    module = job.module(uint8=job.options.precision == "int8")
    function = module.detect.get_concrete_function()
    frozen = convert_variables_to_constants_v2(function)  # which also puts called functions in their place
    graph = frozen.graph.as_graph_def()
    for name, tensor in zip(sorted(function.structured_outputs), frozen.outputs, strict=True):
        node = graph.node.add(name=name, op="Identity", input=[tensor.name])
        node.attr["T"].type = tensor.dtype.as_datatype_enum
    if job.options.precision == "float16":
        _halve_kernels(graph)
    contract = job.exported_contract("pb").to_json().encode()
    node = graph.node.add(name=CONTRACT_NODE, op="Const")
    node.attr["dtype"].type = tf.string.as_datatype_enum
    node.attr["value"].tensor.CopyFrom(tf.make_tensor_proto(contract))
    with atomic(path) as temporary:
        temporary.write_bytes(graph.SerializeToString(deterministic=True))


def _halve_kernels(graph: Any) -> None:
    """Store the kernels as float16, each with a cast that has its name.

    Done here and by bytes: TensorFlow lists float16 constants value by value, and the copies of the graph
    that freezing makes then take a minute in Python.
    """
    for node in [node for node in graph.node if node.op == "Const"]:
        kernel = tf.make_ndarray(node.attr["value"].tensor)
        if kernel.dtype != np.float32 or kernel.ndim != 4 or not fits_float16(kernel):
            continue
        half = graph.node.add(name=f"{node.name}/half", op="Const")
        half.attr["dtype"].type = half.attr["value"].tensor.dtype = tf.float16.as_datatype_enum
        half.attr["value"].tensor.tensor_shape.CopyFrom(node.attr["value"].tensor.tensor_shape)
        half.attr["value"].tensor.tensor_content = kernel.astype(np.float16).tobytes()
        node.Clear()
        node.name, node.op = half.name.removesuffix("/half"), "Cast"
        node.input.append(half.name)
        node.attr["SrcT"].type, node.attr["DstT"].type = (
            tf.float16.as_datatype_enum,
            tf.float32.as_datatype_enum,
        )
