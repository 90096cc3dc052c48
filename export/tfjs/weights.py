"""How a TF.js folder stores weights: as float32, float16, or int8 with one scale per output channel."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tfyolo.export.graph.nodes import FakeQuantization, fits_float16
from tfyolo.models.network import Network
from tfyolo.models.quantization import QuantizationSpec, weight_bounds

ZERO = 127
"""What is added to integers from -127 to 127: TF.js stores unsigned ones."""
SHARD_BYTES = 4 << 20
"""Largest size that all browsers cache."""
_STORED = {np.dtype(np.float64): np.float32, np.dtype(np.float16): np.float32, np.dtype(np.int64): np.int32}
"""TF.js has one type of floats, and one of integers."""


@dataclass(frozen=True)
class RoundedKernels:
    """A network whose kernels have the values that an int8 file will hold.

    Attributes:
        network: with rounded kernels.
        steps: quantization steps, (output channels,), by the bytes of the kernel: so it is found again in a
            graph where it has another name and shape.
    """

    network: Network
    steps: dict[bytes, np.ndarray]

    @classmethod
    def of(cls, network: Network, spec: QuantizationSpec | None) -> RoundedKernels:
        """With the ranges of weights in `spec`; None leaves all kernels as they are."""
        if spec is None:
            return cls(network, {})
        quantization, rounded, steps = FakeQuantization(network, spec), {}, {}
        for node in network.nodes:
            if node.layer not in network.weights or spec.is_float(node.name):
                continue
            weights, known = network.weights[node.layer], spec.bounds.get(node.layer)
            bounds = np.array(known, np.float32) if known else weight_bounds(weights.kernel, spec.weights)
            step = np.broadcast_to(bounds / np.float32(ZERO), weights.kernel.shape[-1:])
            # Of ties, too, each falls where the integer files have it.
            kernel = np.rint(quantization.kernel(weights.kernel, node).numpy() / step) * step
            rounded[node.layer] = weights._replace(kernel=kernel)
            steps[kernel.tobytes()] = step
        return cls(network.with_weights(rounded), steps)


def write_weights(
    constants: dict[str, np.ndarray], levels: set[str], halved: set[str], folder: Path
) -> list[dict[str, Any]]:
    """Write the shards of a folder.

    Biases and the constants of decoding and NMS stay float32: coordinates in 256 steps would be useless.
    Kernels in int8 are stored as whole numbers, and the graph holds their scales: TF.js itself knows one
    scale per tensor, which costs accuracy, since folded batch normalization has made channels differ.

    Args:
        constants: values by name.
        levels: names of kernels that hold whole numbers from -127 to 127, stored as uint8.
        halved: names of kernels that are stored as float16 where float16 can hold their values.
        folder: exists.

    Returns:
        `weightsManifest` of model.json.
    """
    entries, data = [], bytearray()
    for name, value in constants.items():
        value = np.asarray(value, _STORED.get(value.dtype, value.dtype))
        entry: dict[str, Any] = {"name": name, "shape": list(value.shape), "dtype": value.dtype.name}
        if name in levels:
            value = (value + ZERO).astype(np.uint8)
            entry["quantization"] = {"dtype": "uint8", "min": float(-ZERO), "scale": 1.0}
        elif name in halved and fits_float16(value):
            value = value.astype(np.float16)
            entry["quantization"] = {"dtype": "float16"}
        if "quantization" in entry:
            entry["quantization"]["original_dtype"] = entry["dtype"]
        entries.append(entry)
        data += value.tobytes()
    count = math.ceil(len(data) / SHARD_BYTES)
    paths = [f"group1-shard{i + 1}of{count}.bin" for i in range(count)]
    for i, path in enumerate(paths):
        (folder / path).write_bytes(data[i * SHARD_BYTES : (i + 1) * SHARD_BYTES])
    return [{"paths": paths, "weights": entries}]
