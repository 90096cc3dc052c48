"""From a PyTorch state dict to a Keras model: names are equal, only the layout of arrays differs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from tfyolo.errors import TfyoloError

Tensors = Mapping[str, np.ndarray]

# What PyTorch modules hold that is no weight of the network here.
_IGNORED = ("num_batches_tracked", "anchors", "anchor_grid", "total_ops", "total_params")


def load_tensors(model: Any, tensors: Tensors, path: Path | None = None) -> None:
    """Set every weight of `model`, built by `build_model`, from arrays named as in PyTorch.

    Args:
        model: Keras 3 or tf_keras.
        tensors: dotted names such as `model.0.conv.weight` to arrays in PyTorch's layout.
        path: named in errors.

    Raises:
        TfyoloError: an array is missing, left over or of another shape.
    """
    used: set[str] = set()
    for layer in model.layers:
        if not layer.weights:
            continue
        values: list[np.ndarray] = []
        try:
            for names, value in _LAYOUTS[type(layer).__name__](layer, tensors, path):
                used.update(names)
                values.append(value)
        except ValueError as error:  # not even of the number of dimensions that the layout has
            raise TfyoloError(f"a weight of {layer.name} has the wrong shape: {error}", path=path) from error
        for weight, value in zip(layer.weights, values, strict=True):
            if tuple(weight.shape) != value.shape:
                raise TfyoloError(
                    f"{layer.name}: {weight.name} is {value.shape} in the file, but {tuple(weight.shape)} "
                    "in the configuration (Keras' order of dimensions)",
                    path=path,
                )
        layer.set_weights(values)
    left = [n for n in tensors if n not in used and not n.endswith(_IGNORED)]
    if left:
        raise TfyoloError(
            f"{len(left)} weights have no place in the configuration, {left[0]} first", path=path
        )


Values = Iterator[tuple[list[str], np.ndarray]]


def _get(tensors: Tensors, name: str, path: Path | None) -> np.ndarray:
    try:
        return tensors[name]
    except KeyError:
        raise TfyoloError(f"weight {name} is missing", path=path) from None


def _conv2d(layer: Any, tensors: Tensors, path: Path | None) -> Values:
    kernel = _get(tensors, f"{layer.name}.weight", path)
    if kernel.ndim == 4:
        if kernel.shape[1] == 4 * layer.weights[0].shape[2]:
            kernel = focus_kernel(kernel)
        kernel = kernel.transpose(2, 3, 1, 0)
    yield [f"{layer.name}.weight"], kernel
    if layer.use_bias:
        yield [f"{layer.name}.bias"], _get(tensors, f"{layer.name}.bias", path)


def focus_kernel(kernel: np.ndarray) -> np.ndarray:
    """Kernel (out, 4 * in, k, k) over the four phases of an image as one (out, in, 2k, 2k) over the image.

    Focus stacks the phases (row, column) = (0, 0), (1, 0), (0, 1), (1, 1), row + 2 * column.
    """
    out, stacked, size, _ = kernel.shape
    phases = kernel.reshape(out, 2, 2, stacked // 4, size, size)  # out, column, row, in, y, x
    return phases.transpose(0, 3, 4, 2, 5, 1).reshape(out, stacked // 4, 2 * size, 2 * size)


def _depthwise(layer: Any, tensors: Tensors, path: Path | None) -> Values:
    kernel = _get(tensors, f"{layer.name}.weight", path)
    if kernel.ndim == 4:  # (in * multiplier, 1, k, k)
        kernel = kernel.reshape(-1, layer.depth_multiplier, *kernel.shape[2:]).transpose(2, 3, 0, 1)
    yield [f"{layer.name}.weight"], kernel
    if layer.use_bias:
        yield [f"{layer.name}.bias"], _get(tensors, f"{layer.name}.bias", path)


def _batch_norm(layer: Any, tensors: Tensors, path: Path | None) -> Values:
    for part in ("weight", "bias", "running_mean", "running_var"):
        yield [f"{layer.name}.{part}"], _get(tensors, f"{layer.name}.{part}", path)


def _dense(layer: Any, tensors: Tensors, path: Path | None) -> Values:
    yield [f"{layer.name}.weight"], _get(tensors, f"{layer.name}.weight", path).T
    if layer.use_bias:
        yield [f"{layer.name}.bias"], _get(tensors, f"{layer.name}.bias", path)


def _attention(layer: Any, tensors: Tensors, path: Path | None) -> Values:
    weight, bias = (f"{layer.name}.in_proj_{part}" for part in ("weight", "bias"))
    channels, heads, size = layer.weights[0].shape
    kernels, biases = (np.split(_get(tensors, name, path), 3) for name in (weight, bias))
    for kernel, offset in zip(kernels, biases, strict=True):  # query, key, value
        yield [weight], kernel.T.reshape(channels, heads, size)
        yield [bias], offset.reshape(heads, size)
    out = f"{layer.name}.out_proj"
    yield [f"{out}.weight"], _get(tensors, f"{out}.weight", path).T.reshape(heads, size, channels)
    yield [f"{out}.bias"], _get(tensors, f"{out}.bias", path)


_LAYOUTS = {
    "Conv2D": _conv2d,
    "DepthwiseConv2D": _depthwise,
    "BatchNormalization": _batch_norm,
    "Dense": _dense,
    "MultiHeadAttention": _attention,
}
