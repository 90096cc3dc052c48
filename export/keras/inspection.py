"""Describes `.keras` and `.pt` files without building the network and without TensorFlow."""

from __future__ import annotations

import json
import zipfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import h5py

from tfyolo.errors import TfyoloError
from tfyolo.export.runtime.inspection import Inspection, TensorInfo
from tfyolo.inputs import MODEL, open_input
from tfyolo.models.build import run_layers
from tfyolo.models.contract import Contract
from tfyolo.models.nodes import IMAGES
from tfyolo.models.ops import Ops, Shape, ShapeOps
from tfyolo.weights.keras_file import extracted_weights, read_contract

_CONFIG = "config.json"
_MAX_CONFIG_BYTES = 64 * 1024 * 1024
_FLOAT16_CODES = ("f2", "float16")
"""Names of float16 in the storages of a PyTorch checkpoint."""


def inspect_keras(path: Path) -> Inspection:
    """Describe a `.keras` file; its operators are Keras layers, by class name.

    Args:
        path: the file.

    Raises:
        TfyoloError: the file is damaged, or was not written by tfyolo.
    """
    contract = read_contract(path)
    try:
        with open_input(path, MODEL) as file, zipfile.ZipFile(file) as archive:
            if archive.getinfo(_CONFIG).file_size > _MAX_CONFIG_BYTES:
                raise ValueError(_CONFIG)
            config = json.loads(archive.read(_CONFIG))["config"]
        with extracted_weights(path) as extracted, h5py.File(extracted) as weights:
            weights_dtype = "float16" if "float16" in _dtypes(weights) else "float32"
        layers = [layer for layer in config["layers"] if layer["class_name"] != "InputLayer"]
        counts = Counter(str(layer["class_name"]) for layer in layers)
    except TfyoloError:
        raise
    except Exception as error:  # zipfile and h5py raise several exception types for damaged files
        raise TfyoloError(
            f"is damaged: its network cannot be read ({type(error).__name__})",
            path=path,
            fix="copy the file again: it may be incomplete",
        ) from error
    inputs = (TensorInfo(IMAGES, ("batch", "height", "width", 3), "float32"),)
    outputs = tuple(
        TensorInfo(name, ("batch", *sizes, channels), "float32")
        for name, sizes, channels in _outputs(contract, path)
    )
    return Inspection(contract, inputs, outputs, dict(counts), weights_dtype)


def inspect_pt(path: Path) -> Inspection:
    """Describe a YOLOv5 checkpoint; its operators are PyTorch modules without children, by class name.

    If the checkpoint is a state dict without modules, the modules of its configuration are counted.

    Args:
        path: the file.

    Raises:
        TfyoloError: the file cannot be read, or is not a model that tfyolo knows.
    """
    from tfyolo.weights.checkpoint import checkpoint_contract
    from tfyolo.weights.torch_file import read_checkpoint

    checkpoint = read_checkpoint(path)
    contract = checkpoint_contract(checkpoint)
    counts: Counter[str] = Counter()
    elements_by_code: Counter[str] = Counter()
    is_state_dict = checkpoint.source == "state_dict"
    if is_state_dict:
        modules = _ModuleCounter(ShapeOps(contract.spec.csp_activation), contract.spec.activation)
        run_layers(cast(Ops, modules), Shape(*contract.image_size, 3), contract.spec)
        counts = modules.counts
    for _, module in checkpoint.model.walk():
        if not (module.children or is_state_dict):
            counts[module.class_name.rpartition(".")[2]] += 1
        for view in module._views.values():
            elements_by_code[view.storage.code] += view.size
    codes = elements_by_code.most_common(1)
    weights_dtype = "float16" if codes and codes[0][0] in _FLOAT16_CODES else "float32"
    inputs = (TensorInfo(IMAGES, ("batch", 3, "height", "width"), "float32"),)
    outputs = []
    for name, sizes, channels in _outputs(contract, path):
        shape: tuple[int | str, ...] = ("batch", channels)
        if sizes:
            values = sum(contract.parts.values())
            shape = ("batch", channels, *sizes)  # of prototypes
            if not name.endswith(".proto"):
                shape = ("batch", channels // values, *sizes, values)
        outputs.append(TensorInfo(name, shape, "float32"))
    return Inspection(contract, inputs, tuple(outputs), dict(counts), weights_dtype)


def _outputs(contract: Contract, path: Path) -> Iterator[tuple[str, tuple[str, ...], int]]:
    """Yield the outputs of a network.

    Yields:
        Name of the layer; sizes between batch and channels: height and width of the feature map, or nothing
        for a classifier; number of channels.

    Raises:
        TfyoloError: the configuration in the contract is invalid.
    """
    try:
        head = contract.spec.layers[-1]
    except TfyoloError as error:
        raise TfyoloError(f"its configuration: {error.message}", path=path, fix=error.fix) from error
    if contract.task == "classify":
        yield f"model.{head.index}.linear", (), len(contract.names)
        return
    rows = zip(head.sources, contract.strides, contract.anchors_px, strict=True)
    for i, (source, stride, anchors) in enumerate(rows):
        # In YOLOv5 v1.0, the prediction layers are separate layers in front of Detect.
        name = f"model.{head.index}.m.{i}" if head.arguments.get("convolve", True) else f"model.{source}"
        sizes = (f"height/{stride}", f"width/{stride}")
        yield name, sizes, len(anchors) // 2 * sum(contract.parts.values())
    if contract.num_coefficients:
        sizes = (f"height/{contract.prototype_stride}", f"width/{contract.prototype_stride}")
        yield f"model.{head.index}.proto", sizes, contract.num_coefficients


@dataclass
class _ModuleCounter:
    """Counts the operations that `run_layers` creates for a configuration, by the names of PyTorch modules.

    Attributes:
        ops: infers the shapes.
        activation_name: the model's default activation.
        counts: number of each module.
    """

    ops: ShapeOps
    activation_name: str
    counts: Counter[str] = field(default_factory=Counter)

    def __getattr__(self, name: str) -> Any:
        """Return the operation of `ops`; calls of those with a PyTorch module are counted."""
        module, operation = _MODULES.get(name), getattr(self.ops, name)

        def count(*args: Any, **kwargs: Any) -> Any:
            self.counts[str(module)] += 1
            return operation(*args, **kwargs)

        return count if module else operation

    def activation(self, x: Any, name: str, act: bool | str) -> Any:
        """Count and apply an activation; see `Ops.activation`."""
        function = self.activation_name if act is True else (act or "linear")
        if function != "linear":
            self.counts[_ACTIVATIONS.get(function, function)] += 1
        return self.ops.activation(x, name, act)


_MODULES = {
    "conv2d": "Conv2d",
    "batch_norm": "BatchNorm2d",
    "add": "Add",
    "concat": "Concat",
    "max_pool": "MaxPool2d",
    "zero_pad": "ZeroPad2d",
    "upsample": "Upsample",
    "dense": "Linear",
    "attention": "MultiheadAttention",
    "global_pool": "AdaptiveAvgPool2d",
    "dropout": "Dropout",
}
_ACTIVATIONS = {
    "silu": "SiLU",
    "leaky_relu": "LeakyReLU",
    "relu": "ReLU",
    "relu6": "ReLU6",
    "hard_swish": "Hardswish",
}


def _dtypes(weights: Any) -> list[str]:
    """Return the dtypes of all arrays in an HDF5 file."""
    dtypes: list[str] = []
    weights.visititems(lambda _, item: dtypes.append(str(getattr(item, "dtype", ""))))
    return dtypes
