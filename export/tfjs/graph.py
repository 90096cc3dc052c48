"""The graph of a TF.js model: a frozen GraphDef that Grappler has simplified, its convolutions fused.

TF.js executes a graph node by node, so a convolution, its bias and its activation become one operation, which
its backends have as one kernel.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow.core.protobuf import config_pb2, meta_graph_pb2
from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2
from tensorflow.python.grappler import tf_optimizer

from tfyolo.errors import TfyoloError
from tfyolo.export.tfjs.operations import CONVOLUTIONS, FUSED, OPERATIONS

_PASSES = 2 * ["pruning", "constfold", "arithmetic", "dependency"]
_ADDITIONS = ("BiasAdd", "AddV2", "Add")
_ACTIVATIONS = ("Relu", "Relu6", "Elu", "LeakyRelu")
_KEEPS_FACTORS = ("NoOp", "BiasAdd", "Relu", "LeakyRelu")
"""What may happen between a convolution and a product with s: f(s x) = s f(x) for s above 0."""
_ATTRIBUTES = (
    "T", "strides", "padding", "explicit_paddings", "data_format", "dilations", "transpose_a", "transpose_b",
)  # fmt: skip
"""What a fused operation has from the one that it begins with."""


@dataclass
class TfjsGraph:
    """A graph and the constants that it reads.

    Attributes:
        nodes: NodeDefs; those of constants hold no values.
        constants: values by the name of the constant.
        versions: of the GraphDef.
        signature: SignatureDef; the tensors have the names of the contract, too.
        steps: quantization steps by the name of the kernel; these kernels hold whole numbers.
    """

    nodes: list[Any]
    constants: dict[str, np.ndarray]
    versions: Any
    signature: Any
    steps: dict[str, np.ndarray] = field(default_factory=dict)

    def kernels(self) -> set[str]:
        """Names of the constants that convolutions read, and nothing else does."""
        convolutions = {*CONVOLUTIONS, *CONVOLUTIONS.values()}
        kernels = Counter(node.input[1] for node in self.nodes if node.op in convolutions)
        read = Counter(name for node in self.nodes for name in node.input)
        return {name for name, count in kernels.items() if name in self.constants and count == read[name]}


def build(module: Any, steps: dict[bytes, np.ndarray]) -> TfjsGraph:
    """The graph of a module.

    Args:
        module: from `graph.make_module`.
        steps: quantization steps of int8 kernels, (output channels,), by the kernel's bytes. Convolutions
            with such a kernel compute with whole numbers, and a product undoes that.

    Raises:
        TfyoloError: it holds an operation that TF.js lacks.
    """
    definition, signature = _frozen(module.detect.get_concrete_function())
    definition = _simplified(definition, signature)
    constants = {
        node.name: tf.make_ndarray(node.attr["value"].tensor)
        for node in definition.node
        if node.op == "Const"
    }
    graph = TfjsGraph(list(definition.node), constants, definition.versions, signature)
    _fuse(graph, steps)
    for name in sorted({node.op for node in graph.nodes} - OPERATIONS):
        raise TfyoloError(f"TF.js lacks {name}, which this network needs", fix="choose another format")
    _drop_values(graph)
    return graph


def _frozen(function: Any) -> tuple[Any, Any]:
    """GraphDef and SignatureDef of a concrete function; outputs are nodes with the contract's names."""
    frozen = convert_variables_to_constants_v2(function)  # which also inlines the functions that are called
    definition, signature = frozen.graph.as_graph_def(), meta_graph_pb2.SignatureDef()
    nodes = {node.name: node for node in definition.node}
    tensors = [(tensor.op.name, tensor, signature.inputs) for tensor in frozen.inputs]
    for name, tensor in zip(sorted(function.structured_outputs), frozen.outputs, strict=True):
        nodes[tensor.op.name].name = name  # an Identity that nothing reads
        tensors.append((name, tensor, signature.outputs))
    for name, tensor, part in tensors:
        part[name].name, part[name].dtype = f"{name}:0", tensor.dtype.as_datatype_enum
        part[name].tensor_shape.CopyFrom(tensor.shape.as_proto())
    return definition, signature


def _simplified(definition: Any, signature: Any) -> Any:
    """The GraphDef without what is constant, computed twice or in vain, by TensorFlow's Grappler."""
    with tf.Graph().as_default() as graph:
        tf.import_graph_def(definition, name="")
    meta = tf.compat.v1.train.export_meta_graph(graph_def=definition, graph=graph)
    meta.signature_def["serving_default"].CopyFrom(signature)  # names what is to stay
    config = config_pb2.ConfigProto()
    config.graph_options.rewrite_options.optimizers[:] = _PASSES
    return tf_optimizer.OptimizeGraph(config, meta, verbose=False)


