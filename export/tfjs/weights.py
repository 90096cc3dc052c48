"""Stores the weights of a TF.js folder: float32, float16, or int8 with one scale per output channel."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tfyolo.export.graph.nodes import FakeQuantization, fits_float16
from tfyolo.models.network import Network
from tfyolo.models.quantization import INT8_MAX, Placement, QuantizationSpec, round_to_int8

SHARD_BYTES = 4 << 20
"""Largest file size that all browsers cache."""
_STORED_DTYPES = {
    np.dtype(np.float64): np.float32,
    np.dtype(np.float16): np.float32,
    np.dtype(np.int64): np.int32,
}
"""TF.js has one float type and one integer type."""


@dataclass(frozen=True)
class QuantizedKernels:
    """A network whose kernels have the values that an int8 file represents.

    Attributes:
        network: the network, with quantized kernels in float.
        steps: quantization steps, (output channels,), by the bytes of the kernel, which identify it in a
            graph in which it has another name and shape.
    """

    network: Network
    steps: dict[bytes, np.ndarray]

    @classmethod
    def of(cls, network: Network, spec: QuantizationSpec | None) -> QuantizedKernels:
        """Quantize the kernels of a network.

        Args:
            network: float network.
            spec: ranges of the kernels; None leaves all kernels float.
        """
        if spec is None:
            return cls(network, {})
        fake_quantization, placement = FakeQuantization(network, spec), Placement.of(network, spec.keep_float)
        quantized: dict[str, Any] = {}
        steps: dict[bytes, np.ndarray] = {}
        for node in network.nodes:
            if node.layer not in network.weights or placement.is_float(node.name):
                continue
            weights = network.weights[node.layer]
            step = spec.kernel_steps(node.layer, weights.kernel)
            # Fake quantization first, so that ties round as in the other int8 formats.
            kernel = round_to_int8(fake_quantization.kernel(weights.kernel, node).numpy() / step) * step
            quantized[node.layer] = weights._replace(kernel=kernel)
            steps[kernel.tobytes()] = step
        return cls(network.with_weights(quantized), steps)


def write_weights(
    constants: dict[str, np.ndarray], int8_names: set[str], float16_names: set[str], folder: Path
) -> list[dict[str, Any]]:
    """Write the shards of a folder.

    Biases and the constants of decoding and NMS stay float32: 256 steps are too few for coordinates. int8
    kernels are stored as integers, and the graph contains their scales: TF.js has one scale per tensor, which
    costs accuracy, since folded batch normalization makes the ranges of channels differ.

    Args:
        constants: values by name.
        int8_names: kernels with integer values from -127 to 127, stored as uint8.
        float16_names: kernels to store as float16, unless their values exceed its range.
        folder: an existing folder.

    Returns:
        `weightsManifest` of model.json.
    """
    entries, data = [], bytearray()
    for name, value in constants.items():
        value = np.asarray(value, _STORED_DTYPES.get(value.dtype, value.dtype))
        entry: dict[str, Any] = {"name": name, "shape": list(value.shape), "dtype": value.dtype.name}
        if name in int8_names:
            value = (value + INT8_MAX).astype(np.uint8)  # TF.js has no int8
            entry["quantization"] = {"dtype": "uint8", "min": float(-INT8_MAX), "scale": 1.0}
        elif name in float16_names and fits_float16(value):
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
