"""Builds the graph of a TF.js model: a frozen GraphDef, simplified by Grappler, with fused convolutions.

TF.js executes a graph node by node. A convolution with its bias and activation becomes one fused operation,
for which the backends have one kernel.
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
from tfyolo.export.tfjs.operations import FUSED_CONVOLUTIONS, FUSED_OPERATIONS, OPERATIONS

_GRAPPLER_PASSES = 2 * ["pruning", "constfold", "arithmetic", "dependency"]
_BIAS_ADDITIONS = ("BiasAdd", "AddV2", "Add")
_FUSIBLE_ACTIVATIONS = ("Relu", "Relu6", "Elu", "LeakyRelu")
_HOMOGENEOUS = ("NoOp", "BiasAdd", "Relu", "LeakyRelu")
"""Operations f with f(s x) = s f(x) for s > 0: the product with the quantization steps may follow them."""
_COPIED_ATTRIBUTES = (
    "T",
    "strides",
    "padding",
    "explicit_paddings",
    "data_format",
    "dilations",
    "transpose_a",
    "transpose_b",
)
"""Attributes that a fused operation takes over from its convolution or matrix product."""


@dataclass
class TfjsGraph:
    """A graph, and the values of its constants.

    Attributes:
        nodes: NodeDefs; those of constants have no values.
        constants: values of the constants by node name.
        versions: VersionDef of the GraphDef.
        signature: SignatureDef; nodes of inputs and outputs have the names of the contract.
        steps: quantization steps, (output channels,), by the name of the kernel. The values of these kernels
            are integers.
    """

    nodes: list[Any]
    constants: dict[str, np.ndarray]
    versions: Any
    signature: Any
    steps: dict[str, np.ndarray] = field(default_factory=dict)

    def kernels(self) -> set[str]:
        """Return the names of the constants that are read by convolutions only."""
        convolutions = {*FUSED_CONVOLUTIONS, *FUSED_CONVOLUTIONS.values()}
        as_kernel = Counter(node.input[1] for node in self.nodes if node.op in convolutions)
        reads = Counter(name for node in self.nodes for name in node.input)
        return {name for name, count in as_kernel.items() if name in self.constants and count == reads[name]}


def build(module: Any, steps: dict[bytes, np.ndarray]) -> TfjsGraph:
    """Return the TF.js graph of a module.

    Args:
        module: tf.Module from `make_module`.
        steps: quantization steps of int8 kernels, (output channels,), by the bytes of the float kernel. A
            convolution with such a kernel computes with integer kernel values, and a product with the steps
            follows it.

    Raises:
        TfyoloError: the network contains an operation that TF.js does not support.
    """
    definition, signature = _freeze(module.detect.get_concrete_function())
    definition = _optimize(definition, signature)
    constants = {
        node.name: tf.make_ndarray(node.attr["value"].tensor)
        for node in definition.node
        if node.op == "Const"
    }
    graph = TfjsGraph(list(definition.node), constants, definition.versions, signature)
    _fuse(graph, steps)
    for name in sorted({node.op for node in graph.nodes} - OPERATIONS):
        raise TfyoloError(
            f"TF.js does not support {name}, which this network needs", fix="choose another format"
        )
    _drop_values(graph)
    return graph


def _freeze(function: Any) -> tuple[Any, Any]:
    """Return GraphDef and SignatureDef of a ConcreteFunction; output nodes have the contract's names."""
    frozen = convert_variables_to_constants_v2(function)  # also inlines function calls
    definition, signature = frozen.graph.as_graph_def(), meta_graph_pb2.SignatureDef()
    nodes = {node.name: node for node in definition.node}
    tensors = [(tensor.op.name, tensor, signature.inputs) for tensor in frozen.inputs]
    for name, tensor in zip(sorted(function.structured_outputs), frozen.outputs, strict=True):
        nodes[tensor.op.name].name = name  # an Identity without readers
        tensors.append((name, tensor, signature.outputs))
    for name, tensor, infos in tensors:
        infos[name].name, infos[name].dtype = f"{name}:0", tensor.dtype.as_datatype_enum
        infos[name].tensor_shape.CopyFrom(tensor.shape.as_proto())
    return definition, signature


def _optimize(definition: Any, signature: Any) -> Any:
    """Return the GraphDef after Grappler's constant folding, common-subexpression removal and pruning."""
    with tf.Graph().as_default() as graph:
        tf.import_graph_def(definition, name="")
    meta = tf.compat.v1.train.export_meta_graph(graph_def=definition, graph=graph)
    meta.signature_def["serving_default"].CopyFrom(signature)  # Grappler keeps these nodes
    config = config_pb2.ConfigProto()
    config.graph_options.rewrite_options.optimizers[:] = _GRAPPLER_PASSES
    return tf_optimizer.OptimizeGraph(config, meta, verbose=False)