def _fuse(graph: TfjsGraph, steps: dict[bytes, np.ndarray]) -> None:
    """Join convolutions and matrix products with the bias and the activation that follow them.

    Of additions, only that of a constant with one value per channel is a bias: a fused operation adds its
    third input as one, whatever it is.
    """
    readers = defaultdict(list)
    for node in graph.nodes:
        for name in node.input:
            readers[name].append(node)
    kernels = graph.kernels()
    replaced: dict[str, list[Any]] = {}
    for node in graph.nodes:
        kernel = graph.constants.get(node.input[1]) if node.op in FUSED else None
        if kernel is None:
            continue
        parts, bias = [node], ""
        channels = kernel.shape[-1] * (kernel.shape[-2] if node.op == "DepthwiseConv2dNative" else 1)
        after = _only(readers[node.name])
        if after is not None and after.op in _ADDITIONS:
            other = after.input[after.input[0] == node.name]
            if other in graph.constants and graph.constants[other].shape == (channels,):
                parts, bias, after = [*parts, after], other, _only(readers[after.name])
        if after is not None and after.op in _ACTIVATIONS:
            parts.append(after)
        step = steps.get(kernel.tobytes()) if node.input[1] in kernels else None
        replaced |= {part.name: [] for part in parts}
        if step is None:
            replaced[parts[-1].name] = [_fused(parts, bias, parts[-1].name)]
        else:
            graph.steps[node.input[1]] = step
            replaced[parts[-1].name] = _in_levels(graph, parts, bias, step)
    graph.nodes = [new for node in graph.nodes for new in replaced.get(node.name, [node])]
    for name, step in graph.steps.items():
        # A depthwise kernel stands there as (height, width, channels, 1).
        kernel = graph.constants[name]
        graph.constants[name] = np.rint(kernel / step.reshape(-1, kernel.shape[-1]))


def _only(readers: list[Any]) -> Any:
    return readers[0] if len(readers) == 1 else None


def _fused(parts: list[Any], bias: str, name: str) -> Any:
    """One operation for a convolution or matrix product, its bias unless that is "", and its activation."""
    first = parts[0]
    operations = ["BiasAdd" if bias else "NoOp"] + [part.op for part in parts[1:] if part.op in _ACTIVATIONS]
    if operations == ["NoOp"]:
        return _node(name, first.op, first.input, first)
    node = _node(name, FUSED[first.op], [*first.input, bias] if bias else first.input, first)
    node.attr["fused_ops"].list.s.extend(operation.encode() for operation in operations)
    node.attr["num_args"].i = int(bool(bias))
    if operations[-1] == "LeakyRelu":
        node.attr["leakyrelu_alpha"].f = parts[-1].attr["alpha"].f
    return node


def _in_levels(graph: TfjsGraph, parts: list[Any], bias: str, step: np.ndarray) -> list[Any]:
    """The same for a kernel of whole numbers: the product with the steps comes after all that allows it.

    A product in front of the convolution would have TF.js repack the kernel for every image, which takes a
    quarter of the time.
    """
    name = parts[-1].name
    inside = [part for part in parts if part.op in (*FUSED, *_ADDITIONS, *_KEEPS_FACTORS)]
    nodes = [_constant(graph, f"{name}/steps", step)]
    if bias:
        nodes.append(_constant(graph, f"{name}/bias", graph.constants[bias] / step))
    nodes.append(_fused(inside, f"{name}/bias" if bias else "", f"{name}/levels"))
    product = name if inside == parts else f"{name}/scaled"
    nodes.append(_node(product, "Mul", [f"{name}/levels", f"{name}/steps"], parts[0]))
    if inside != parts:  # an activation such as Relu6
        nodes.append(_node(name, parts[-1].op, [product], parts[0]))
    return nodes


def _node(name: str, operation: str, inputs: Iterable[str], like: Any) -> Any:
    node = tf.compat.v1.NodeDef(name=name, op=operation, input=inputs)
    for key in _ATTRIBUTES if operation in (*FUSED, *FUSED.values()) else ("T",):
        if key in like.attr:
            node.attr[key].CopyFrom(like.attr[key])
    return node


def _constant(graph: TfjsGraph, name: str, value: np.ndarray) -> Any:
    graph.constants[name] = np.ascontiguousarray(value)
    node = tf.compat.v1.NodeDef(name=name, op="Const")
    node.attr["dtype"].type = node.attr["value"].tensor.dtype = tf.float32.as_datatype_enum
    return node


def _drop_values(graph: TfjsGraph) -> None:
    """Leave type and shape of the constants that are read: their values are stored as weights."""
    read = {name for node in graph.nodes for name in node.input}
    graph.nodes = [node for node in graph.nodes if node.op != "Const" or node.name in read]
    graph.constants = {name: value for name, value in graph.constants.items() if name in read}
    for node in graph.nodes:
        if node.op == "Const":
            tensor = node.attr["value"].tensor
            dtype = tensor.dtype
            tensor.Clear()
            tensor.dtype = dtype
            tensor.tensor_shape.CopyFrom(tf.TensorShape(graph.constants[node.name].shape).as_proto())
