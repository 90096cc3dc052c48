"""An interpreter of MIL (Apple's Model Intermediate Language), which runs packages without macOS."""

import math
from pathlib import Path
from typing import Any

import numpy as np

from tfyolo.export.coreml.package import BLOB_HEADER, read_package, submodels

DTYPES = {1: np.bool_, 10: np.float16, 11: np.float32, 21: np.int8, 22: np.int16, 23: np.int32, 32: np.uint16}
CASTS = {"fp16": np.float16, "fp32": np.float32, "int32": np.int32, "bool": np.bool_}
SIMPLE_OPERATIONS = {
    "mul": lambda x, y: x * y,
    "add": lambda x, y: x + y,
    "sub": lambda x, y: x - y,
    "square": lambda x: x * x,
    "equal": lambda x, y: x == y,
    "sigmoid": lambda x: 1 / (1 + np.exp(-x)),
    "silu": lambda x: x / (1 + np.exp(-x)),
    "softmax": lambda x, axis: (
        np.exp(x - x.max(axis, keepdims=True))
        / np.exp(x - x.max(axis, keepdims=True)).sum(axis, keepdims=True)
    ),
    "transpose": lambda x, perm: x.transpose(perm),
    "reshape": lambda x, shape: x.reshape(shape),
    "expand_dims": lambda x, axes: np.expand_dims(x, tuple(axes)),
    "squeeze": lambda x, axes: x.squeeze(tuple(axes)),
    "concat": lambda values, axis, interleave: np.concatenate(values, axis),
    "stack": lambda values, axis: np.stack(values, axis),
    "gather": lambda x, indices, axis, **_: x.take(indices, axis),
    "reduce_max": lambda x, axes, keep_dims: x.max(tuple(axes), keepdims=bool(keep_dims)),
    "reduce_mean": lambda x, axes, keep_dims: x.mean(tuple(axes), keepdims=bool(keep_dims)),
    "upsample_nearest_neighbor": lambda x, scale_factor_height, scale_factor_width: x.repeat(
        int(scale_factor_height), 2
    ).repeat(int(scale_factor_width), 3),
    "cast": lambda x, dtype: x.astype(CASTS[dtype]),
}


def run_program(package: Path, image: np.ndarray) -> dict[str, np.ndarray]:
    """Return the outputs of the ML program in a package for one uint8 image (height, width, 3)."""
    program, weights = program_of(package)
    (function,) = program.functions.values()
    (block,) = function.block_specializations.values()
    tensors = {function.inputs[0].name: image.transpose(2, 0, 1)[None].astype(np.float32)}
    for operation in block.operations:
        (output, *_) = operation.outputs
        if operation.type == "classify":  # adds class names to the probabilities
            tensors[operation.outputs[1].name] = tensors[operation.inputs["probabilities"].arguments[0].name][
                0
            ]
            continue
        if operation.type == "const":
            tensors[output.name] = constant(operation.attributes["val"], weights)
            continue
        inputs = {}
        for key, bound in operation.inputs.items():
            values = [
                tensors[x.name] if x.HasField("name") else constant(x.value, weights) for x in bound.arguments
            ]
            inputs[key] = values if key == "values" else values[0]
        float32_inputs = {k: np.float32(v) if is_float16(v) else v for k, v in inputs.items()}
        compute = LAYER_OPERATIONS.get(operation.type) or SIMPLE_OPERATIONS[operation.type]
        with np.errstate(over="ignore"):  # exp(-x) may be infinite
            result = compute(**float32_inputs)
        # Round to the dtype that the program declares.
        tensors[output.name] = np.asarray(result, DTYPES[output.type.tensorType.dataType])
        shape = [int(d.constant.size) for d in output.type.tensorType.dimensions]
        assert list(tensors[output.name].shape) == shape, output.name
    return {name: tensors[name] for name in block.outputs if name in tensors}


def is_float16(value: Any) -> bool:
    return isinstance(value, np.ndarray) and value.dtype == np.float16


