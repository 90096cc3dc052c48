"""Edits ONNX graphs after tf2onnx has written them: integer kernels, metadata, and a summary."""

from __future__ import annotations

import json
import re
from collections import Counter
from typing import Any

import numpy as np

from tfyolo.errors import TfyoloError
from tfyolo.export.onnx.entry import CONTRACT_KEY, KERNEL_ZERO_POINT
from tfyolo.models.contract import Contract
from tfyolo.models.network import Network
from tfyolo.models.quantization import Placement, QuantizationSpec, round_to_int8

_KERNEL_PREFIX = "kernel/"
"""Prefix of the names of fake-quantized kernels (graph/nodes.py); tf2onnx keeps it and appends a number."""


def network_nodes(model: Any) -> set[str]:
    """Return the names of the network's nodes, up to and including the last convolutions.

    The remaining nodes decode boxes and suppress them.

    Args:
        model: ModelProto.
    """
    producers = {name: node for node in model.graph.node for name in node.output}
    pending = [node for node in model.graph.node if node.op_type == "Conv"]
    names: set[str] = set()
    while pending:
        node = pending.pop()
        if node.name not in names:
            names.add(node.name)
            pending += [producers[name] for name in node.input if name in producers]
    return names


def store_integer_kernels(model: Any, network: Network, spec: QuantizationSpec) -> Any:
    """Store kernels as uint8 and biases as int32, each with a DequantizeLinear, so that integer kernels run.

    Kernels are uint8 with zero point 128 and not int8: on CPUs without VNNI, ONNX Runtime accumulates
    products of uint8 and int8 in 16 bits, where they saturate and detections are wrong; products of two uint8
    values are accumulated in 32 bits.

    Args:
        model: ModelProto with fake-quantized float kernels; modified.
        network: weights by layer name.
        spec: quantization ranges of the kernels.

    Returns:
        `model`.

    Raises:
        TfyoloError: tf2onnx has written the kernels in an unknown form.
    """
    from onnx import numpy_helper

    graph = model.graph
    constants = {item.name: item for item in graph.initializer}
    activation_scales = _activation_scales(graph, constants)
    layers = {node.layer: node for node in network.nodes if node.kind == "conv"}
    nodes, num_converted = [], 0
    for node in graph.node:
        match = None
        if node.op_type == "Conv":
            match = re.fullmatch(rf".*{_KERNEL_PREFIX}(.+?)__\d+", node.input[1])
        if match is not None and match[1] in layers:
            layer = match[1]
            kernel, *biases = (numpy_helper.to_array(constants[name]) for name in node.input[1:])
            scales = spec.kernel_steps(layer, network.weights[layer].kernel)
            integers = round_to_int8(kernel / scales[:, None, None, None])
            node.input[1] = f"{_KERNEL_PREFIX}{layer}"
            stored = (integers + KERNEL_ZERO_POINT).astype(np.uint8)
            nodes.append(_dequantize(graph, node.input[1], stored, scales))
            if biases and node.input[0] in activation_scales:
                # A bias is added to the int32 accumulator, whose scale is the product of both input scales.
                bias_scales = (scales * activation_scales[node.input[0]]).astype(np.float32)
                limit = np.iinfo(np.int32).max
                integers = np.clip(np.round(biases[0] / bias_scales.astype(np.float64)), -limit, limit)
                node.input[2] = f"bias/{layer}"
                nodes.append(_dequantize(graph, node.input[2], integers.astype(np.int32), bias_scales))
            num_converted += 1
        nodes.append(node)
    placement = Placement.of(network, spec.keep_float)
    expected = sum(not placement.is_float(node.name) for node in layers.values())
    if num_converted != expected:
        raise TfyoloError(
            f"tf2onnx kept only {num_converted} of {expected} integer kernels", fix="report this as a bug"
        )
    del graph.node[:]
    graph.node.extend(nodes)
    used = {name for node in nodes for name in node.input}
    initializers = [item for item in graph.initializer if item.name in used]
    del graph.initializer[:]
    graph.initializer.extend(initializers)
    return model


def _dequantize(graph: Any, name: str, values: np.ndarray, scales: np.ndarray) -> Any:
    """Add integer constants to the graph and return a DequantizeLinear node with one scale per channel.

    Args:
        graph: GraphProto.
        name: name of the node's output.
        values: integers, (channels, ...).
        scales: (channels,) float32.
    """
    from onnx import helper, numpy_helper

    zero_point = KERNEL_ZERO_POINT if values.dtype == np.uint8 else 0
    zero_points = np.full(scales.shape, zero_point, values.dtype)
    names = (f"{name}/whole", f"{name}/step", f"{name}/zero")
    for constant, array in zip(names, (values, scales, zero_points), strict=True):
        graph.initializer.append(numpy_helper.from_array(array, constant))
    return helper.make_node("DequantizeLinear", names, [name], name=f"{name}/dequantize", axis=0)


def _activation_scales(graph: Any, constants: dict[str, Any]) -> dict[str, float]:
    """Return the scale of each output of a DequantizeLinear, by tensor name."""
    from onnx import numpy_helper

    return {
        node.output[0]: float(numpy_helper.to_array(constants[node.input[1]]))
        for node in graph.node
        if node.op_type == "DequantizeLinear" and node.input[1] in constants
    }


def summarize(model: Any) -> dict[str, Any]:
    """Return the output shapes in graph order and the number of each operator.

    TorchScript and TensorRT files, which are made from the ONNX graph, store this in their contract.

    Args:
        model: ModelProto.

    Returns:
        `{"outputs": {name: shape}, "operators": {operator: count}}`.
    """
    shapes = {
        output.name: [dim.dim_value for dim in output.type.tensor_type.shape.dim]
        for output in model.graph.output
    }
    return {"outputs": shapes, "operators": dict(Counter(node.op_type for node in model.graph.node))}


def with_metadata(model: Any, contract: Contract) -> Any:
    """Write the contract and YOLOv5's metadata entries into a model.

    Args:
        model: ModelProto; modified.
        contract: contract of the exported model.

    Returns:
        `model`.
    """
    from onnx import helper

    helper.set_model_props(model, metadata(contract))
    model.producer_name, model.producer_version = "tfyolo", contract.version
    model.doc_string = f"{contract.config.get('name', 'YOLOv5')}, {len(contract.names)} classes"
    return model


def metadata(contract: Contract) -> dict[str, str]:
    """Return the metadata entries of an ONNX file: YOLOv5's own keys, and the whole contract as JSON.

    Example:
        >>> from tfyolo.models import load_spec
        >>> contract = Contract.of(load_spec("yolov5n", num_classes=2), ("ant", "bee"), (320, 320))
        >>> metadata(contract)["names"], metadata(contract)["stride"]
        ("{0: 'ant', 1: 'bee'}", '32')
    """
    return {
        "stride": str(max(contract.strides)),
        "names": str(dict(enumerate(contract.names))),  # a Python literal, which YOLOv5 parses
        "task": contract.task,
        "imgsz": json.dumps(list(contract.image_size)),
        CONTRACT_KEY: contract.to_json(),
    }
