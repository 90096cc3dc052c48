"""Frozen GraphDef: one protocol buffer, for OpenCV, TensorFlow 1 and whatever else reads no SavedModel."""

from __future__ import annotations

from pathlib import Path

import tensorflow as tf
from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2
from tfyolo.export.request import ExportRequest

from tfyolo.files import atomic

CONTRACT_NODE = "tfyolo_json"
"""A constant that holds the contract: a GraphDef has no other place for it."""


def export(request: ExportRequest, path: Path) -> None:
    """Write a `.pb` file whose nodes have the contract's names: `images`, `detection_boxes`, ..."""
    module = request.module(halve=request.precision == "float16", uint8=request.precision == "int8")
    function = module.detect.get_concrete_function()
    frozen = convert_variables_to_constants_v2(function)  # which also puts called functions in their place
    graph = frozen.graph.as_graph_def()
    for name, tensor in zip(sorted(function.structured_outputs), frozen.outputs, strict=True):
        node = graph.node.add(name=name, op="Identity", input=[tensor.name])
        node.attr["T"].type = tensor.dtype.as_datatype_enum
    contract = request.exported_contract("pb").to_json().encode()
    node = graph.node.add(name=CONTRACT_NODE, op="Const")
    node.attr["dtype"].type = tf.string.as_datatype_enum
    node.attr["value"].tensor.CopyFrom(tf.make_tensor_proto(contract))
    with atomic(path) as temporary:
        temporary.write_bytes(graph.SerializeToString(deterministic=True))
