"""Integer kernels of an ONNX model as the processor likes them best.

Files hold kernels as uint8 around 128, since x86 processors without VNNI add products of uint8 and int8 up in
16 bits, which saturate. Those with VNNI multiply uint8 by int8 twice as fast as uint8 by uint8.
"""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import numpy as np

MIDDLE = 128
QUANTIZED = b"DequantizeLinear"


def signed_kernels(content: bytes) -> bytes:
    """A model with its kernels as int8 around 0, which stand for the same numbers.

    Args:
        content: of an `.onnx` file.

    Returns:
        Another file's content; the same where there is nothing to change, or the file is damaged.
    """
    if QUANTIZED not in content:
        return content
    try:
        import onnx
    except ImportError:  # ONNX Runtime alone runs the file as it is
        return content
    try:
        model = onnx.load_model_from_string(content)
    except Exception:  # the protobuf library has several kinds; ONNX Runtime will say what is wrong
        return content
    tensors = {tensor.name: tensor for tensor in model.graph.initializer}
    pairs = {
        (node.input[0], node.input[2])
        for node in model.graph.node
        if node.op_type == "DequantizeLinear"
        and len(node.input) > 2
        and _is_uint8(tensors.get(node.input[0]))
        and _is_middle(tensors.get(node.input[2]))
    }
    shared = _also_read_by_others(model.graph, pairs)
    # Both or none of a pair, and of those that share one of them.
    while bad := {pair for pair in pairs if shared.intersection(pair)}:
        pairs -= bad
        shared.update(name for pair in bad for name in pair)
    for name in {name for pair in pairs for name in pair}:
        values = onnx.numpy_helper.to_array(tensors[name])
        signed = (values ^ np.uint8(MIDDLE)).view(np.int8)  # less 128, modulo 256
        tensors[name].CopyFrom(onnx.numpy_helper.from_array(signed, name))
    return bytes(model.SerializeToString())


def _is_uint8(tensor: Any) -> bool:
    """A constant of this model's file: one of another file is not read."""
    import onnx

    kinds = onnx.TensorProto
    return (
        tensor is not None
        and tensor.data_type == kinds.UINT8
        and tensor.data_location != kinds.EXTERNAL
        and not tensor.external_data
    )


def _is_middle(tensor: Any) -> bool:
    import onnx

    return _is_uint8(tensor) and bool((onnx.numpy_helper.to_array(tensor) == MIDDLE).all())


def _also_read_by_others(graph: Any, pairs: set[tuple[str, str]]) -> set[str]:
    """Names of the pairs' tensors that not only the pairs' own operations read."""
    readers: dict[str, set[tuple[str, int, tuple[str, ...]]]] = defaultdict(set)
    for node in graph.node:
        for place, name in enumerate(node.input):
            readers[name].add((node.op_type, place, tuple(node.input)))
    mine: set[str] = set()
    for kernel, zero in pairs:
        mine.update(
            name
            for place, name in ((0, kernel), (2, zero))
            for kind, where, inputs in readers[name]
            if kind != "DequantizeLinear" or where != place or (inputs[0], inputs[2]) not in pairs
        )
    return mine | {output.name for output in graph.output}