def _fuse(graph: TfjsGraph, steps: dict[bytes, np.ndarray]) -> None:
    """Fuse convolutions and matrix products with the bias and activation that follow them.

    An addition is fused only if its other input is a constant with one value per channel: a fused operation
    treats its third input as a bias, whatever its shape.

    Args:
        graph: modified; kernels with quantization steps become integers.
        steps: quantization steps by the bytes of the float kernel.
    """
    readers = defaultdict(list)
    for node in graph.nodes:
        for name in node.input:
            readers[name].append(node)
    kernels = graph.kernels()
    replaced: dict[str, list[Any]] = {}
    for node in graph.nodes:
        kernel = graph.constants.get(node.input[1]) if node.op in FUSED_OPERATIONS else None
        if kernel is None:
            continue
        parts, bias = [node], ""
        channels = kernel.shape[-1] * (kernel.shape[-2] if node.op == "DepthwiseConv2dNative" else 1)
        following = _single(readers[node.name])
        if following is not None and following.op in _BIAS_ADDITIONS:
            addend = following.input[following.input[0] == node.name]
            if addend in graph.constants and graph.constants[addend].shape == (channels,):
                parts, bias, following = [*parts, following], addend, _single(readers[following.name])
        if following is not None and following.op in _FUSIBLE_ACTIVATIONS:
            parts.append(following)
        step = steps.get(kernel.tobytes()) if node.input[1] in kernels else None
        replaced |= {part.name: [] for part in parts}
        if step is None:
            replaced[parts[-1].name] = [_fused_node(parts, bias, parts[-1].name)]
        else:
            graph.steps[node.input[1]] = step
            replaced[parts[-1].name] = _integer_nodes(graph, parts, bias, step)
    graph.nodes = [new for node in graph.nodes for new in replaced.get(node.name, [node])]
    for name, step in graph.steps.items():
        # A depthwise kernel has the shape (height, width, channels, 1): its steps belong to axis 2.
        kernel = graph.constants[name]
        graph.constants[name] = np.rint(kernel / step.reshape(-1, kernel.shape[-1]))


def _single(readers: list[Any]) -> Any:
    """Return the only reader; None if there are several or none."""
    return readers[0] if len(readers) == 1 else None


def _fused_node(parts: list[Any], bias: str, name: str) -> Any:
    """Return one node for a convolution or matrix product with its bias and activation.

    Args:
        parts: NodeDefs of the product, of the addition of the bias if there is one, and of the activation if
            there is one.
        bias: name of the constant; "" if there is none.
        name: name of the new node.
    """
    first = parts[0]
    operations = ["BiasAdd" if bias else "NoOp"] + [
        part.op for part in parts[1:] if part.op in _FUSIBLE_ACTIVATIONS
    ]
    if operations == ["NoOp"]:
        return _node(name, first.op, first.input, first)
    node = _node(name, FUSED_OPERATIONS[first.op], [*first.input, bias] if bias else first.input, first)
    node.attr["fused_ops"].list.s.extend(operation.encode() for operation in operations)
    node.attr["num_args"].i = int(bool(bias))
    if operations[-1] == "LeakyRelu":
        node.attr["leakyrelu_alpha"].f = parts[-1].attr["alpha"].f
    return node


def _integer_nodes(graph: TfjsGraph, parts: list[Any], bias: str, step: np.ndarray) -> list[Any]:
    """Return the nodes for a convolution whose kernel consists of integers.

    The product with the steps follows the convolution and its homogeneous activation. A product with the
    kernel in front of the convolution would make TF.js repack the kernel for every image, which takes a
    quarter of the time.

    Args:
        graph: constants are added to it.
        parts: see `_fused_node`.
        bias: name of the constant; "" if there is none.
        step: quantization steps, (output channels,).
    """
    name = parts[-1].name
    fusible = (*FUSED_OPERATIONS, *_BIAS_ADDITIONS, *_HOMOGENEOUS)
    inside = [part for part in parts if part.op in fusible]
    nodes = [_constant(graph, f"{name}/steps", step)]
    if bias:
        nodes.append(_constant(graph, f"{name}/bias", graph.constants[bias] / step))
    nodes.append(_fused_node(inside, f"{name}/bias" if bias else "", f"{name}/levels"))
    product = name if inside == parts else f"{name}/scaled"
    nodes.append(_node(product, "Mul", [f"{name}/levels", f"{name}/steps"], parts[0]))
    if inside != parts:  # an activation such as Relu6
        nodes.append(_node(name, parts[-1].op, [product], parts[0]))
    return nodes


def _node(name: str, operation: str, inputs: Iterable[str], like: Any) -> Any:
    """Return a NodeDef with the dtype of the NodeDef `like`; a product also has its strides, padding, etc."""
    is_product = operation in (*FUSED_OPERATIONS, *FUSED_OPERATIONS.values())
    node = tf.compat.v1.NodeDef(name=name, op=operation, input=inputs)
    for key in _COPIED_ATTRIBUTES if is_product else ("T",):
        if key in like.attr:
            node.attr[key].CopyFrom(like.attr[key])
    return node


def _constant(graph: TfjsGraph, name: str, value: np.ndarray) -> Any:
    """Add a float32 constant to the graph's values and return its NodeDef."""
    graph.constants[name] = np.ascontiguousarray(value)
    node = tf.compat.v1.NodeDef(name=name, op="Const")
    node.attr["dtype"].type = node.attr["value"].tensor.dtype = tf.float32.as_datatype_enum
    return node


def _drop_values(graph: TfjsGraph) -> None:
    """Remove unused constants, and the values in the NodeDefs of the others, which are stored as weights."""
    used = {name for node in graph.nodes for name in node.input}
    graph.nodes = [node for node in graph.nodes if node.op != "Const" or node.name in used]
    graph.constants = {name: value for name, value in graph.constants.items() if name in used}
    for node in graph.nodes:
        if node.op == "Const":
            tensor = node.attr["value"].tensor
            dtype = tensor.dtype
            tensor.Clear()
            tensor.dtype = dtype
            tensor.tensor_shape.CopyFrom(tf.TensorShape(graph.constants[node.name].shape).as_proto())
