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
    precisions: tuple[str, ...]
    """Of `PRECISIONS`."""
    extra: str | None = None
    """What to install to write it: `pip install tfyolo[extra]`."""

    def matches(self, path: Path) -> bool:
        """Whether `path` is named like a file of this format."""
        return path.name.endswith(self.suffix)

    def check(self, nms: str, precision: str = "float32") -> str:
        """The kind of NMS for a request (`auto` is the default one).

        Raises:
            TfyoloError: the format cannot hold it, or not in this precision.
        """
        if precision not in self.precisions:
            flags = ", ".join(PRECISIONS[name] or "none of these flags" for name in self.precisions)
            asked = PRECISIONS[precision] or "--int8, --half and the like all absent"
            raise TfyoloError(f"{self.label} cannot be written with {asked}", fix=f"pass {flags}")
        kinds = self.nms
        if precision in _WITHOUT_SUPPRESSION:
            kinds = tuple(kind for kind in kinds if kind in ("none", "raw"))
        if nms == "auto":
            return kinds[0]
        if nms not in kinds:
            how = f" with {PRECISIONS[precision]}" if nms in self.nms else ""
            raise TfyoloError(f"{self.label} cannot hold --nms {nms}{how}", fix=f"one of {', '.join(kinds)}")
        return nms

    def open(self, path: Path, threads: int | None = None) -> Any:
        """The runtime for a file, on so many threads of the CPU."""
        return _import(self.runtime)(path, threads)

    def write(self, request: Any, path: Path) -> None:
        """Export."""
        _import(self.exporter)(request, path)


PRECISIONS = {
    "float32": "",
    "float16": "--half",
    "dynamic": "--dynamic",
    "int8": "--int8",
    "int16x8": "--int16x8",
}
"""Kinds of numbers in exported files, and the flag that asks for each."""
_WITHOUT_SUPPRESSION = ("int16x8",)
"""The converter calibrates all operations of these, and fails at those of suppression."""

FORMATS: tuple[Format, ...] = (
    Format(
        name="saved_model",
        label="SavedModel",
        suffix="_saved_model",
        exporter="tfyolo.export.saved_model:export",
        runtime="tfyolo.inference.runtimes.saved_model:SavedModelRuntime",
        nms=("combined", "postprocess", "builtin", "tensor", "none", "raw"),
        precisions=("float32", "float16", "int8"),
    ),
    Format(
        name="pb",
        label="frozen GraphDef",
        suffix=".pb",
        exporter="tfyolo.export.graph_def:export",
        runtime="tfyolo.inference.runtimes.graph_def:GraphDefRuntime",
        nms=("combined", "builtin", "tensor", "none", "raw"),
        precisions=("float32", "float16", "int8"),
    ),
    Format(
        name="edgetpu",
        label="Edge TPU",
        suffix="_edgetpu.tflite",
        exporter="tfyolo.export.edgetpu:export",
        runtime="tfyolo.inference.runtimes.edgetpu:EdgeTpuRuntime",
        nms=("postprocess", "builtin", "tensor", "none", "raw"),
        precisions=("int8",),
        extra="export",
    ),
    Format(
        name="tflite",
        label="TensorFlow Lite",
        suffix=".tflite",
        exporter="tfyolo.export.tflite:export",
        runtime="tfyolo.inference.runtimes.litert:LiteRtRuntime",
        nms=("postprocess", "builtin", "tensor", "none", "raw"),
        precisions=("float32", "float16", "dynamic", "int8", "int16x8"),
        extra="export",
    ),
    Format(
        name="tfjs",
        label="TF.js",
        suffix="_web_model",
        exporter="tfyolo.export.tfjs:export",
        runtime="tfyolo.inference.runtimes.tfjs:TfjsRuntime",
        nms=("builtin", "tensor", "none", "raw"),
        precisions=("float32", "float16", "int8"),
        extra="tfjs",
    ),
)
"""A suffix that is the end of another's stands after it."""


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
