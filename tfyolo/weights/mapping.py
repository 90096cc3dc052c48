"""Conversion between a PyTorch state dict and a Keras model: equal names, different array layouts."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tfyolo.errors import TfyoloError
from tfyolo.models.spec import ModelSpec

Tensors = Mapping[str, np.ndarray]

# Buffers of PyTorch modules that are not weights of the Keras model.
_IGNORED = ("num_batches_tracked", "anchors", "anchor_grid", "total_ops", "total_params")


def load_tensors(model: Any, tensors: Tensors, path: Path | None = None) -> None:
    """Set every weight of a Keras model from a PyTorch state dict.

    Args:
        model: built by `build_model`, on Keras 3 or tf_keras.
        tensors: state dict: names such as `model.0.conv.weight` to arrays in PyTorch's layout.
        path: the file, for error messages.

    Raises:
        TfyoloError: an array is missing, left over or of another shape.
    """
    used: set[str] = set()
    for layer in model.layers:
        if not layer.weights:
            continue
        values: list[np.ndarray] = []
        try:
            for names, value in LAYOUTS[type(layer).__name__].to_keras(layer, tensors, path):
                used.update(names)
                values.append(value)
        except ValueError as error:  # not even of the number of dimensions that the layout has
            raise TfyoloError(f"a weight of {layer.name} has the wrong shape: {error}", path=path) from error
        for weight, value in zip(layer.weights, values, strict=True):
            if tuple(weight.shape) != value.shape:
                raise TfyoloError(
                    f"{layer.name}: {weight.name} is {value.shape} in the file, but {tuple(weight.shape)} "
                    "in the configuration (in Keras' dimension order)",
                    path=path,
                )
        layer.set_weights(values)
    left = [n for n in tensors if n not in used and not n.endswith(_IGNORED)]
    if left:
        raise TfyoloError(
            f"{len(left)} weights do not belong to the configuration, the first is {left[0]}", path=path
        )


def tensors_of(model: Any, spec: ModelSpec) -> dict[str, np.ndarray]:
    """Convert the weights of a Keras model to a PyTorch state dict, the inverse of `load_tensors`.

    Args:
        model: built by `build_model(spec)`.
        spec: configuration of the model, which marks convolutions that were a Focus.

    Returns:
        Arrays in PyTorch's layout by name; `num_batches_tracked` (int64 scalar) is 0. Anchors are not
        included, because they are not weights of the Keras model.
    """
    focus = tuple(f"model.{layer.index}." for layer in spec.layers if layer.block == "Focus")
    tensors: dict[str, np.ndarray] = {}
    for layer in model.layers:
        if not layer.weights:
            continue
        values = [np.asarray(value) for value in layer.get_weights()]
        parts = LAYOUTS[type(layer).__name__].to_torch(layer, values)
        if layer.name.startswith(focus):
            parts = {name: phases_kernel(part) if part.ndim == 4 else part for name, part in parts.items()}
        tensors |= {f"{layer.name}.{name}": part for name, part in parts.items()}
    return tensors


# Submodules in the order in which YOLOv5's modules create them.
_PARTS = ["conv", "linear", "cv1", "cv2", "cv3", "cv4", "bn"]
_PARTS += ["q", "k", "v", "ma", "fc1", "fc2", "tr", "m", "proto", "shortcut"]


def in_state_dict_order(tensors: Tensors) -> dict[str, np.ndarray]:
    """Sort a state dict in the order of YOLOv5's modules: optimizers identify parameters by position."""

    def place(name: str) -> list[tuple[int, str]]:
        parts = name.split(".")[:-1]
        return [(int(p) if p.isdigit() else _PARTS.index(p) if p in _PARTS else 99, p) for p in parts]

    return {name: tensors[name] for name in sorted(tensors, key=place)}


Values = Iterator[tuple[list[str], np.ndarray]]
Parts = dict[str, np.ndarray]


@dataclass(frozen=True)
class Layout:
    """Conversion of the weights of one Keras layer class, in both directions.

    Attributes:
        to_keras: maps layer, state dict and file to, per weight in Keras' order, the names of its tensors and
            its array.
        to_torch: maps layer and arrays in Keras' order to PyTorch's arrays by the last part of their names.
    """

    to_keras: Callable[[Any, Tensors, Path | None], Values]
    to_torch: Callable[[Any, list[np.ndarray]], Parts]


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


