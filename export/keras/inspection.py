"""Looks into `.keras` and `.pt` files: what they hold, without building the network."""

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
from tfyolo.models.network import IMAGES
from tfyolo.models.ops import Ops, Shape, ShapeOps
from tfyolo.weights.keras_file import read_contract

_CONFIG, _WEIGHTS = "config.json", "model.weights.h5"
_MAX_CONFIG_BYTES = 64 * 1024 * 1024
_HALF = ("f2", "float16")


def inspect_keras(path: Path) -> Inspection:
    """A `.keras` file: operations are the kinds of Keras layers.

    Raises:
        TfyoloError: the file is damaged, or not one of tfyolo's.
    """
    contract = read_contract(path)
    try:
        with open_input(path, MODEL) as file, zipfile.ZipFile(file) as archive:
            if archive.getinfo(_CONFIG).file_size > _MAX_CONFIG_BYTES:
                raise ValueError(_CONFIG)
            config = json.loads(archive.read(_CONFIG))["config"]
            with archive.open(_WEIGHTS) as stream, h5py.File(stream) as weights:
                half = any(dtype == "float16" for dtype in _dtypes(weights))
        layers = [layer for layer in config["layers"] if layer["class_name"] != "InputLayer"]
        counts = Counter(str(layer["class_name"]) for layer in layers)
    except TfyoloError:
        raise
    except Exception as error:  # zipfile, h5py and the look-ups have many kinds for a damaged file
        raise TfyoloError(
            f"is damaged: its network cannot be read ({type(error).__name__})",
            path=path,
            fix="copy the file again, it may be incomplete",
        ) from error
    inputs = (TensorInfo(IMAGES, ("batch", "height", "width", 3), "float32"),)
    outputs = tuple(
        TensorInfo(name, ("batch", *sizes, channels), "float32")
        for name, sizes, channels in _outputs(contract, path)
    )
    return Inspection(contract, inputs, outputs, dict(counts), "float16" if half else "float32")


def inspect_pt(path: Path) -> Inspection:
    """A YOLOv5 checkpoint: operations are the kinds of PyTorch modules that hold no others.

    One that holds tensors without modules has those that its configuration asks for.

    Raises:
        TfyoloError: the file cannot be read, or is no model that tfyolo knows.
    """
    from tfyolo.weights.checkpoint import checkpoint_contract
    from tfyolo.weights.torch_file import read_checkpoint

    checkpoint = read_checkpoint(path)
    contract = checkpoint_contract(checkpoint)
    counts: Counter[str] = Counter()
    numbers: Counter[str] = Counter()
    state_dict = checkpoint.source == "state_dict"
    if state_dict:
        modules = _Modules(ShapeOps(contract.spec.csp_activation), contract.spec.activation)
        run_layers(cast(Ops, modules), Shape(*contract.image_size, 3), contract.spec)
        counts = modules.counts
    for _, module in checkpoint.model.walk():
        if not (module.children or state_dict):
            counts[module.class_name.rpartition(".")[2]] += 1
        for view in module._views.values():
            numbers[view.storage.code] += view.size
    half = numbers.most_common(1)[0][0] in _HALF if numbers else False
    inputs = (TensorInfo(IMAGES, ("batch", 3, "height", "width"), "float32"),)
    outputs = []
    for name, sizes, channels in _outputs(contract, path):
        shape: tuple[int | str, ...] = ("batch", channels)
        if sizes:
            values = 5 + len(contract.names)
            shape = ("batch", channels // values, *sizes, values)
        outputs.append(TensorInfo(name, shape, "float32"))
    return Inspection(contract, inputs, tuple(outputs), dict(counts), "float16" if half else "float32")


def _outputs(contract: Contract, path: Path) -> Iterator[tuple[str, tuple[str, ...], int]]:
    """Of each output its layer, the sizes between batch and channels, and the channels."""
    try:
        head = contract.spec.layers[-1]
    except TfyoloError as error:
        raise TfyoloError(f"its configuration: {error.message}", path=path, fix=error.fix) from error
    if contract.task == "classify":
        yield f"model.{head.index}.linear", (), len(contract.names)
        return
    rows = zip(head.sources, contract.strides, contract.anchors_px, strict=True)
    for i, (source, stride, anchors) in enumerate(rows):
        # v1.0 has its prediction layers before Detect.
        name = f"model.{head.index}.m.{i}" if head.arguments.get("convolve", True) else f"model.{source}"
        sizes = (f"height/{stride}", f"width/{stride}")
        yield name, sizes, len(anchors) // 2 * (5 + len(contract.names))


@dataclass
class _Modules:
    """Counts what the blocks of a configuration ask for, under the names of PyTorch's modules."""

    ops: ShapeOps
    activation_name: str
    counts: Counter[str] = field(default_factory=Counter)

    def __getattr__(self, name: str) -> Any:
        """The operation of `ops`, which is counted."""
        kind, does = _MODULES.get(name), getattr(self.ops, name)

        def count(*arguments: Any, **named: Any) -> Any:
            self.counts[str(kind)] += 1
            return does(*arguments, **named)

        return count if kind else does

    def activation(self, x: Any, name: str, act: bool | str) -> Any:
        """See `Ops`."""
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
    """Kinds of numbers of all arrays in a file of weights."""
    found: list[str] = []
    weights.visititems(lambda _, item: found.append(str(getattr(item, "dtype", ""))))
    return found
