"""Writes PyTorch checkpoints with YOLOv5's tensor names, without PyTorch.

`torch.load(path, weights_only=True)` reads them. The entry `model` is the state dict of YOLOv5's own network
for the configuration in `yaml`. `tfyolo.load` reads them too; the entry `tfyolo` is the contract.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tfyolo.export.job import ExportJob
from tfyolo.models.config.parse import segment_arguments
from tfyolo.models.contract import Contract
from tfyolo.models.spec import Layer, ModelSpec
from tfyolo.version import __version__
from tfyolo.weights.mapping import in_state_dict_order, tensors_of
from tfyolo.weights.torch_writer import save_torch


def export(job: ExportJob, path: Path) -> None:
    """Write a `.pt` file with the trainable network, for tfyolo and for YOLOv5.

    With float16, tensors are stored as float16, as in YOLOv5's releases, and loaded as float32.

    Args:
        job: model and export options.
        path: the file to write.
    """
    contract = job.contract.resized(job.image_size)
    save_torch(build_checkpoint(job.model, contract, half=job.options.precision == "float16"), path)


def build_checkpoint(model: Any, contract: Contract, half: bool = False) -> dict[str, object]:
    """Return the entries of a checkpoint.

    Args:
        model: `keras.Model` from `build_model`.
        contract: class names, anchors and configuration.
        half: store float tensors as float16.

    Returns:
        The entries by name; `model` is an OrderedDict of NumPy arrays.

    Example:
        >>> import tfyolo
        >>> detector = tfyolo.load("bccd-n")
        >>> checkpoint = build_checkpoint(detector.model, detector.contract)
        >>> checkpoint["model"]["model.0.conv.weight"].shape
        (16, 3, 6, 6)
    """
    spec = contract.spec
    tensors = in_state_dict_order(tensors_of(model, spec) | _anchors(contract, spec))
    return {
        "epoch": -1,
        "version": __version__,
        "task": contract.task,
        "names": dict(enumerate(contract.names)),
        "strides": list(contract.strides),
        "anchors": [list(row) for row in contract.anchors_px],
        "image_size": list(contract.image_size),
        "yaml": yolov5_config(contract, spec),
        "tfyolo": contract.to_json(),
        "model": OrderedDict((name, _to_float16(t) if half else t) for name, t in tensors.items()),
    }


def _to_float16(tensor: np.ndarray) -> np.ndarray:
    """Return a float32 tensor as float16; unchanged if its values exceed the range of float16."""
    if tensor.dtype != np.float32:
        return tensor
    with np.errstate(over="ignore"):
        half = tensor.astype(np.float16)
    return half if np.isfinite(half).all() else tensor


def _anchors(contract: Contract, spec: ModelSpec) -> dict[str, np.ndarray]:
    """Return the buffers of a head: anchors (scales, anchors, 2) in grid cells; before v6.0 also pixels."""
    if not contract.anchors_px:
        return {}
    name = f"model.{spec.layers[-1].index}"
    pixels = np.asarray(contract.anchors_px, np.float32).reshape(len(contract.strides), -1, 2)
    buffers = {f"{name}.anchors": pixels / np.asarray(contract.strides, np.float32)[:, None, None]}
    if any(layer.block == "Focus" for layer in spec.layers):  # YOLOv5 v6.0 removed both Focus and this buffer
        buffers[f"{name}.anchor_grid"] = pixels[:, None, :, None, None]
    return buffers


_ACTIVATIONS = {
    "silu": "nn.SiLU()",
    "leaky_relu": "nn.LeakyReLU(0.1)",
    "relu": "nn.ReLU()",
    "relu6": "nn.ReLU6()",
    "hard_swish": "nn.Hardswish()",
    "linear": "nn.Identity()",
}
_HEADS = {"Detect": ("nc", "anchors"), "Classify": ("nc",), "Segment": ("nc", "anchors")}
"""The first arguments of each head in YOLOv5's files."""
_TORCH_BLOCKS = ("Conv2d", "MaxPool2d", "Upsample", "ZeroPad2d")
"""Blocks that are modules of `torch.nn`."""


def yolov5_config(contract: Contract, spec: ModelSpec) -> dict[str, object]:
    """Return the configuration in the format of YOLOv5's model YAML files.

    `csp_activation`, `bn_epsilon` and a classifier's `normalize` are keys of tfyolo, which YOLOv5 ignores.

    Args:
        contract: configuration and anchors.
        spec: the parsed configuration.
    """
    config = contract.config
    rows = [row for section in ("backbone", "neck", "head") for row in config.get(section, ())]
    layers = [_yolov5_row(row, layer) for row, layer in zip(rows, spec.layers, strict=True)]
    backbone_length = len(config.get("backbone", ()))
    optional: dict[str, object] = {}
    if contract.anchors_px:
        optional["anchors"] = [list(row) for row in contract.anchors_px]
    if config.get("normalize"):
        optional["normalize"] = config["normalize"]
    return {
        "nc": len(contract.names),
        "depth_multiple": config["depth"],
        "width_multiple": config["width"],
        **optional,
        "ch": 3,
        "activation": _ACTIVATIONS[spec.activation],
        "csp_activation": _ACTIVATIONS[spec.csp_activation],
        "bn_epsilon": spec.bn_epsilon,
        "backbone": layers[:backbone_length],
        "head": layers[backbone_length:],
    }


def _yolov5_row(row: Sequence[Any], layer: Layer) -> list[Any]:
    """Return [from, repeats, block, arguments] with the arguments that YOLOv5 requires and tfyolo omits.

    Args:
        row: the layer in tfyolo's configuration.
        layer: the parsed layer.
    """
    sources, repeats, _, values = row
    arguments = list(values)
    if layer.block == "Concat":
        arguments = [1]
    elif layer.block == "Upsample":
        arguments = ["None", layer.arguments.get("scale", 2), "nearest"]
    elif layer.block == "Conv2d":  # the filters may be an expression
        arguments[0] = layer.arguments["filters"]
    elif layer.block in _HEADS:
        arguments = list(_HEADS[layer.block])
        if layer.block == "Segment":
            arguments += segment_arguments(values)
    name = f"nn.{layer.block}" if layer.block in _TORCH_BLOCKS else layer.block
    return [list(sources) if isinstance(sources, list | tuple) else sources, repeats, name, arguments]