def _conv2d_back(layer: Any, values: list[np.ndarray]) -> Parts:
    return _named(values[0].transpose(3, 2, 0, 1), *values[1:])


def _named(*values: np.ndarray) -> Parts:
    """A weight, and a bias if there is one."""
    return dict(zip(("weight", "bias"), values, strict=False))


def focus_kernel(kernel: np.ndarray) -> np.ndarray:
    """Kernel (out, 4 * in, k, k) over the four phases of an image as one (out, in, 2k, 2k) over the image.

    Focus stacks the phases (row, column) = (0, 0), (1, 0), (0, 1), (1, 1), row + 2 * column.
    """
    out, stacked, size, _ = kernel.shape
    phases = kernel.reshape(out, 2, 2, stacked // 4, size, size)  # out, column, row, in, y, x
    return phases.transpose(0, 3, 4, 2, 5, 1).reshape(out, stacked // 4, 2 * size, 2 * size)


def phases_kernel(kernel: np.ndarray) -> np.ndarray:
    """The inverse of `focus_kernel`: (out, in, 2k, 2k) as (out, 4 * in, k, k)."""
    out, channels, size, _ = kernel.shape
    halves = kernel.reshape(out, channels, size // 2, 2, size // 2, 2)  # out, in, y, row, x, column
    return halves.transpose(0, 5, 3, 1, 2, 4).reshape(out, 4 * channels, size // 2, size // 2)


def _depthwise(layer: Any, tensors: Tensors, path: Path | None) -> Values:
    kernel = _get(tensors, f"{layer.name}.weight", path)
    if kernel.ndim == 4:  # (in * multiplier, 1, k, k)
        kernel = kernel.reshape(-1, layer.depth_multiplier, *kernel.shape[2:]).transpose(2, 3, 0, 1)
    yield [f"{layer.name}.weight"], kernel
    if layer.use_bias:
        yield [f"{layer.name}.bias"], _get(tensors, f"{layer.name}.bias", path)


def _depthwise_back(layer: Any, values: list[np.ndarray]) -> Parts:
    kernel = values[0]  # k, k, in, multiplier
    return _named(kernel.transpose(2, 3, 0, 1).reshape(-1, 1, *kernel.shape[:2]), *values[1:])


_BATCH_NORM = ("weight", "bias", "running_mean", "running_var")


def _batch_norm(layer: Any, tensors: Tensors, path: Path | None) -> Values:
    for part in _BATCH_NORM:
        yield [f"{layer.name}.{part}"], _get(tensors, f"{layer.name}.{part}", path)


def _batch_norm_back(layer: Any, values: list[np.ndarray]) -> Parts:
    return {**dict(zip(_BATCH_NORM, values, strict=True)), "num_batches_tracked": np.zeros((), np.int64)}


def _dense(layer: Any, tensors: Tensors, path: Path | None) -> Values:
    yield [f"{layer.name}.weight"], _get(tensors, f"{layer.name}.weight", path).T
    if layer.use_bias:
        yield [f"{layer.name}.bias"], _get(tensors, f"{layer.name}.bias", path)


def _dense_back(layer: Any, values: list[np.ndarray]) -> Parts:
    return _named(values[0].T, *values[1:])


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


def _attention_back(layer: Any, values: list[np.ndarray]) -> Parts:
    channels = values[0].shape[0]
    kernels, biases = values[0:6:2], values[1:6:2]  # query, key, value
    return {
        "in_proj_weight": np.concatenate([kernel.reshape(channels, -1).T for kernel in kernels]),
        "in_proj_bias": np.concatenate([bias.reshape(-1) for bias in biases]),
        "out_proj.weight": values[6].reshape(-1, channels).T,
        "out_proj.bias": values[7],
    }


LAYOUTS = {
    "Conv2D": Layout(_conv2d, _conv2d_back),
    "DepthwiseConv2D": Layout(_depthwise, _depthwise_back),
    "BatchNormalization": Layout(_batch_norm, _batch_norm_back),
    "Dense": Layout(_dense, _dense_back),
    "MultiHeadAttention": Layout(_attention, _attention_back),
}
