"""PyTorch: a checkpoint of tensors under YOLOv5's names, written without PyTorch.

`torch.load(path, weights_only=True)` reads it; its `model` is the state dict that YOLOv5's own network of the
configuration `yaml` loads. `tfyolo.load` reads it too, and finds in `tfyolo` all that it knew.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tfyolo.export.job import ExportJob
from tfyolo.models.contract import Contract
from tfyolo.models.spec import Layer, ModelSpec
from tfyolo.version import __version__
from tfyolo.weights.mapping import in_state_dict_order, tensors_of
from tfyolo.weights.torch_writer import save_torch


def export(job: ExportJob, path: Path) -> None:
    """Write a `.pt` file: the network itself, to be trained and exported again, here or in YOLOv5.

    With float16 tensors are halves, as in YOLOv5's releases; they are float32 again when loaded.
    """
    contract = job.contract.resized(job.image_size)
    save_torch(checkpoint_of(job.model, contract, half=job.options.precision == "float16"), path)


def checkpoint_of(model: Any, contract: Contract, half: bool = False) -> dict[str, object]:
    """What a checkpoint holds, tensors as NumPy arrays.

    Args:
        model: the network, as `build_model` built it.
        contract: its names, anchors and configuration.
        half: store floats as float16.
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
        "model": OrderedDict((name, _half(t) if half else t) for name, t in tensors.items()),
    }


def _half(tensor: np.ndarray) -> np.ndarray:
    """As float16, where that can hold all its numbers."""
    if tensor.dtype != np.float32:
        return tensor
    with np.errstate(over="ignore"):
        small = tensor.astype(np.float16)
    return small if np.isfinite(small).all() else tensor


def _anchors(contract: Contract, spec: ModelSpec) -> dict[str, np.ndarray]:
    """Buffers of Detect: anchors in cells (scales, anchors, 2); before v6.0 also in pixels."""
    if spec.layers[-1].block != "Detect":
        return {}
    name = f"model.{spec.layers[-1].index}"
    pixels = np.asarray(contract.anchors_px, np.float32).reshape(len(contract.strides), -1, 2)
    buffers = {f"{name}.anchors": pixels / np.asarray(contract.strides, np.float32)[:, None, None]}
    if any(layer.block == "Focus" for layer in spec.layers):  # both went with v6.0
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
_HEADS = {"Detect": ("nc", "anchors"), "Classify": ("nc",)}
_TORCH_BLOCKS = ("Conv2d", "MaxPool2d", "Upsample", "ZeroPad2d")  # PyTorch's own, with `nn.` before them


def yolov5_config(contract: Contract, spec: ModelSpec) -> dict[str, object]:
    """The configuration as a model YAML of YOLOv5 has it.

    `csp_activation`, `bn_epsilon` and a classifier's `normalize` are keys of tfyolo; YOLOv5 passes over them.
    """
    config = contract.config
    rows = [row for section in ("backbone", "neck", "head") for row in config.get(section, ())]
    written = [_row(row, layer) for row, layer in zip(rows, spec.layers, strict=True)]
    backbone = len(config.get("backbone", ()))
    more: dict[str, object] = {}
    if contract.anchors_px:
        more["anchors"] = [list(row) for row in contract.anchors_px]
    if config.get("normalize"):
        more["normalize"] = config["normalize"]
    return {
        "nc": len(contract.names),
        "depth_multiple": config["depth"],
        "width_multiple": config["width"],
        **more,
        "ch": 3,
        "activation": _ACTIVATIONS[spec.activation],
        "csp_activation": _ACTIVATIONS[spec.csp_activation],
        "bn_epsilon": spec.bn_epsilon,
        "backbone": written[:backbone],
        "head": written[backbone:],
    }


def _row(row: Sequence[Any], layer: Layer) -> list[Any]:
    """A layer [from, repeats, block, arguments] with those arguments that only tfyolo lets out."""
    sources, repeats, _, values = row
    arguments = list(values)
    if layer.block == "Concat":
        arguments = [1]
    elif layer.block == "Upsample":
        arguments = ["None", layer.arguments.get("scale", 2), "nearest"]
    elif layer.block == "Conv2d":  # its filters may be a formula
        arguments[0] = layer.arguments["filters"]
    elif layer.block in _HEADS:
        arguments = list(_HEADS[layer.block])
    name = f"nn.{layer.block}" if layer.block in _TORCH_BLOCKS else layer.block
    return [list(sources) if isinstance(sources, list | tuple) else sources, repeats, name, arguments]
