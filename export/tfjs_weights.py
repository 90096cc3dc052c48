"""How a TF.js folder stores kernels: as float32, float16, or int8 with one scale an output channel."""

from __future__ import annotations

import base64
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from tfyolo.export.nodes import Rounding, fits_half

from tfyolo.models.network import Network
from tfyolo.models.quantization import QuantizationSpec, weight_bounds

ZERO = 127
"""What is added to integers from -127 to 127: TF.js stores unsigned ones."""


@dataclass(frozen=True)
class StoredKernels:
    """A network whose kernels have the values that the file will hold, and how it holds them.

    Attributes:
        network: with rounded kernels, for int8.
        steps: of int8 kernels, (output channels,), by the kernel's bytes; so a constant is found again after
            the converter has renamed and reshaped it.
        halved: bytes of kernels that are stored as float16.
    """

    network: Network
    steps: dict[bytes, np.ndarray]
    halved: frozenset[bytes]

    @classmethod
    def of(cls, network: Network, precision: str, spec: QuantizationSpec | None) -> StoredKernels:
        """For a precision of the table in registry.py; int8 takes ranges of weights from `spec`."""
        if precision == "float16":
            kernels = (weights.kernel for weights in network.weights.values())
            return cls(network, {}, frozenset(kernel.tobytes() for kernel in kernels if fits_half(kernel)))
        if precision != "int8" or spec is None:
            return cls(network, {}, frozenset())
        rounding, rounded, steps = Rounding(network, spec), {}, {}
        for node in network.nodes:
            if node.layer not in network.weights or spec.is_float(node.name):
                continue
            weights, known = network.weights[node.layer], spec.bounds.get(node.layer)
            bounds = np.array(known, np.float32) if known else weight_bounds(weights.kernel, spec.weights)
            step = np.broadcast_to(bounds / np.float32(ZERO), weights.kernel.shape[-1:])
            # Of ties, too, each falls where the integer files have it.
            kernel = np.rint(rounding.kernel(weights.kernel, node).numpy() / step) * step
            rounded[node.layer] = weights._replace(kernel=kernel)
            steps[kernel.tobytes()] = step
        return cls(network.with_weights(rounded), steps, frozenset())


def store(model: dict[str, Any], folder: Path, stored: StoredKernels) -> None:
    """Write the weights of a float32 folder anew.

    Biases and the constants of decoding and NMS stay float32: coordinates in 256 steps would be useless. Int8
    kernels are stored as whole numbers, and the graph multiplies what comes out of the convolution by the
    steps. TF.js itself knows one scale for a whole tensor only, which costs accuracy, since folded batch
    normalisation has made channels differ; and a product in front of the convolution would have it repack the
    kernel for every image, which takes a quarter of the time.

    Args:
        model: what model.json holds; changed.
        folder: where the shards are.
        stored: which kernels are stored how.
    """
    if not stored.steps and not stored.halved:
        return
    from tensorflowjs import read_weights, write_weights

    (group,) = read_weights.read_weights(model["weightsManifest"], str(folder))
    for name in model["weightsManifest"][0]["paths"]:
        (folder / name).unlink()
    entries = {entry["name"]: entry for entry in group}
    halved = [name for name, entry in entries.items() if entry["data"].tobytes() in stored.halved]
    nodes = model["modelTopology"]["node"]
    convolutions = [node for node in nodes if node["op"] in _CONVOLUTIONS]
    read = Counter(name for node in nodes for name in node.get("input", ()))
    kernels = Counter(node["input"][1] for node in convolutions)
    steps = {
        name: stored.steps[entries[name]["data"].tobytes()]
        for name, count in kernels.items()
        if count == read[name] and name in entries and entries[name]["data"].tobytes() in stored.steps
    }
    for node in convolutions:
        if node["input"][1] in steps:
            constants, added = _scaled(node, steps[node["input"][1]], entries)
            nodes += added
            group += [{"name": name, "data": data} for name, data in constants.items()]
    for name, step in steps.items():
        entry = entries[name]
        # A depthwise kernel stands there as (height, width, channels, 1).
        levels = entry["data"] / step.reshape(-1, entry["data"].shape[-1])
        entry["data"] = np.uint8(np.rint(levels) + ZERO)
        entry["quantization"] = {"min": float(-ZERO), "scale": 1.0, "original_dtype": "float32"}
    model["weightsManifest"] = write_weights.write_weights(
        [group], str(folder), write_manifest=False, quantization_dtype_map={"float16": halved}
    )


_CONVOLUTIONS = ("Conv2D", "_FusedConv2D", "DepthwiseConv2dNative", "FusedDepthwiseConv2dNative")
_KEEPS_FACTORS = ("BiasAdd", "Relu", "LeakyRelu")
"""What may happen between a convolution and the product: f(s x) = s f(x) for s above 0."""


def _scaled(
    node: dict[str, Any], step: np.ndarray, entries: dict[str, Any]
) -> tuple[dict[str, np.ndarray], list[dict[str, Any]]]:
    """Let a convolution compute with whole numbers, and a product that takes its name undo that.

    Returns:
        New constants by name, and new nodes.
    """
    name = node["name"]
    node["name"] = f"{name}/levels"
    constants = {f"{name}/steps": np.ascontiguousarray(step)}
    fused = [
        base64.b64decode(x).decode() for x in node["attr"].get("fused_ops", {}).get("list", {}).get("s", [])
    ]
    if "BiasAdd" in fused:
        constants[f"{name}/bias"] = entries[node["input"][2]]["data"] / step
        node["input"][2] = f"{name}/bias"
    last = [op for op in fused if op not in _KEEPS_FACTORS]
    if last:  # an activation such as Relu6 comes after the product
        kept = [op for op in fused if op in _KEEPS_FACTORS]
        node["attr"]["fused_ops"] = {"list": {"s": [base64.b64encode(op.encode()).decode() for op in kept]}}
    inner = f"{name}/scaled" if last else name
    nodes = [_operation(inner, "Mul", f"{name}/levels", f"{name}/steps")]
    nodes += [_operation(name, op, inner) for op in last]
    return constants, nodes + [_constant(key, data.shape) for key, data in constants.items()]


def _operation(name: str, op: str, *inputs: str) -> dict[str, Any]:
    return {"name": name, "op": op, "input": list(inputs), "attr": {"T": {"type": "DT_FLOAT"}}}


def _constant(name: str, shape: tuple[int, ...]) -> dict[str, Any]:
    sizes = {"dim": [{"size": str(size)} for size in shape]}
    value = {"tensor": {"dtype": "DT_FLOAT", "tensorShape": sizes}}
    return {"name": name, "op": "Const", "attr": {"dtype": {"type": "DT_FLOAT"}, "value": value}}
