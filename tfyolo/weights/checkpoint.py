"""Load a YOLOv5 checkpoint: configuration, class names and Keras model."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from tfyolo.configs.reader import Document
from tfyolo.errors import TfyoloError
from tfyolo.models import Contract, ModelSpec, build_model, parse_spec
from tfyolo.models.build import count_model
from tfyolo.models.config.arguments import activation_name
from tfyolo.text import printable
from tfyolo.weights.mapping import load_tensors
from tfyolo.weights.torch_file import Module, TorchCheckpoint, read_checkpoint


def load_checkpoint(path: str | Path, keras: ModuleType | None = None) -> tuple[Any, Contract]:
    """Build the network of a `.pt` file, and load its weights.

    Args:
        path: a YOLOv5 checkpoint of any release; nothing in it is executed.
        keras: `keras` or `tf_keras`, as in `build_model`.

    Returns:
        The model and its contract.

    Raises:
        TfyoloError: the file cannot be read, is not a supported model, or its weights do not fit.
    """
    checkpoint = read_checkpoint(path)
    contract = checkpoint_contract(checkpoint)
    _check_size(checkpoint, contract.spec)
    model = build_model(contract.spec, keras)
    load_tensors(model, checkpoint.model.tensors(), checkpoint.path)
    return model, contract


def checkpoint_contract(checkpoint: TorchCheckpoint) -> Contract:
    """Return the contract of a checkpoint, with the anchors that it was trained with."""
    if checkpoint.source == "state_dict":
        return _state_dict_contract(checkpoint)
    attributes = checkpoint.model.attributes
    head = _head(checkpoint)
    if head.class_name.endswith(".Classify"):
        return _classifier_contract(checkpoint)
    config = attributes.get("yaml") or attributes.get("md")  # v1.0 calls it md
    if not isinstance(config, dict):
        raise TfyoloError(
            "contains no configuration",
            path=checkpoint.path,
            fix="save the whole model, not only its weights",
        )
    strides = _numbers(checkpoint, "stride", head.attributes.get("stride", attributes.get("stride")))
    grid = _numbers(checkpoint, "anchors", head.tensors()["anchors"])  # (scales, anchors, 2) in cells
    strides = strides.reshape(-1)
    if grid.ndim != 3 or len(grid) != len(strides):
        raise TfyoloError(
            f"the shape of the head's anchors {grid.shape} does not match {len(strides)} strides",
            path=checkpoint.path,
        )
    anchors = _pixels(grid, strides)
    spec = _parse(checkpoint, {**config, "anchors": anchors, **_recorded(checkpoint)})
    if list(spec.strides) != strides.tolist():
        raise TfyoloError(
            f"its strides are {strides.tolist()}, but the configuration gives {list(spec.strides)}",
            path=checkpoint.path,
        )
    try:
        return Contract.of(spec, _names(attributes.get("names")))
    except TfyoloError as error:
        raise TfyoloError(error.message, path=checkpoint.path, fix=error.fix) from error


def _pixels(grid: np.ndarray, strides: np.ndarray) -> list[list[float]]:
    """Convert anchors (scales, anchors, 2) from grid cells to pixels, as short decimals."""
    with np.errstate(over="ignore"):
        pixels = (grid * strides[:, None, None]).astype(np.float32)
    return [[float(str(value)) for value in row.reshape(-1)] for row in pixels]


def _state_dict_contract(checkpoint: TorchCheckpoint) -> Contract:
    """Return the contract of a state dict: written by tfyolo, or from its YAML."""
    attributes, path = checkpoint.model.attributes, checkpoint.path
    text, config = attributes.get("tfyolo"), attributes.get("yaml")
    try:
        if isinstance(text, str):
            contract = Contract.from_json(text)
            _ = contract.spec  # raises where it does not fit
            return contract
        if not isinstance(config, dict):
            raise TfyoloError("contains no configuration")
        spec = _parse(checkpoint, config)
        grid = checkpoint.model.tensors().get(f"model.{spec.layers[-1].index}.anchors")
        if grid is not None and grid.shape == (len(spec.strides), spec.anchors_per_scale, 2):
            anchors = _pixels(_numbers(checkpoint, "anchors", grid), np.asarray(spec.strides))
            spec = _parse(checkpoint, {**config, "anchors": anchors})
        return Contract.of(spec, _names(attributes.get("names")))
    except TfyoloError as error:
        message = printable(error.message)[:250]  # it may quote the file
        raise TfyoloError(
            message, path=path, fix=error.fix or "write it again with `tfyolo export`"
        ) from error


def _check_size(checkpoint: TorchCheckpoint, spec: ModelSpec) -> None:
    """Refuse a network that is larger than the tensors of the file."""
    ops, _ = count_model(spec)
    needed, held = sum(cost.parameters for cost in ops.costs.values()), checkpoint.model.numbers
    if needed > held:
        message = f"contains {held:,} values, but the network of its configuration has {needed:,} parameters"
        raise TfyoloError(message, path=checkpoint.path)


def _numbers(checkpoint: TorchCheckpoint, name: str, values: object) -> np.ndarray:
    try:
        numbers = np.asarray(values, np.float64)
    except (TypeError, ValueError):
        numbers = np.asarray(np.nan)
    if not np.isfinite(numbers).all():
        raise TfyoloError(f"the head's {name} are not numbers", path=checkpoint.path)
    return numbers


def _names(names: object) -> list[str]:
    """Return class names as a list; YOLOv5 stores a list, and since v6.2 a dictionary by class id."""
    if isinstance(names, dict):
        names = [names[index] for index in range(len(names)) if index in names]
    return [str(name) for name in names] if isinstance(names, list | tuple) else []


def _parse(checkpoint: TorchCheckpoint, config: dict[str, Any]) -> ModelSpec:
    known = ["nc", "depth_multiple", "width_multiple", "anchors", "ch", "backbone", "head"]
    known += ["activation", "csp_activation", "bn_epsilon", "normalize", "image_size"]
    config = {key: config[key] for key in known if key in config}
    try:
        return parse_spec(Document(checkpoint.path, config), checkpoint.path.stem)
    except TfyoloError as error:
        raise TfyoloError(
            f"its configuration: {error.message}", path=checkpoint.path, fix=error.fix
        ) from error


def _head(checkpoint: TorchCheckpoint) -> Module:
    layers = checkpoint.model.children.get("model")
    last = list(layers.children.values())[-1] if layers and layers.children else None
    kind = last.class_name.rpartition(".")[2] if last else "nothing"
    has_anchors = last is not None and kind in ("Detect", "Segment") and "anchors" in last.tensors()
    if last is None or not (kind == "Classify" or has_anchors):
        raise TfyoloError(
            f"is not a detection, classification or segmentation model: its last layer is {kind}",
            path=checkpoint.path,
        )
    return last


def _classifier_contract(checkpoint: TorchCheckpoint) -> Contract:
    """Derive the configuration of a classifier from its modules, since YOLOv5 stores none.

    Images are normalized as for ImageNet.
    """
    rows = [_row(checkpoint, module) for module in checkpoint.model.children["model"].children.values()]
    names = _names(checkpoint.model.attributes.get("names"))
    config = {"nc": checkpoint.model.attributes.get("nc"), "backbone": rows[:-1], "head": rows[-1:]}
    spec = _parse(checkpoint, {**_recorded(checkpoint), **config, "normalize": "imagenet", "image_size": 224})
    return Contract.of(spec, names)


def _row(checkpoint: TorchCheckpoint, module: Module) -> list[Any]:
    """Return the configuration row of a module of a classifier."""
    kind = module.class_name.rpartition(".")[2]
    if kind in ("Conv", "Classify"):
        conv = module if kind == "Conv" else module.children.get("conv", module)
        convolution, norm = conv.children.get("conv"), conv.children.get("bn")
        if convolution is not None and norm is not None:
            filters = len(convolution.tensors()["weight"])
            if kind == "Classify":
                act = _activation(checkpoint, conv.children["act"]) if "act" in conv.children else "linear"
                return [-1, 1, kind, [filters, act, norm.attributes.get("eps")]]
            sizes = [convolution.attributes.get(name) for name in ("kernel_size", "stride", "padding")]
            if all(isinstance(size, tuple) and size for size in sizes):
                return [-1, 1, kind, [filters, *(size[0] for size in sizes)]]  # type: ignore[index]
    if kind in ("C3", "SPPF") and (last := module.children.get("cv3" if kind == "C3" else "cv2")):
        filters = len(last.children["conv"].tensors()["weight"])
        if kind == "C3":
            inner = list(module.children["m"].children.values())
            shortcut = bool(inner and inner[0].attributes.get("add"))
            return [-1, max(len(inner), 1), kind, [filters, shortcut]]
        return [-1, 1, kind, [filters]]
    raise TfyoloError(
        f"contains a layer {kind}, which YOLOv5's classifiers do not have", path=checkpoint.path
    )


def _recorded(checkpoint: TorchCheckpoint) -> dict[str, Any]:
    """Return values of modules that configurations before v7.0 omit: activations, batch-norm epsilon."""
    found: dict[str, Any] = {}
    for _, module in checkpoint.model.walk():
        kind = module.class_name.rpartition(".")[2]
        if kind == "BatchNorm2d" and isinstance(module.attributes.get("eps"), float):
            found.setdefault("bn_epsilon", module.attributes["eps"])  # a classifier's head has its own
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
