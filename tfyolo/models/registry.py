"""Configurations by name: every YAML file in configs/models lists its models."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import Any

import tfyolo.configs
from tfyolo.configs.reader import read_yaml
from tfyolo.deprecation import renamed_arguments
from tfyolo.errors import TfyoloError
from tfyolo.models.config.parse import parse_spec
from tfyolo.models.spec import ModelSpec
from tfyolo.text import all_close

FOLDER = Path(tfyolo.configs.__file__).parent / "models"
_SHIPPED = re.compile(r"(?:(?:\./)?models/(?:hub/)?)?([^/]+)\.ya?ml")
"""Where YOLOv5's repository has its model YAMLs."""


def _ordered() -> list[Path]:
    """Return names ordered: current family, variants, earlier releases, YOLOv3."""
    paths = FOLDER.glob("*.yaml")
    return sorted(paths, key=lambda p: (not p.stem.startswith("yolov5"), "-v" in p.stem, p.stem))


@cache
def _files() -> dict[str, Path]:
    return {name: path for path in _ordered() for name in read_yaml(path).value["models"]}


def list_models() -> list[str]:
    """List the model names for `create`, `load_spec` and `tfyolo summary`.

    Returns:
        Names: the current family first, then its variants, earlier releases, YOLOv3.

    Example:
        >>> "yolov5n" in list_models()
        True
    """
    return list(_files())


@renamed_arguments(classes="num_classes")
def load_spec(name: str | Path, **overrides: Any) -> ModelSpec:
    """Load the configuration of a model name or a YAML file.

    Args:
        name: one of `list_models()`, or the path of a model YAML file. `file.yaml:name` selects one of
            several. Paths of YOLOv5, such as `models/yolov5s.yaml`, mean the model of that name if there is
            no such file.
        overrides: values that replace those of the file, such as `num_classes=3`, `activation="relu6"`.

    Returns:
        The configuration, for `build_model`.

    Raises:
        TfyoloError: the name is unknown (with similar names), or the file is wrong (with the line).

    Example:
        >>> load_spec("yolov5n", num_classes=3).strides
        (8, 16, 32)
    """
    text = str(name)
    shipped = _SHIPPED.sub(r"\1", text)
    if text in _files() or (shipped in _files() and not Path(text).exists()):
        return parse_spec(read_yaml(_files()[shipped]), shipped, **overrides)
    path, _, entry = text.rpartition(":") if ".yaml:" in text or ".yml:" in text else (text, "", "")
    near = all_close(shipped, _files())
    if near and path == Path(path).name and not Path(path).exists():  # meant as a name, such as yolov5z.yaml
        raise TfyoloError(f"unknown model `{text}`", fix=f"{' or '.join(near)}; `tfyolo summary` lists all")
    if path.endswith((".yaml", ".yml")):
        document = read_yaml(path)
        if entry and "models" not in document.value:
            raise document.error(f"has no `models`, so there is no `{entry}`", fix=f"pass {path}")
        return parse_spec(document, entry, **overrides)
    raise TfyoloError(f"unknown model `{text}`", fix="yolov5n, for example; `tfyolo summary` lists all")
