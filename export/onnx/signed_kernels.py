"""Converts uint8 kernels of an ONNX model to int8 for processors with VNNI.

Files store kernels as uint8 with zero point 128: x86 processors without VNNI accumulate products of uint8 and
int8 in 16 bits, which saturate. Processors with VNNI multiply uint8 by int8 twice as fast as uint8 by uint8.
"""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import numpy as np

from tfyolo.export.onnx.entry import KERNEL_ZERO_POINT

_DEQUANTIZE = "DequantizeLinear"


def signed_kernels(content: bytes) -> bytes:
    """Return a model whose uint8 kernels with zero point 128 are int8 with zero point 0, of equal values.

    Args:
        content: bytes of an `.onnx` file.

    Returns:
        The bytes of the converted model; `content` itself if it has no such kernels or is damaged.

    Example:
        >>> signed_kernels(b"a file without integer kernels")
        b'a file without integer kernels'
    """
    if _DEQUANTIZE.encode() not in content:
        return content
    try:
        import onnx
    except ImportError:  # ONNX Runtime alone runs the file without the conversion
        return content
    try:
        model = onnx.load_model_from_string(content)
    except Exception:  # protobuf raises several types; ONNX Runtime reports the damage
        return content
    tensors = {tensor.name: tensor for tensor in model.graph.initializer}
    pairs = {
        (node.input[0], node.input[2])  # kernel and zero point
        for node in model.graph.node
        if node.op_type == _DEQUANTIZE
        and len(node.input) > 2
        and _is_uint8(tensors.get(node.input[0]))
        and _is_zero_point(tensors.get(node.input[2]))
    }
    blocked = _with_other_readers(model.graph, pairs)
    # Kernel and zero point change together or not at all, and so do pairs that share one of them.
    while blocked_pairs := {pair for pair in pairs if blocked.intersection(pair)}:
        pairs -= blocked_pairs
        blocked.update(name for pair in blocked_pairs for name in pair)
    for name in {name for pair in pairs for name in pair}:
        values = onnx.numpy_helper.to_array(tensors[name])
        # Flipping the highest bit subtracts 128 modulo 256.
        signed = (values ^ np.uint8(KERNEL_ZERO_POINT)).view(np.int8)
        tensors[name].CopyFrom(onnx.numpy_helper.from_array(signed, name))
    return bytes(model.SerializeToString())


def _is_uint8(tensor: Any) -> bool:
    """Return True for a uint8 constant that is stored in the model; external data is not read."""
    import onnx

    return (
        tensor is not None
        and tensor.data_type == onnx.TensorProto.UINT8
        and tensor.data_location != onnx.TensorProto.EXTERNAL
        and not tensor.external_data
    )


def _is_zero_point(tensor: Any) -> bool:
    """Return True for a uint8 constant whose values are all 128."""
    import onnx

    return _is_uint8(tensor) and bool((onnx.numpy_helper.to_array(tensor) == KERNEL_ZERO_POINT).all())


def _with_other_readers(graph: Any, pairs: set[tuple[str, str]]) -> set[str]:
    """Return the names of kernels and zero points that nodes other than those of `pairs` read too."""
    readers: dict[str, set[tuple[str, int, tuple[str, ...]]]] = defaultdict(set)
    for node in graph.node:
        for index, name in enumerate(node.input):
            readers[name].add((node.op_type, index, tuple(node.input)))
    shared: set[str] = set()
    for kernel, zero_point in pairs:
        shared.update(
            name
            for input_index, name in ((0, kernel), (2, zero_point))
            for operator, index, inputs in readers[name]
            if operator != _DEQUANTIZE or index != input_index or (inputs[0], inputs[2]) not in pairs
        )
    return shared | {output.name for output in graph.output}
