"""Every format of a model file: what `tfyolo export` can write and `tfyolo.load` can run."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tfyolo.errors import TfyoloError
from tfyolo.export.coreml import entry as coreml
from tfyolo.export.edgetpu import entry as edgetpu
from tfyolo.export.format import OPSETS, PRECISIONS, Format, resolve
from tfyolo.export.graph_def import entry as graph_def
from tfyolo.export.keras import entry as keras
from tfyolo.export.onnx import entry as onnx
from tfyolo.export.openvino import entry as openvino
from tfyolo.export.pt import entry as pt
from tfyolo.export.saved_model import entry as saved_model
from tfyolo.export.tensorrt import entry as tensorrt
from tfyolo.export.tfjs import entry as tfjs
from tfyolo.export.tflite import entry as tflite
from tfyolo.export.torchscript import entry as torchscript

__all__ = [
    "FORMATS",
    "OPSETS",
    "PRECISIONS",
    "Format",
    "check_targets",
    "exportable",
    "find_format",
    "format_of",
    "resolve",
]

FORMATS: tuple[Format, ...] = (
    keras.FORMAT,
    pt.FORMAT,
    torchscript.FORMAT,
    onnx.FORMAT,
    openvino.FORMAT,
    tensorrt.FORMAT,
    coreml.FORMAT,
    saved_model.FORMAT,
    graph_def.FORMAT,
    edgetpu.FORMAT,
    tflite.FORMAT,
    tfjs.FORMAT,
)
"""A suffix that is the end of another's stands after it."""


def exportable() -> tuple[Format, ...]:
    """Those that `tfyolo export` writes."""
    return tuple(entry for entry in FORMATS if entry.exporter)


def find_format(name: str) -> Format:
    """The format a user names.

    Raises:
        TfyoloError: there is none.
    """
    for entry in FORMATS:
        if entry.name == name:
            return entry
    known = ", ".join(entry.name for entry in exportable())
    raise TfyoloError(f"unknown format `{name}`", fix=f"one of {known}")


def check_targets(formats: Sequence[str], stem: Path, source: Path | None) -> dict[str, Path]:
    """Where the file of each format goes.

    Args:
        formats: names of formats.
        stem: path without suffix; formats add theirs.
        source: of the model; None where it comes from no file.

    Returns:
        Paths by format.

    Raises:
        TfyoloError: an unknown format, or a path at which the model itself or no earlier export stands.
    """
    targets = {}
    for name in formats:
        entry = find_format(name)
        target = targets[name] = stem.with_name(stem.name + entry.suffix)
        if source is not None and target.resolve() == source.resolve():
            raise TfyoloError(f"--include {name} would take its place", path=source, fix="pass --output")
        entry.check_target(target)
    return targets


def format_of(path: Path) -> Format:
    """The format of a file or folder: by its suffix, or for a folder by what it holds.

    Raises:
        TfyoloError: nothing here is named like it.
    """
    for entry in FORMATS:
        if entry.matches(path) or (entry.name == "pt" and path.suffix.lower() == ".pth"):
            return entry
    if path.is_dir():
        inside = [entry for entry in FORMATS if entry.holds and (path / entry.holds).is_file()]
        if len(inside) == 1:
            return inside[0]
    suffixes = ", ".join(entry.suffix for entry in FORMATS)
    raise TfyoloError(
        "is no model file that tfyolo knows", path=path, fix=f"pass one that ends in {suffixes}"
    )
