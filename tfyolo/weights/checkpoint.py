"""A YOLOv5 checkpoint as a configuration, class names and a Keras model."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from tfyolo.configs.reader import Document
from tfyolo.errors import TfyoloError
from tfyolo.models import Contract, ModelSpec, build_model, parse_spec
from tfyolo.models.arguments import activation_name
from tfyolo.weights.mapping import load_tensors
from tfyolo.weights.torch_file import Module, TorchCheckpoint, read_checkpoint


def load_checkpoint(path: str | Path, keras: ModuleType | None = None) -> tuple[Any, Contract]:
    """Build the network that a `.pt` file describes and give it the file's weights.

    Args:
        path: a YOLOv5 checkpoint of any release; nothing in it is executed.
        keras: namespace to build on, as for `build_model`.

    Returns:
        The model and its contract.

    Raises:
        TfyoloError: the file cannot be read, is no detection model, or its weights do not fit.
    """
    checkpoint = read_checkpoint(path)
    contract = checkpoint_contract(checkpoint)
    model = build_model(contract.spec, keras)
    load_tensors(model, checkpoint.model.tensors(), checkpoint.path)
    return model, contract


def checkpoint_contract(checkpoint: TorchCheckpoint) -> Contract:
    """Configuration, names and anchors of a checkpoint; the anchors are those it was trained with."""
    attributes = checkpoint.model.attributes
    detect = _detect(checkpoint)
    config = attributes.get("yaml") or attributes.get("md")  # v1.0 calls it md
    if not isinstance(config, dict):
        raise TfyoloError(
            "holds no configuration", path=checkpoint.path, fix="save the whole model, not its weights"
        )
    strides = _numbers(checkpoint, "stride", detect.attributes.get("stride", attributes.get("stride")))
    grid = _numbers(checkpoint, "anchors", detect.tensors()["anchors"])  # (scales, anchors, 2) in cells
    strides = strides.reshape(-1)
    if grid.ndim != 3 or len(grid) != len(strides):
        raise TfyoloError(f"Detect has anchors {grid.shape} and {len(strides)} strides", path=checkpoint.path)
    anchors = [[round(v, 4) for v in row.reshape(-1).tolist()] for row in grid * strides[:, None, None]]
    spec = _parse(checkpoint, {**config, "anchors": anchors, **_recorded(checkpoint)})
    if list(spec.strides) != strides.tolist():
        raise TfyoloError(
            f"strides are {strides.tolist()}, but by the configuration {list(spec.strides)}",
            path=checkpoint.path,
        )
    try:
        return Contract.of(spec, _names(attributes.get("names")))
    except TfyoloError as error:
        raise TfyoloError(error.message, path=checkpoint.path, fix=error.fix) from error


def _numbers(checkpoint: TorchCheckpoint, name: str, values: object) -> np.ndarray:
    try:
        numbers = np.asarray(values, np.float64)
    except (TypeError, ValueError):
        numbers = np.asarray(np.nan)
    if not np.isfinite(numbers).all():
        raise TfyoloError(f"Detect's {name} are not numbers", path=checkpoint.path)
    return numbers


def _names(names: object) -> list[str]:
    """Class names as a list; YOLOv5 keeps a list, since v6.2 a dictionary by index."""
    if isinstance(names, dict):
        names = [names[index] for index in range(len(names)) if index in names]
    return [str(name) for name in names] if isinstance(names, list | tuple) else []


def _parse(checkpoint: TorchCheckpoint, config: dict[str, Any]) -> ModelSpec:
    known = ["nc", "depth_multiple", "width_multiple", "anchors", "ch", "backbone", "head"]
    known += ["activation", "csp_activation", "bn_epsilon"]
    config = {key: config[key] for key in known if key in config}
    try:
        return parse_spec(Document(checkpoint.path, config), checkpoint.path.stem)
    except TfyoloError as error:
        raise TfyoloError(
            f"its configuration: {error.message}", path=checkpoint.path, fix=error.fix
        ) from error


def _detect(checkpoint: TorchCheckpoint) -> Module:
    layers = checkpoint.model.children.get("model")
    last = list(layers.children.values())[-1] if layers and layers.children else None
    kind = last.class_name.rpartition(".")[2] if last else "nothing"
    if last is None or kind != "Detect" or "anchors" not in last.tensors():
        raise TfyoloError(
            f"is no detection model: its last layer is {kind}, not Detect", path=checkpoint.path
        )
    return last


def _recorded(checkpoint: TorchCheckpoint) -> dict[str, Any]:
    """What modules hold and configurations before v7.0 omit: activations, batch-norm's epsilon."""
    found: dict[str, Any] = {}
    for _, module in checkpoint.model.walk():
        kind = module.class_name.rpartition(".")[2]
        if kind == "BatchNorm2d" and isinstance(module.attributes.get("eps"), float):
            found["bn_epsilon"] = module.attributes["eps"]
        key = {"Conv": "activation", "BottleneckCSP": "csp_activation"}.get(kind)
        act = module.children.get("act")
        if key and act and not (key in found or act.class_name.endswith(".Identity")):
            found[key] = _activation(checkpoint, act)
    return found


def _activation(checkpoint: TorchCheckpoint, act: Module) -> str:
    kind = act.class_name.rpartition(".")[2]
    slope = f"({act.attributes.get('negative_slope')})" if kind == "LeakyReLU" else ""
    try:
        return activation_name(kind + slope)
    except ValueError as error:
        raise TfyoloError(str(error), path=checkpoint.path) from error
