"""What is done to an ONNX graph after tf2onnx has made it: integer kernels, metadata."""

from __future__ import annotations

import json
import re
from collections import Counter
from typing import Any

import numpy as np

from tfyolo.errors import TfyoloError
from tfyolo.models.contract import Contract
from tfyolo.models.network import Network
from tfyolo.models.quantization import QuantizationSpec

KERNEL = "kernel/"
"""Beginning of the names of rounded kernels (nodes.py), which tf2onnx keeps and adds a number to."""
MIDDLE = 128
"""What stands for zero in a kernel of uint8."""


def network_nodes(model: Any) -> set[str]:
    """Names of the nodes up to and including the last convolutions; decoding and suppression come after."""
    made_by = {name: node for node in model.graph.node for name in node.output}
    todo = [node for node in model.graph.node if node.op_type == "Conv"]
    found: set[str] = set()
    while todo:
        node = todo.pop()
        if node.name not in found:
            found.add(node.name)
            todo += [made_by[name] for name in node.input if name in made_by]
    return found


def integer_kernels(model: Any, network: Network, spec: QuantizationSpec) -> Any:
    """Store kernels in 8 bits and biases as int32, each with a DequantizeLinear, for integer kernels.

    Kernels are uint8 around 128, not int8: on CPUs without VNNI ONNX Runtime adds products of uint8 and int8
    up in 16 bits, where they saturate, and detections are wrong; products of two uint8 it adds up in 32.

    Args:
        model: ModelProto whose kernels lie on the int8 grid already, in float; changed and returned.
        network: its weights, with the names of layers.
        spec: scales of the kernels.

    Raises:
        TfyoloError: tf2onnx has turned the graph into something else than it was known to.
    """
    from onnx import numpy_helper

    graph = model.graph
    arrays = {item.name: item for item in graph.initializer}
    scales = _scales(graph, arrays)
    layers = {node.layer: node for node in network.nodes if node.kind == "conv"}
    nodes, done = [], 0
    for node in graph.node:
        match = re.fullmatch(rf".*{KERNEL}(.+?)__\d+", node.input[1]) if node.op_type == "Conv" else None
        if match is not None and match[1] in layers:
            layer = match[1]
            kernel, *biases = (numpy_helper.to_array(arrays[name]) for name in node.input[1:])
            bounds = spec.kernel_bounds(layer, network.weights[layer].kernel)
            step = (bounds / np.float32(127)).astype(np.float32)
            whole = np.clip(np.round(kernel / step[:, None, None, None]), -127, 127) + MIDDLE
            node.input[1] = f"{KERNEL}{layer}"
            nodes.append(_dequantize(graph, node.input[1], whole.astype(np.uint8), step))
            if biases and node.input[0] in scales:
                unit, most = (step * scales[node.input[0]]).astype(np.float32), np.iinfo(np.int32).max
                whole = np.clip(np.round(biases[0] / unit.astype(np.float64)), -most, most)
                node.input[2] = f"bias/{layer}"
                nodes.append(_dequantize(graph, node.input[2], whole.astype(np.int32), unit))
            done += 1
        nodes.append(node)
    expected = sum(not spec.is_float(node.name) for node in layers.values())
    if done != expected:
        raise TfyoloError(f"tf2onnx kept {done} of {expected} integer kernels", fix="report this as a bug")
    del graph.node[:]
    graph.node.extend(nodes)
    used = {name for node in nodes for name in node.input}
    kept = [item for item in graph.initializer if item.name in used]
    del graph.initializer[:]
    graph.initializer.extend(kept)
    return model


def _dequantize(graph: Any, name: str, whole: np.ndarray, step: np.ndarray) -> Any:
    """A node that makes numbers of integers, one step a channel along the first axis."""
    from onnx import helper, numpy_helper

    zero = np.full(step.shape, MIDDLE if whole.dtype == np.uint8 else 0, whole.dtype)
    parts = (f"{name}/whole", f"{name}/step", f"{name}/zero")
    for part, values in zip(parts, (whole, step, zero), strict=True):
        graph.initializer.append(numpy_helper.from_array(values, part))
    return helper.make_node("DequantizeLinear", parts, [name], name=f"{name}/dequantize", axis=0)


def _scales(graph: Any, arrays: dict[str, Any]) -> dict[str, float]:
    """Scale of each tensor that comes out of a DequantizeLinear."""
    from onnx import numpy_helper

    return {
        node.output[0]: float(numpy_helper.to_array(arrays[node.input[1]]))
        for node in graph.node
        if node.op_type == "DequantizeLinear" and node.input[1] in arrays
    }


def outline(model: Any) -> dict[str, Any]:
    """Shapes of a graph's outputs in their order, and its operations: what formats note that tell neither."""
    shapes = {
        output.name: [dim.dim_value for dim in output.type.tensor_type.shape.dim]
        for output in model.graph.output
    }
    return {"outputs": shapes, "operators": dict(Counter(node.op_type for node in model.graph.node))}


def with_metadata(model: Any, contract: Contract) -> Any:
    """The contract under `tfyolo`, and what YOLOv5 writes into its files, for tools that read that."""
    from onnx import helper

    helper.set_model_props(model, metadata(contract))
    model.producer_name, model.producer_version = "tfyolo", contract.version
    model.doc_string = f"{contract.config.get('name', 'YOLOv5')}, {len(contract.names)} classes"
    return model


def metadata(contract: Contract) -> dict[str, str]:
    """Short entries with YOLOv5's names, and the whole contract."""
    return {
        "stride": str(max(contract.strides)),
        "names": str(dict(enumerate(contract.names))),  # as a Python literal, which YOLOv5 reads
        "task": contract.task,
        "imgsz": json.dumps(list(contract.image_size)),
        "tfyolo": contract.to_json(),
    }
