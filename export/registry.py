"""Every format that `tfyolo export` can write and `tfyolo.load` can run: one entry each."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tfyolo.errors import TfyoloError


@dataclass(frozen=True)
class Format:
    """One exported format. What it cannot do is refused before a heavy library is imported."""

    name: str
    """What the user types after --include."""
    label: str
    suffix: str
    """How its files or folders end."""
    exporter: str
    """`module:function`, called as `function(request, path)`, imported when asked for."""
    runtime: str
    """`module:class`, called with the path and a number of threads or None."""
    nms: tuple[str, ...]
    """Kinds of non-maximum suppression it can hold, its default first (nms.py)."""

    def matches(self, path: Path) -> bool:
        """Whether `path` is named like a file of this format."""
        return path.name.endswith(self.suffix)

    def check(self, nms: str) -> str:
        """The kind of NMS for a request (`auto` is the default one).

        Raises:
            TfyoloError: the format cannot hold it.
        """
        if nms == "auto":
            return self.nms[0]
        if nms not in self.nms:
            raise TfyoloError(f"{self.label} cannot hold --nms {nms}", fix=f"one of {', '.join(self.nms)}")
        return nms

    def open(self, path: Path, threads: int | None = None) -> Any:
        """The runtime for a file, on so many threads of the CPU."""
        return _import(self.runtime)(path, threads)

    def write(self, request: Any, path: Path) -> None:
        """Export."""
        _import(self.exporter)(request, path)


FORMATS: tuple[Format, ...] = (
    Format(
        name="saved_model",
        label="SavedModel",
        suffix="_saved_model",
        exporter="tfyolo.export.saved_model:export",
        runtime="tfyolo.inference.runtimes.saved_model:SavedModelRuntime",
        nms=("combined", "postprocess", "none"),
    ),
    Format(
        name="tflite",
        label="TensorFlow Lite",
        suffix=".tflite",
        exporter="tfyolo.export.tflite:export",
        runtime="tfyolo.inference.runtimes.litert:LiteRtRuntime",
        nms=("postprocess", "none"),
    ),
)


def find_format(name: str) -> Format:
    """The format a user names.

    Raises:
        TfyoloError: there is none.
    """
    for entry in FORMATS:
        if entry.name == name:
            return entry
    raise TfyoloError(f"unknown format `{name}`", fix=f"one of {', '.join(f.name for f in FORMATS)}")


def format_of(path: Path) -> Format:
    """The format of a file or folder.

    Raises:
        TfyoloError: nothing here is named like it.
    """
    for entry in FORMATS:
        if entry.matches(path) or (
            path.is_dir() and (path / "saved_model.pb").exists() and entry.name == "saved_model"
        ):
            return entry
    suffixes = ", ".join((".pt", ".keras", *(f.suffix for f in FORMATS)))
    raise TfyoloError(
        "is no model file that tfyolo knows", path=path, fix=f"pass one that ends in {suffixes}"
    )


def _import(dotted: str) -> Any:
    module, _, name = dotted.partition(":")
    return getattr(importlib.import_module(module), name)
