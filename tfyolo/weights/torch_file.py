"""Reads YOLOv5 checkpoints (`.pt`) without PyTorch and without running anything that they name.

A checkpoint is a zip archive (`torch_zip.py`), or a file of PyTorch before 1.6 (`torch_legacy.py`), with a
pickle of whole `models.yolo.*` objects. The pickle is interpreted as data (`inert_pickle.py`), whose records
become `Module`s (`modules.py`). Files written by tfyolo (`export/pt/writer.py`) hold a state dict instead and
the configuration.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tfyolo.errors import TfyoloError
from tfyolo.weights.bounded_file import one_error
from tfyolo.weights.modules import Builder, Module
from tfyolo.weights.torch_archive import open_archive
from tfyolo.weights.torch_globals import OpaqueObject, PickledObject, TensorView, scalar_value

__all__ = ["Module", "OpaqueObject", "TorchCheckpoint", "read_checkpoint"]


BESIDE = ("tfyolo", "yaml", "names")
"""What describes a state dict: the contract as JSON, YOLOv5's configuration, class names."""


@dataclass(frozen=True)
class TorchCheckpoint:
    """A YOLOv5 checkpoint.

    Attributes:
        path: the file.
        model: the network; `ema`, the moving average of its weights, where the file has one, else `model`.
        source: which of the two it is, "ema" or "model"; "state_dict" where the file holds tensors by name
            and the configuration beside them, which are then the model's only attributes (`BESIDE`).
        extra: the other entries that are None, bool, int, float or str (`epoch`, `date`, `best_fitness`);
            numpy numbers come as Python numbers, anything else is left out.
    """

    path: Path
    model: Module
    source: str
    extra: dict[str, object]


def read_checkpoint(path: str | Path) -> TorchCheckpoint:
    """Read the network of a YOLOv5 `.pt` file, official or trained, detection or classification.

    Args:
        path: a file that YOLOv5 v1.0 to v7.0 or the package `yolov5` of PyPI saved with any PyTorch, or that
            tfyolo wrote.

    Returns:
        The network as inert stand-ins. Tensors stay in the file until `Module.tensors()` asks for them.

    Raises:
        TfyoloError: the file is missing, damaged, no such checkpoint, or names something that none needs.

    Example:
        >>> checkpoint = read_checkpoint("yolov5n.pt")                          # doctest: +SKIP
        >>> checkpoint.model.attributes["yaml"]["nc"]                           # doctest: +SKIP
        80
        >>> checkpoint.model.tensors()["model.0.conv.weight"].shape             # doctest: +SKIP
        (16, 3, 6, 6)
    """
    path = Path(path)
    with one_error(path), open_archive(path) as archive:
        content = archive.content()
        builder = Builder(archive, path)
        described = _described(content)
        if described:
            source, model = "state_dict", builder.state_dict(*described)
        else:
            source, root = _choose(content, path)
            model = _unwrapped(builder.module(root)[0])
        return TorchCheckpoint(path, model, source, _extra(content))


_WRAPPERS = {
    "DataParallel": "module",
    "DistributedDataParallel": "module",
    "AutoShape": "model",
    "autoShape": "model",
    "DetectMultiBackend": "model",
}
"""Modules that hold a network as one part, and what they call it."""


def _unwrapped(module: Module) -> Module:
    """The network itself, where it was saved as a part of what trains or runs it."""
    while (part := _WRAPPERS.get(module.class_name.rpartition(".")[2])) and part in module.children:
        module = module.children[part]
    return module


def _extra(content: object) -> dict[str, object]:
    """The plain entries of the checkpoint beside its networks."""
    kept: dict[str, object] = {}
    for key, value in content.items() if isinstance(content, dict) else ():
        if isinstance(key, str) and key not in ("ema", "model", *BESIDE):
            number = scalar_value(value) if isinstance(value, PickledObject) else value
            if isinstance(number, bool | int | float | str) or value is None:
                kept[key] = number
    return kept


def _described(content: object) -> tuple[dict[object, object], dict[str, object]] | None:
    """A state dict and what describes it, where that is what the file holds."""
    if not isinstance(content, dict) or not isinstance(content.get("model"), dict):
        return None
    if not isinstance(content.get("tfyolo"), str) and not isinstance(content.get("yaml"), dict):
        return None
    tensors = content["model"]
    if tensors and all(isinstance(name, str) and name.startswith("module.") for name in tensors):
        tensors = {name.removeprefix("module."): view for name, view in tensors.items()}  # DataParallel's
    return tensors, {key: content[key] for key in BESIDE if key in content}


def _choose(content: object, path: Path) -> tuple[str, PickledObject]:
    """The entry of a checkpoint that holds the network: `ema` if it is there, else `model`."""
    entries = content if isinstance(content, dict) else {"model": content}
    for source in ("ema", "model"):
        value = entries.get(source)
        if isinstance(value, tuple) and value:  # some releases of early 2021 saved (ema, updates)
            value = value[0]
        if isinstance(value, PickledObject) and value.of.kind == "module":
            return source, value
    inner = entries.get("model") or entries.get("state_dict") or entries
    if isinstance(inner, dict) and any(isinstance(value, TensorView) for value in inner.values()):
        message = "contains only weights (a state dict), without the model's configuration"
        raise TfyoloError(message, path=path, fix="pass the .pt file that YOLOv5's train.py wrote")
    raise TfyoloError(
        "is a PyTorch file, but contains no YOLOv5 model",
        path=path,
        fix="pass the .pt file that YOLOv5's train.py wrote",
    )