def program_of(package: Path) -> tuple[Any, bytes]:
    """Return the network's ML program, and the content of the file of weights."""
    model, _ = read_package(package)
    (program,) = (x.mlProgram for x in submodels(model) if x.WhichOneof("Type") == "mlProgram")
    return program, next(package.rglob("weight.bin")).read_bytes()


def constant(value: Any, weights: bytes) -> Any:
    """Return a constant of the program as an array or a string; None for other types."""
    tensor_type = value.type.tensorType
    shape = [int(d.constant.size) for d in tensor_type.dimensions]
    if value.HasField("blobFileValue"):
        _, _, count, start = BLOB_HEADER.unpack_from(weights, value.blobFileValue.offset)
        return np.frombuffer(weights[start : start + count], DTYPES[tensor_type.dataType]).reshape(shape)
    if value.type.WhichOneof("type") != "tensorType":
        return None
    tensor = value.immediateValue.tensor
    values = getattr(tensor, tensor.WhichOneof("value")).values
    if tensor.WhichOneof("value") == "strings":
        return values[0]
    if tensor.WhichOneof("value") == "bytes":
        return np.frombuffer(values, DTYPES[tensor_type.dataType]).reshape(shape)
    return np.array(list(values), DTYPES[tensor_type.dataType]).reshape(shape)


def padding(x: np.ndarray, window: list[int], strides: np.ndarray, pad_type: str, pad: Any) -> list[Any]:
    """Return the padding before and after height and width."""
    if pad_type == "custom":
        return [(int(pad[0]), int(pad[1])), (int(pad[2]), int(pad[3]))]
    if pad_type == "valid":
        return [(0, 0), (0, 0)]
    assert pad_type == "same"
    pairs = []
    for size, length, stride in zip(x.shape[2:], window, strides, strict=True):
        total = max((math.ceil(size / stride) - 1) * stride + length - size, 0)
        pairs.append((total // 2, total - total // 2))
    return pairs


def conv(x, weight, strides, pad_type, pad, dilations, groups, bias=None):
    import tensorflow as tf

    assert int(groups) == 1
    assert list(dilations) == [1, 1]
    pairs = padding(x, list(weight.shape[2:]), strides, pad_type, pad)
    images = np.pad(x, [(0, 0), (0, 0), *pairs]).transpose(0, 2, 3, 1)
    out = tf.nn.conv2d(images, weight.transpose(2, 3, 1, 0), [int(s) for s in strides], "VALID").numpy()
    out = out.transpose(0, 3, 1, 2)
    return out if bias is None else out + bias[:, None, None]


def max_pool(x, kernel_sizes, strides, pad_type, pad, ceil_mode):
    assert not ceil_mode
    pairs = padding(x, list(kernel_sizes), strides, pad_type, pad)
    padded = np.pad(x, [(0, 0), (0, 0), *pairs], constant_values=-np.inf)
    windows = np.lib.stride_tricks.sliding_window_view(padded, tuple(map(int, kernel_sizes)), (2, 3))
    return windows[:, :, :: int(strides[0]), :: int(strides[1])].max((-1, -2))


def pad(x, pad, mode, constant_val):
    assert mode == "constant"
    pairs = [(int(pad[i]), int(pad[i + 1])) for i in range(0, len(pad), 2)]
    return np.pad(x, [(0, 0)] * (x.ndim - len(pairs)) + pairs, constant_values=float(constant_val))


def slice_by_index(x, begin, end, begin_mask=None, end_mask=None, squeeze_mask=None, stride=None):
    index: list[Any] = []
    for i in range(x.ndim):
        if squeeze_mask is not None and squeeze_mask[i]:
            index.append(int(begin[i]))
            continue
        first = None if begin_mask is not None and begin_mask[i] else int(begin[i])
        last = None if end_mask is not None and end_mask[i] else int(end[i])
        index.append(slice(first, last, 1 if stride is None else int(stride[i])))
    return x[tuple(index)]


LAYER_OPERATIONS = {"conv": conv, "max_pool": max_pool, "pad": pad, "slice_by_index": slice_by_index}
