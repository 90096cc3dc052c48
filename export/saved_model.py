"""SavedModel: what TensorFlow Serving runs, and what other exporters start from."""

from __future__ import annotations

from pathlib import Path

import tensorflow as tf
from tfyolo.export.graph import DetectionModule
from tfyolo.export.request import ExportRequest

from tfyolo.files import atomic
from tfyolo.models.contract import FILE_NAME


def export(request: ExportRequest, path: Path) -> None:
    """Write a SavedModel folder with the signature `serving_default` and `tfyolo.json` beside it."""
    with atomic(path) as temporary:
        save(request, temporary)
        (temporary / FILE_NAME).write_text(request.exported_contract("saved_model").to_json())


def save(request: ExportRequest, folder: Path) -> None:
    """The graph alone, its weights as constants: nothing else survives every converter."""
    heads = halve_constants(request.heads) if request.half else request.heads
    module = DetectionModule(heads, request.contract, request.image_hw, request.nms, request.settings)
    tf.saved_model.save(
        module,
        str(folder),
        signatures={"serving_default": module.detect},
        options=tf.saved_model.SaveOptions(experimental_custom_gradients=False),
    )


def halve_constants(function: tf.Graph) -> tf.Graph:
    """The same frozen function with its large float32 constants stored as float16: half the size."""
    graph_def = tf.compat.v1.GraphDef()
    for node in function.graph.as_graph_def().node:
        value = node.attr["value"].tensor if node.op == "Const" else None
        if value is None or value.dtype != tf.float32.as_datatype_enum or tf.make_ndarray(value).size < 64:
            graph_def.node.add().CopyFrom(node)
            continue
        stored = graph_def.node.add(name=f"{node.name}/half", op="Const")
        stored.attr["dtype"].type = tf.float16.as_datatype_enum
        stored.attr["value"].tensor.CopyFrom(tf.make_tensor_proto(tf.make_ndarray(value).astype("float16")))
        cast = graph_def.node.add(name=node.name, op="Cast", input=[stored.name])
        cast.attr["SrcT"].type, cast.attr["DstT"].type = stored.attr["dtype"].type, value.dtype
    outputs = [tensor.name for tensor in function.outputs]
    inputs = [tensor.name for tensor in function.inputs]
    wrapped = tf.compat.v1.wrap_function(lambda: tf.graph_util.import_graph_def(graph_def, name=""), [])
    return wrapped.prune(inputs, outputs)
